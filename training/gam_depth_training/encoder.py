"""ResNet-18 (He et al. 2016) that sees one picture, or several stacked along the channels.

It carries torchvision's parameter names, so its public ImageNet weights load from a file.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gam_depth_training.network_shape import ENCODER_CHANNELS

_UNREADABLE = (
    AttributeError,
    EOFError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut (He et al. 2016, fig. 2)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """B×in×H×W → B×out×(H/stride)×(W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + shortcut)


class ResNetEncoder(nn.Module):
    """ResNet-18 without its classifier: B×(3·images)×H×W in [0, 1] → five feature maps.

    The features have 64, 64, 128, 256, 512 channels at 1/2, 1/4, 1/8, 1/16, 1/32 of the input,
    whose sides must be multiples of 32. Normalisation is inside.

    Args:
        images: Pictures stacked along the channels: 1 for depth, 2 for pose.
        channels: Channels of the features, finest first; fewer than ResNet-18's where pruned.
    """

    def __init__(self, images: int = 1, channels: Sequence[int] = ENCODER_CHANNELS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3 * images, channels[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _layer(channels[0], channels[1], stride=1)
        self.layer2 = _layer(channels[1], channels[2], stride=2)
        self.layer3 = _layer(channels[2], channels[3], stride=2)
        self.layer4 = _layer(channels[3], channels[4], stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the five features, finest first."""
        return self.encode((images - 0.45) / 0.225)

    def encode(self, normalised: Tensor) -> list[Tensor]:
        """Return the features of pictures that are normalised already."""
        features = [self.relu(self.bn1(self.conv1(normalised)))]
        features.append(self.layer1(self.maxpool(features[-1])))
        for layer in (self.layer2, self.layer3, self.layer4):
            features.append(layer(features[-1]))
        return features

    def load_tiled(self, state: Mapping[str, Tensor]) -> None:
        """Load the weights of an encoder that sees one picture.

        For several stacked images the stem's weights are tiled and divided by their number, which
        leaves the activations as they were for identical pictures (Godard et al. 2019).

        Raises:
            RuntimeError: the parameters are not an encoder's.
        """
        images = self.conv1.in_channels // 3
        tiled = dict(state)
        if "conv1.weight" in tiled:
            tiled["conv1.weight"] = tiled["conv1.weight"].repeat(1, images, 1, 1) / images
        self.load_state_dict(tiled)

    def load_imagenet(self, path: Path) -> None:
        """Load torchvision's ResNet-18 weights from a file, see :meth:`load_tiled`.

        Raises:
            ValueError: the file cannot be read, or holds other parameters than a ResNet-18's.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = {name: value for name, value in state.items() if not name.startswith("fc.")}
            self.load_tiled(state)
        except _UNREADABLE as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ValueError(
                f"{path}: got parameters that do not fit ({reason}), expected "
                "torchvision's ResNet-18 state dict; save it with torch.save(model.state_dict())"
            ) from error


def _layer(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(in_channels, out_channels, stride), BasicBlock(out_channels, out_channels)
    )
