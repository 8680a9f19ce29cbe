"""What a predicting network is made of, and how its weights carry that with them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Encoder = Literal["resnet18", "edge"]
Decoders = Literal["separate", "shared", "split_late"]
Padding = Literal["reflect", "zeros"]
Activation = Literal["elu", "relu"]

ENCODER_CHANNELS = (64, 64, 128, 256, 512)
DECODER_CHANNELS = (16, 32, 64, 128, 256)
# A decoder may end before the input's resolution, at 1/4 at the earliest.
LEAST_DECODER_STEPS = 3
# Steps of the decoder that depth and semantics have in common; None: all of them.
SPLIT_STEP: Mapping[str, int | None] = {"separate": 0, "shared": None, "split_late": 3}
# Under this key a model file says what its network is made of, for a training that goes on from it.
SHAPE_METADATA_KEY = "gam_depth_network_shape"


@dataclass(frozen=True)
class NetworkShape:
    """The parts of a :class:`gam_depth_training.networks.JointNetwork`; defaults are the paper's.

    Attributes:
        encoder: "resnet18", the paper's; or "edge", see gam_depth_training.edge_encoder.
        encoder_channels: Channels of the five features, finest first.
        depth_channels: Output channels of the depth decoder's steps, finest first. Five steps end
            at the input's resolution, four at half of it, three at a quarter; depth then comes to
            the input's by a shuffle of sub-pixels, sigma by repetition.
        semantic_channels: The same of the semantic decoder, whose scores come to the input's
            resolution by repetition; those at a quarter are doubled bilinearly first, for blocks
            of four pixels tear every edge of a mask. Where decoders split late, the coarse steps
            are the depth decoder's and their numbers here say nothing.
        padding: Of the decoders: "reflect", the paper's; or "zeros", which costs nothing to run.
        activation: Of the decoders: "elu", the paper's; or "relu", which joins its convolution.
    """

    encoder: Encoder = "resnet18"
    encoder_channels: tuple[int, ...] = ENCODER_CHANNELS
    depth_channels: tuple[int, ...] = DECODER_CHANNELS
    semantic_channels: tuple[int, ...] = DECODER_CHANNELS
    padding: Padding = "reflect"
    activation: Activation = "elu"

    def __post_init__(self) -> None:
        for name, kinds in (("encoder", Encoder), ("padding", Padding), ("activation", Activation)):
            if getattr(self, name) not in kinds.__args__:  # type: ignore[attr-defined]
                raise ValueError(
                    f"got {name} '{getattr(self, name)}', expected one of "
                    f"{', '.join(kinds.__args__)}"  # type: ignore[attr-defined]
                )
        steps = {
            "encoder_channels": range(5, 6),
            "depth_channels": range(LEAST_DECODER_STEPS, 6),
            "semantic_channels": range(LEAST_DECODER_STEPS, 6),
        }
        for name, allowed in steps.items():
            channels = tuple(getattr(self, name))
            object.__setattr__(self, name, channels)
            whole = all(type(count) is int and count > 0 for count in channels)
            if len(channels) not in allowed or not whole:
                raise ValueError(
                    f"got {name} {list(channels)}, expected {allowed[0]} to {allowed[-1]} whole "
                    "numbers above 0, finest first"
                )

    @property
    def depth_stride(self) -> int:
        """Input pixels to a side of one pixel of the depth decoder's last feature: 1, 2 or 4."""
        return int(2 ** (5 - len(self.depth_channels)))

    @property
    def semantic_stride(self) -> int:
        """The same of the semantic decoder."""
        return int(2 ** (5 - len(self.semantic_channels)))

    @property
    def score_stride(self) -> int:
        """Input pixels to a side of one class score: 1 or 2; see semantic_channels."""
        return min(self.semantic_stride, 2)

    def to_json(self) -> str:
        """Return what :meth:`from_json` reads."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> NetworkShape:
        """Read a shape.

        Raises:
            ValueError: the text is none.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            return NetworkShape(**values)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"got a network shape that does not read ({error}), expected one written by this "
                "release; train again, or install the release that wrote it"
            ) from error


PAPER = NetworkShape()


def check_layout(decoders: str, attention: bool, shape: NetworkShape) -> None:
    """Refuse decoders, attention and a shape that do not go together.

    Raises:
        ValueError: what does not fit, and what would.
    """
    if decoders not in SPLIT_STEP or (attention and decoders == "shared"):
        raise ValueError(
            f"got decoders '{decoders}' with cross_task_attention {attention}, "
            f"expected one of {', '.join(SPLIT_STEP)}, and attention only between two "
            "decoders; change the recipe's network"
        )
    split, own = SPLIT_STEP[decoders], len(shape.semantic_channels)
    alike = shape.depth_channels == shape.semantic_channels
    if (split is None or attention) and not alike:
        raise ValueError(
            f"got depth_channels {list(shape.depth_channels)} and semantic_channels "
            f"{list(shape.semantic_channels)}, expected the same where decoders are shared or "
            "look at each other; change the network's shape"
        )
    if split and (own < split or len(shape.depth_channels) <= split):
        raise ValueError(
            f"got decoders '{decoders}' where depth ends after {len(shape.depth_channels)} steps "
            f"and semantics after {own}, expected more than {split} and at least {split}; give "
            "the channels another number"
        )
    common = shape.depth_channels[-split] if split else None
    if split and own == split and shape.semantic_channels[0] != common:
        raise ValueError(
            f"got semantic_channels {list(shape.semantic_channels)}, expected {common} first: the "
            "scores are read off the depth decoder's feature"
        )


def shape_to_tensor(shape: NetworkShape) -> Tensor:
    """Return a shape as bytes in a tensor, which any file of weights may hold."""
    return torch.tensor(list(shape.to_json().encode()), dtype=torch.uint8)


def shape_from_tensor(stored: Tensor) -> NetworkShape:
    """Read what :func:`shape_to_tensor` wrote; raises ValueError where it is something else."""
    return NetworkShape.from_json(bytes(stored.cpu().tolist()).decode(errors="replace"))
