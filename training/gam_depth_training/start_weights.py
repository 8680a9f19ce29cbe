"""Weights to start a training from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from gam_depth_training.checkpoints import UNREADABLE
from gam_depth_training.file_digest import file_digest
from gam_depth_training.onnx_weights import read_onnx_state

logger = logging.getLogger(__name__)

MODEL_FILE = ".onnx"


def read_state(path: Path) -> dict[str, Tensor]:
    """Read weights: ``weights.pt`` of a predicting network, or a checkpoint of a whole training.

    Or a model file, as it ships: see read_onnx_state.

    Returns:
        Parameters by name; a checkpoint's begin with the part that they belong to.

    Raises:
        ValueError: the file cannot be read, or holds something else.
    """
    if path.suffix == MODEL_FILE:
        return read_onnx_state(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        state = content.get("state_dict", content)
        if not state or not all(isinstance(value, Tensor) for value in state.values()):
            raise TypeError("no parameters by name")
    except (*UNREADABLE, AttributeError, TypeError) as error:
        raise ValueError(
            f"{path}: got {error.__class__.__name__} while reading it, expected weights.pt, a "
            "checkpoint of `gam-depth-train fit` or a model file (.onnx)"
        ) from error
    return dict(state)


def weights_digest(path: str | None) -> str | None:
    """Return 12 hexadecimal digits of a file of weights, None where none is named.

    Raises:
        ValueError: the file cannot be read.
    """
    if path is None:
        return None
    try:
        return file_digest(Path(path))[:12]
    except OSError as error:
        raise ValueError(
            f"{path}: got {error.__class__.__name__} while reading it, expected weights to start "
            "from; check the path"
        ) from error


def part_of(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the parameters under ``name.``, without it."""
    prefix = f"{name}."
    return {key[len(prefix) :]: v for key, v in state.items() if key.startswith(prefix)}


def network_part(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the predicting network's parameters, from weights.pt or a checkpoint."""
    return part_of(state, "network") or dict(state)


def load_what_fits(module: nn.Module, state: Mapping[str, Tensor], source: Path) -> list[str]:
    """Load parameters by name where the shapes agree; the others stay as they are.

    Args:
        module: What is loaded into.
        state: Parameters by name.
        source: Their file, for messages.

    Returns:
        Names in the module that stay as they were, for example another number of classes.

    Raises:
        ValueError: less than half of the module is in the file: it is another network's.
    """
    own = module.state_dict()
    fitting = {
        name: value
        for name, value in state.items()
        if name in own and own[name].shape == value.shape
    }
    if len(fitting) < len(own) / 2:
        raise ValueError(
            f"{source}: got {len(fitting)} of {len(own)} parameters that fit, expected most of "
            "them; give weights of this program's networks"
        )
    module.load_state_dict(fitting, strict=False)
    missing = sorted(set(own) - set(fitting))
    if missing:
        logger.info("%s: %d parameters start anew, %s first", source, len(missing), missing[0])
    return missing
