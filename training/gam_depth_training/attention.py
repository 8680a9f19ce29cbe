"""What two tasks tell each other on the way: a light gate between their decoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CrossTaskAttention(nn.Module):
    """Lets each of two tasks take features of the other where a gate opens for it.

    Each task translates the other's feature by a 1×1 convolution, a gate of one number per pixel
    looks at its own feature and at where the two disagree, and a factor per channel scales what
    comes in. The factors start at 0: an untrained gate leaves both tasks as they are, so weights
    trained without it may go on with it.

    Args:
        channels: Channels of both features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_depth = GatedFeature(channels)
        self.to_semantic = GatedFeature(channels)

    def forward(self, depth: Tensor, semantic: Tensor) -> tuple[Tensor, Tensor]:
        """Return both B×C×h×w features after they have seen each other."""
        return self.to_depth(depth, semantic), self.to_semantic(semantic, depth)


class GatedFeature(nn.Module):
    """One direction of :class:`CrossTaskAttention`: own + factor · gate · translate(other)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.translate = nn.Conv2d(channels, channels, 1)
        self.gate = nn.Conv2d(2 * channels, 1, 1)
        self.factor = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """B×C×h×w twice → B×C×h×w."""
        message = self.translate(other)
        gate = torch.sigmoid(self.gate(torch.cat((own, (own - message).abs()), dim=1)))
        return own + self.factor * gate * message
