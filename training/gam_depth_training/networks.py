"""The networks of GAM-Depth: one shared encoder, decoders for depth, sigma and semantics.

Sources: Godard et al. 2019 (decoders), Yang et al. 2024 (GAM-Depth).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gam_depth_training.attention import CrossTaskAttention
from gam_depth_training.decoder import Decoder, Head
from gam_depth_training.edge_encoder import EdgeEncoder
from gam_depth_training.encoder import ResNetEncoder
from gam_depth_training.geometry import disparity_to_depth
from gam_depth_training.network_shape import (
    PAPER,
    SPLIT_STEP,
    Decoders,
    NetworkShape,
    check_layout,
    shape_from_tensor,
    shape_to_tensor,
)

# A network cannot claim to be surer than 1 % or less sure than a factor of about 7.
MIN_LOG_B = -4.6
MAX_LOG_B = 0.7
# Half-width of the central 68.3 % of a Laplace distribution of scale 1: -ln(1 - 0.683).
LAPLACE_68 = 1.149
# Under this name a state dict says what network it is of; files of older releases have none.
SHAPE_KEY = "_extra_state"


@dataclass(frozen=True)
class JointPrediction:
    """What :class:`JointNetwork` gives.

    Attributes:
        disparity: B×1×H×W in (0, 1), the sigmoid output.
        depth: B×1×H×W, 0.1 to 10, up to scale.
        log_b: B×1×H×W, natural logarithm of the Laplace scale of log depth.
        logits: B×classes×H×W semantic scores before softmax.
        features: B×C, mean of the deepest encoder feature.
    """

    disparity: Tensor
    depth: Tensor
    log_b: Tensor
    logits: Tensor
    features: Tensor


class JointNetwork(nn.Module):
    """Depth, its uncertainty and semantics from one picture, over one shared encoder.

    Args:
        classes: Number of semantic classes.
        decoders: "separate": depth and semantics have a decoder each, as in the paper. "shared":
            one decoder carries all heads: a third cheaper, for the first part of a training;
            :meth:`split_decoder` gives the semantics their own. "split_late": one decoder up to
            1/4 of the input's size, two from there on; where semantic_channels end there, the
            scores are read off the common feature.
        cross_task_attention: Whether the two decoders look at each other once, through a gate.
        decoder_norm: Whether the decoders carry batch normalisation, see ConvBlock.
        shape: What encoder and decoders are made of; its state dict carries it.

    Raises:
        ValueError: decoders, attention and shape that do not go together.
    """

    def __init__(
        self,
        classes: int,
        decoders: Decoders = "separate",
        cross_task_attention: bool = False,
        decoder_norm: bool = False,
        shape: NetworkShape = PAPER,
    ) -> None:
        super().__init__()
        check_layout(decoders, cross_task_attention, shape)
        split = SPLIT_STEP[decoders]
        self.classes = classes
        self.shape = shape
        depth, semantic, padding = shape.depth_channels, shape.semantic_channels, shape.padding
        kind = EdgeEncoder if shape.encoder == "edge" else ResNetEncoder
        self.encoder = kind(channels=shape.encoder_channels)
        make: dict[str, Any] = {
            "batch_norm": decoder_norm,
            "encoder_channels": shape.encoder_channels,
            "padding": padding,
            "activation": shape.activation,
        }
        self.depth_decoder = Decoder(depth, **make)
        self.disparity_head = Head(depth[0], shape.depth_stride**2, padding)
        self.sigma_head = Head(depth[0], 1, padding)
        # What export puts in the place of both.
        self.joined_head: Head | None = None
        self.semantic_decoder: Decoder | None = None
        if split is not None:
            incoming = depth[-split] if split else None
            self.semantic_decoder = Decoder(semantic, split, incoming=incoming, **make)
        self.semantic_head = Head(semantic[0], classes, padding)
        self.attention: CrossTaskAttention | None = None
        if cross_task_attention and split is not None:
            self.attention = CrossTaskAttention(depth[-_meeting_step(split)])
        # Start at 2 m, the middle of a room, instead of the sigmoid's 0.2 m.
        nn.init.constant_(self.disparity_head.conv.bias, -3.2)
        nn.init.constant_(self.sigma_head.conv.bias, -1.5)
        self.register_load_state_dict_pre_hook(_of_older_release)

    def get_extra_state(self) -> Tensor:
        """Return the shape, for the state dict."""
        return shape_to_tensor(self.shape)

    def set_extra_state(self, state: Tensor) -> None:
        """Check that weights are of this shape; raises ValueError where they are not."""
        found = shape_from_tensor(state)
        if found != self.shape:
            raise ValueError(
                f"got weights of a network {found.to_json()}, expected {self.shape.to_json()}; "
                "let the network be built from the weights"
            )

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> JointNetwork:
        """Build the network that a state dict belongs to, with its weights.

        Raises:
            ValueError: the state dict is not a JointNetwork's.
        """
        try:
            network = cls.shaped_as(state)
            network.load_state_dict(dict(state))
        except (KeyError, RuntimeError) as error:
            raise ValueError(
                f"got a state dict that does not fit ({str(error).splitlines()[0]}), expected a "
                "JointNetwork's; save it with `gam-depth-train fit`"
            ) from error
        return network

    @classmethod
    def shaped_as(cls, state: Mapping[str, Tensor]) -> JointNetwork:
        """Build the network whose parameters have these names, with weights of its own.

        Raises:
            KeyError: they are not a JointNetwork's.
            ValueError: the shape that they carry is another release's.
        """
        shape = shape_of(state)
        steps = {name.split(".")[2] for name in state if name.startswith("semantic_decoder.before")}
        whole = len(shape.semantic_channels)
        # Split late, the common steps are the depth decoder's, and there may be no others.
        decoders: Decoders = "separate" if len(steps) == whole else "split_late"
        if not steps and shape.depth_channels == shape.semantic_channels:
            decoders = "shared"
        attention = any(name.startswith("attention.") for name in state)
        classes = len(state["semantic_head.conv.weight"])
        return cls(classes, decoders, attention, has_decoder_norm(state), shape)

    def split_decoder(self) -> None:
        """Give the semantics a decoder of their own that starts as a copy of the shared one."""
        if self.semantic_decoder is None:
            self.semantic_decoder = copy.deepcopy(self.depth_decoder)

    @torch.no_grad()
    def join_heads(self) -> None:
        """Let one convolution give depth and sigma, which read the same feature: for export."""
        depth, sigma = self.disparity_head.conv, self.sigma_head.conv
        joined = Head(depth.in_channels, depth.out_channels + 1, self.shape.padding)
        joined.conv.weight.copy_(torch.cat((depth.weight, sigma.weight)))
        joined.conv.bias.copy_(torch.cat((depth.bias, sigma.bias)))
        self.joined_head = joined

    def forward(self, image: Tensor) -> JointPrediction:
        """Predict from B×3×H×W in [0, 1]; sides multiples of 32."""
        return self.finish(self.answer(self.encoder(image)))

    def answer(self, features: list[Tensor]) -> JointPrediction:
        """Predict from the encoder's features; sigma and scores at the size they are made at."""
        own, semantic = self._decode(features)
        if self.joined_head is None:
            raw, log_b = _in_full_precision(self.disparity_head, own), self.sigma_head(own)
        else:
            both = self.joined_head(own)
            raw, log_b = both[:, :-1], both[:, -1:]
        disparity = torch.sigmoid(raw)
        if self.shape.depth_stride > 1:
            disparity = functional.pixel_shuffle(disparity, self.shape.depth_stride)
            disparity = binomial(disparity)
        logits = self.semantic_head(semantic)
        if self.shape.score_stride < self.shape.semantic_stride:
            logits = functional.interpolate(
                logits, scale_factor=2.0, mode="bilinear", align_corners=False
            )
        return JointPrediction(
            disparity,
            disparity_to_depth(disparity),
            log_b.clamp(MIN_LOG_B, MAX_LOG_B),
            logits,
            features[-1].mean((2, 3)),
        )

    def finish(self, answer: JointPrediction) -> JointPrediction:
        """Bring sigma and scores to the input's resolution, each pixel repeated."""
        return JointPrediction(
            answer.disparity,
            answer.depth,
            repeated(answer.log_b, self.shape.depth_stride),
            repeated(answer.logits, self.shape.score_stride),
            answer.features,
        )

    def _decode(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the last features of depth and semantics."""
        if self.semantic_decoder is None:
            shared = self.depth_decoder(features)
            return shared, shared
        split = self.semantic_decoder.first_step
        common = self.depth_decoder.run(features[-1], features, 0, split)
        meeting = _meeting_step(split) if self.attention is not None else split
        depth = self.depth_decoder.run(common, features, split, meeting)
        semantic = self.semantic_decoder.run(common, features, split, meeting)
        if self.attention is not None:
            depth, semantic = self.attention(depth, semantic)
        return (
            self.depth_decoder.run(depth, features, meeting, self.depth_decoder.steps),
            self.semantic_decoder.run(semantic, features, meeting, self.semantic_decoder.steps),
        )


def repeated(values: Tensor, factor: int) -> Tensor:
    """Repeat each pixel of B×C×h×w ``factor`` times in both directions."""
    if factor == 1:
        return values
    return functional.interpolate(values, scale_factor=float(factor), mode="nearest")


def binomial(image: Tensor) -> Tensor:
    """Smooth B×1×H×W by the binomial kernel (1 2 1)ᵀ(1 2 1) / 16, borders repeated.

    A shuffle of sub-pixels leaves a weave, as each sub-pixel has kernels of its own (Odena et al.,
    Deconvolution and Checkerboard Artifacts, 2016). The kernel takes away its finest step wholly.
    Twice a mean of 2×2 is that kernel, and has no weights that 8 bits would round.
    """
    wider = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    return functional.avg_pool2d(functional.avg_pool2d(wider, 2, 1), 2, 1)


def has_decoder_norm(state: Mapping[str, Tensor]) -> bool:
    """Say whether a JointNetwork's state dict has batch normalisation in its decoders."""
    return "depth_decoder.before.0.bn.weight" in state


def shape_of(state: Mapping[str, Tensor]) -> NetworkShape:
    """Return the shape that weights carry; the paper's for weights of older releases.

    Raises:
        ValueError: it does not read.
    """
    stored = state.get(SHAPE_KEY)
    return PAPER if stored is None else shape_from_tensor(stored)


def _of_older_release(network: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Take weights without a shape for the paper's network, which older releases knew alone."""
    state.setdefault(prefix + SHAPE_KEY, shape_to_tensor(PAPER))


def _in_full_precision(head: Head, x: Tensor) -> Tensor:
    """Run a head in float32 under autocast too: bfloat16 knows depth to 1.5 % only, in steps."""
    kind = x.device.type
    if not torch.is_autocast_enabled(kind):
        return head(x)
    with torch.autocast(kind, enabled=False):
        return head(x.float())


def _meeting_step(split: int) -> int:
    """Say after how many steps two decoders meet: at 1/4, or one step after a later split."""
    return max(3, split + 1)
