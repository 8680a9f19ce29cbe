"""The decoders and heads of GAM-Depth. Sources: Godard et al. 2019, Yang et al. 2024."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gam_depth_training.network_shape import (
    DECODER_CHANNELS,
    ENCODER_CHANNELS,
    Activation,
    Padding,
)


class ConvBlock(nn.Module):
    """3×3 convolution and activation; with reflection padding and ELU as in the paper's decoders.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        batch_norm: Whether to normalise before the activation. The paper does not; from scratch it
            helps, and it costs nothing once folded into the convolution.
        padding: See NetworkShape.
        activation: See NetworkShape.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        batch_norm: bool = False,
        padding: Padding = "reflect",
        activation: Activation = "elu",
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, 3, padding=1, padding_mode=padding, bias=not batch_norm
        )
        self.bn = nn.BatchNorm2d(out_channels) if batch_norm else nn.Identity()
        self.activation = functional.elu if activation == "elu" else functional.relu

    def forward(self, x: Tensor) -> Tensor:
        """B×in×H×W → B×out×H×W."""
        return self.activation(self.bn(self.conv(x)), inplace=True)


class Decoder(nn.Module):
    """The paper's decoder: five times convolve, double, join the encoder's feature, convolve.

    Five encoder features → B×channels[0]×H×W at the input's resolution; with fewer steps at half
    of it or at a quarter. Doubling is nearest; see double_bilinearly.

    Args:
        channels: Output channels of the steps, finest first.
        first_step: Steps before this one are another decoder's: this one goes on with what that
            one gives.
        batch_norm: See ConvBlock.
        encoder_channels: Channels of the features, finest first.
        incoming: Channels of what this decoder begins with; None: the deepest feature's, or where
            it goes on after another those of a decoder like itself.
        padding: See NetworkShape.
        activation: See NetworkShape.
    """

    STEPS = 5

    def __init__(
        self,
        channels: Sequence[int] = DECODER_CHANNELS,
        first_step: int = 0,
        batch_norm: bool = False,
        encoder_channels: Sequence[int] = ENCODER_CHANNELS,
        incoming: int | None = None,
        padding: Padding = "reflect",
        activation: Activation = "elu",
    ) -> None:
        super().__init__()
        self.first_step = first_step
        self.steps = len(channels)
        self.doubling = "nearest"
        if incoming is None:
            incoming = encoder_channels[-1] if first_step == 0 else channels[-first_step]
        before, after = [], []
        for step in range(first_step, self.steps):
            width = channels[-1 - step]
            skip = encoder_channels[3 - step] if step < self.STEPS - 1 else 0
            before.append(ConvBlock(incoming, width, batch_norm, padding, activation))
            after.append(ConvBlock(width + skip, width, batch_norm, padding, activation))
            incoming = width
        self.before = nn.ModuleList(before)
        self.after = nn.ModuleList(after)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Decode the encoder's five features, finest first."""
        return self.run(features[-1], features, self.first_step, self.steps)

    def run(self, x: Tensor, features: list[Tensor], start: int, end: int) -> Tensor:
        """Run the steps from ``start`` to before ``end`` on ``x``, the output of those before."""
        for step in range(start, end):
            x = self.before[step - self.first_step](x)
            x = functional.interpolate(x, scale_factor=2.0, mode=self.doubling)
            if step < self.STEPS - 1:
                x = torch.cat((x, features[3 - step]), dim=1)
            x = self.after[step - self.first_step](x)
        return x


def double_bilinearly(network: nn.Module) -> None:
    """Let a network's decoders double features bilinearly, though they were trained by nearest.

    The official code scores ScanNet so; for comparing with its published figures alone.
    """
    for part in network.modules():
        if isinstance(part, Decoder):
            part.doubling = "bilinear"


class Head(nn.Module):
    """3×3 convolution to the output channels, no activation.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        padding: See NetworkShape.
    """

    def __init__(self, in_channels: int, out_channels: int, padding: Padding = "reflect") -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode=padding)

    def forward(self, x: Tensor) -> Tensor:
        """B×in×H×W → B×out×H×W."""
        return self.conv(x)
