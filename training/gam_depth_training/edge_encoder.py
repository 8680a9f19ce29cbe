"""A small encoder of dense 3×3 convolutions, three branches to a block that fold into one.

On a CPU without special instructions depthwise convolutions wait for memory, and every shortcut is
a pass over a feature map. A plain chain of dense convolutions with a ReLU each is what runs best;
but it learns worse than one with shortcuts. So each block learns as three branches and is exported
as one convolution (Ding et al. 2021, RepVGG). Normalisation stands on the wide branch and after
the sum, not on each branch: folded kernels then have no outliers, and stand 8 bits (Chu et al.
2022, QARepVGG).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Blocks at 1/4, 1/8, 1/16 and 1/32, the first of which halves the resolution.
EDGE_BLOCKS = (2, 3, 4, 2)


class RepBranches(nn.Module):
    """norm(norm(3×3) + 1×1 + identity); the identity only where the shape stays.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        stride: Step of the convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.identity = stride == 1 and in_channels == out_channels
        self.wide = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.wide_norm = nn.BatchNorm2d(out_channels)
        self.point = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """B×in×H×W → B×out×(H/stride)×(W/stride)."""
        y = self.wide_norm(self.wide(x)) + self.point(x)
        return self.norm(y + x if self.identity else y)

    @torch.no_grad()
    def folded(self) -> nn.Conv2d:
        """Return one convolution that gives the same, with the statistics as they stand."""
        joined = fuse_conv_bn_eval(self.wide.eval(), self.wide_norm.eval())
        joined.weight[:, :, 1, 1] += self.point.weight[:, :, 0, 0]
        if self.identity:
            joined.weight[:, :, 1, 1] += torch.eye(len(joined.weight)).to(joined.weight)
        return fuse_conv_bn_eval(joined, self.norm.eval())


class RepBlock(nn.Module):
    """A ReLU after three branches, or after the one convolution that they fold into.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        stride: Step of the convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.body: RepBranches | nn.Conv2d = RepBranches(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """B×in×H×W → B×out×(H/stride)×(W/stride)."""
        return functional.relu(self.body(x))

    def fold(self) -> None:
        """Become one convolution; it cannot be undone."""
        if isinstance(self.body, RepBranches):
            self.body = self.body.folded()


class EdgeEncoder(nn.Module):
    """B×3×H×W in [0, 1] → five features at 1/2 to 1/32 of the input; normalisation is inside.

    Args:
        channels: Channels of the features, finest first.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        # Named as the ResNet's, so that whoever freezes or excepts the stem finds it.
        self.conv1 = nn.Conv2d(3, channels[0], 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.relu = nn.ReLU(inplace=True)
        self.stages = nn.ModuleList(
            nn.Sequential(
                RepBlock(before, after, stride=2),
                *(RepBlock(after, after) for _ in range(blocks - 1)),
            )
            for before, after, blocks in zip(channels, channels[1:], EDGE_BLOCKS, strict=False)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the five features, finest first."""
        return self.encode((images - 0.45) / 0.225)

    def encode(self, normalised: Tensor) -> list[Tensor]:
        """Return the features of pictures that are normalised already."""
        features = [self.relu(self.bn1(self.conv1(normalised)))]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features
