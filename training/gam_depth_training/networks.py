"""The networks of GAM-Depth: one shared encoder, decoders for depth, sigma and semantics.

Sources: Godard et al. 2019 (decoders), Yang et al. 2024 (GAM-Depth).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from gam_depth_training.attention import CrossTaskAttention
from gam_depth_training.encoder import ENCODER_CHANNELS, ResNetEncoder
from gam_depth_training.geometry import disparity_to_depth

DECODER_CHANNELS = (16, 32, 64, 128, 256)
Decoders = Literal["separate", "shared", "split_late"]
# Steps of the decoder that depth and semantics have in common; None: all of them.
SPLIT_STEP: Mapping[str, int | None] = {"separate": 0, "shared": None, "split_late": 3}
# A network cannot claim to be surer than 1 % or less sure than a factor of about 7.
MIN_LOG_B = -4.6
MAX_LOG_B = 0.7
# Half-width of the central 68.3 % of a Laplace distribution of scale 1: -ln(1 - 0.683).
LAPLACE_68 = 1.149


class ConvBlock(nn.Module):
    """3×3 convolution with reflection padding and ELU, as in the paper's decoders.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        batch_norm: Whether to normalise before the ELU. The paper does not; from scratch it helps,
            and it costs nothing once folded into the convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, batch_norm: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, 3, padding=1, padding_mode="reflect", bias=not batch_norm
        )
        self.bn = nn.BatchNorm2d(out_channels) if batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """B×in×H×W → B×out×H×W."""
        return functional.elu(self.bn(self.conv(x)), inplace=True)


class Decoder(nn.Module):
    """The paper's decoder: five times convolve, double, join the encoder's feature, convolve.

    Five encoder features → B×channels[0]×H×W at the input's resolution. Doubling is nearest.

    Args:
        channels: Output channels of the steps, finest first.
        first_step: Steps before this one, of 0 to 4, are another decoder's: this one goes on with
            what that one gives.
        batch_norm: See ConvBlock.
    """

    STEPS = 5

    def __init__(
        self,
        channels: tuple[int, ...] = DECODER_CHANNELS,
        first_step: int = 0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.first_step = first_step
        before, after = [], []
        incoming = ENCODER_CHANNELS[-1] if first_step == 0 else channels[self.STEPS - first_step]
        for stage in range(self.STEPS - 1 - first_step, -1, -1):
            skip = ENCODER_CHANNELS[stage - 1] if stage > 0 else 0
            before.append(ConvBlock(incoming, channels[stage], batch_norm))
            after.append(ConvBlock(channels[stage] + skip, channels[stage], batch_norm))
            incoming = channels[stage]
        self.before = nn.ModuleList(before)
        self.after = nn.ModuleList(after)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Decode the encoder's five features, finest first."""
        return self.run(features[-1], features, self.first_step, self.STEPS)

    def run(self, x: Tensor, features: list[Tensor], start: int, end: int) -> Tensor:
        """Run the steps from ``start`` to before ``end`` on ``x``, the output of those before."""
        for step in range(start, end):
            x = self.before[step - self.first_step](x)
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            if step < self.STEPS - 1:
                x = torch.cat((x, features[3 - step]), dim=1)
            x = self.after[step - self.first_step](x)
        return x


class Head(nn.Module):
    """3×3 convolution with reflection padding to the output channels, no activation."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        """B×in×H×W → B×out×H×W."""
        return self.conv(x)


@dataclass(frozen=True)
class JointPrediction:
    """What :class:`JointNetwork` gives.

    Attributes:
        disparity: B×1×H×W in (0, 1), the sigmoid output.
        depth: B×1×H×W, 0.1 to 10, up to scale.
        log_b: B×1×H×W, natural logarithm of the Laplace scale of log depth.
        logits: B×classes×H×W semantic scores before softmax.
        features: B×512, mean of the deepest encoder feature.
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
            1/4 of the input's size, two from there on.
        cross_task_attention: Whether the two decoders look at each other once, through a gate.
        decoder_norm: Whether the decoders carry batch normalisation, see ConvBlock.

    Raises:
        ValueError: unknown decoders, or attention between decoders that are one.
    """

    def __init__(
        self,
        classes: int,
        decoders: Decoders = "separate",
        cross_task_attention: bool = False,
        decoder_norm: bool = False,
    ) -> None:
        super().__init__()
        if decoders not in SPLIT_STEP or (cross_task_attention and decoders == "shared"):
            raise ValueError(
                f"got decoders '{decoders}' with cross_task_attention {cross_task_attention}, "
                f"expected one of {', '.join(SPLIT_STEP)}, and attention only between two "
                "decoders; change the recipe's network"
            )
        split = SPLIT_STEP[decoders]
        self.classes = classes
        self.encoder = ResNetEncoder()
        self.depth_decoder = Decoder(batch_norm=decoder_norm)
        self.disparity_head = Head(DECODER_CHANNELS[0], 1)
        self.sigma_head = Head(DECODER_CHANNELS[0], 1)
        self.semantic_decoder = (
            None if split is None else Decoder(first_step=split, batch_norm=decoder_norm)
        )
        self.semantic_head = Head(DECODER_CHANNELS[0], classes)
        self.attention: CrossTaskAttention | None = None
        if cross_task_attention and split is not None:
            meeting = _meeting_step(split)
            self.attention = CrossTaskAttention(DECODER_CHANNELS[Decoder.STEPS - meeting])
        # Start at 2 m, the middle of a room, instead of the sigmoid's 0.2 m.
        nn.init.constant_(self.disparity_head.conv.bias, -3.2)
        nn.init.constant_(self.sigma_head.conv.bias, -1.5)

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
        """
        steps = {name.split(".")[2] for name in state if name.startswith("semantic_decoder.before")}
        shapes: dict[int, Decoders] = {0: "shared", 2: "split_late", 5: "separate"}
        attention = any(name.startswith("attention.") for name in state)
        classes = len(state["semantic_head.conv.weight"])
        return cls(classes, shapes[len(steps)], attention, has_decoder_norm(state))

    def split_decoder(self) -> None:
        """Give the semantics a decoder of their own that starts as a copy of the shared one."""
        if self.semantic_decoder is None:
            self.semantic_decoder = copy.deepcopy(self.depth_decoder)

    def forward(self, image: Tensor) -> JointPrediction:
        """Predict from B×3×H×W in [0, 1]; sides multiples of 32."""
        features = self.encoder(image)
        own, semantic = self._decode(features)
        disparity = torch.sigmoid(_in_full_precision(self.disparity_head, own))
        return JointPrediction(
            disparity,
            disparity_to_depth(disparity),
            self.sigma_head(own).clamp(MIN_LOG_B, MAX_LOG_B),
            self.semantic_head(semantic),
            features[-1].mean((2, 3)),
        )

    def _decode(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the last features of depth and semantics, B×16×H×W each."""
        if self.semantic_decoder is None:
            shared = self.depth_decoder(features)
            return shared, shared
        split = self.semantic_decoder.first_step
        common = self.depth_decoder.run(features[-1], features, 0, split)
        meeting = _meeting_step(split)
        depth = self.depth_decoder.run(common, features, split, meeting)
        semantic = self.semantic_decoder.run(common, features, split, meeting)
        if self.attention is not None:
            depth, semantic = self.attention(depth, semantic)
        return (
            self.depth_decoder.run(depth, features, meeting, Decoder.STEPS),
            self.semantic_decoder.run(semantic, features, meeting, Decoder.STEPS),
        )


def has_decoder_norm(state: Mapping[str, Tensor]) -> bool:
    """Say whether a JointNetwork's state dict has batch normalisation in its decoders."""
    return "depth_decoder.before.0.bn.weight" in state


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
