"""How far the gates between two decoders are open, and how much comes through them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gam_depth_training.attention import GatedFeature
from gam_depth_training.networks import JointNetwork

_DIRECTIONS = {"to_depth": "semantics to depth", "to_semantic": "depth to semantics"}


@dataclass(frozen=True)
class Gate:
    """One gate of a network, as a picture opened it.

    Attributes:
        name: Which way it leads, and at what part of the input's size, as "depth to semantics,
            1/4".
        opening: h×w float32, 0 (shut) to 1 (open).
        share: Mean size of what came through it, as a share of the mean size of the feature that
            took it in; 0 for a gate that training has not touched.
    """

    name: str
    opening: npt.NDArray[np.float32]
    share: float


def attention_gates(network: JointNetwork, image: Tensor) -> list[Gate]:
    """Look at a picture and note every gate; empty for a network without them.

    Args:
        network: In evaluation mode.
        image: 1×3×h×w in [0, 1]; sides multiples of 32.
    """
    gates: list[Gate] = []
    with ExitStack() as hooks, torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, GatedFeature):
                hooks.enter_context(_noted(name, module, image.shape[-2], gates))
        network(image)
    return gates


@contextmanager
def _noted(name: str, module: GatedFeature, height: int, gates: list[Gate]) -> Iterator[None]:
    """Append what a gate does to ``gates`` whenever it is asked."""
    opening: list[Tensor] = []

    def on_gate(_: nn.Module, __: Any, raw: Tensor) -> None:
        opening.append(torch.sigmoid(raw[0, 0]))

    def on_feature(_: nn.Module, given: tuple[Tensor, Tensor], out: Tensor) -> None:
        own = given[0]
        came = (out - own).abs().mean() / own.abs().mean().clamp_min(1e-12)
        direction = _DIRECTIONS.get(name.rsplit(".", 1)[-1], name)
        label = f"{direction}, 1/{height // out.shape[-2]}"
        gates.append(Gate(label, opening.pop().float().cpu().numpy(), float(came)))

    handles = module.gate.register_forward_hook(on_gate), module.register_forward_hook(on_feature)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
