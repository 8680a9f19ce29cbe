"""The networks of GAM-Depth: one shared encoder, decoders for depth, sigma and semantics.

The encoder carries torchvision's parameter names, so its public ImageNet weights load from a file.
Sources: He et al. 2016 (ResNet-18), Godard et al. 2019 (decoders), Yang et al. 2024 (GAM-Depth).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from gam_depth_training.geometry import disparity_to_depth

ENCODER_CHANNELS = (64, 64, 128, 256, 512)
DECODER_CHANNELS = (16, 32, 64, 128, 256)
# A network cannot claim to be surer than 1 % or less sure than a factor of about 7.
MIN_LOG_B = -4.6
MAX_LOG_B = 0.7
# Half-width of the central 68.3 % of a Laplace distribution of scale 1: -ln(1 - 0.683).
LAPLACE_68 = 1.149


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
    """

    def __init__(self, images: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3 * images, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = _layer(64, 64, stride=1)
        self.layer2 = _layer(64, 128, stride=2)
        self.layer3 = _layer(128, 256, stride=2)
        self.layer4 = _layer(256, 512, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the five features, finest first."""
        x = (images - 0.45) / 0.225
        features = [self.relu(self.bn1(self.conv1(x)))]
        features.append(self.layer1(self.maxpool(features[-1])))
        for layer in (self.layer2, self.layer3, self.layer4):
            features.append(layer(features[-1]))
        return features

    def load_imagenet(self, path: Path) -> None:
        """Load torchvision's ResNet-18 weights from a file.

        For several stacked images the stem's weights are tiled and divided by their number, which
        leaves the activations as they were for identical pictures (Godard et al. 2019).

        Raises:
            ValueError: the file holds other parameters than a ResNet-18's.
        """
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = {name: value for name, value in state.items() if not name.startswith("fc.")}
        images = self.conv1.in_channels // 3
        if "conv1.weight" in state:
            state["conv1.weight"] = state["conv1.weight"].repeat(1, images, 1, 1) / images
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(
                f"{path}: got parameters that do not fit ({str(error).splitlines()[0]}), expected "
                "torchvision's ResNet-18 state dict; save it with torch.save(model.state_dict())"
            ) from error


def _layer(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(in_channels, out_channels, stride), BasicBlock(out_channels, out_channels)
    )


class ConvBlock(nn.Module):
    """3×3 convolution with reflection padding and ELU, as in the paper's decoders."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        """B×in×H×W → B×out×H×W."""
        return functional.elu(self.conv(x), inplace=True)


class Decoder(nn.Module):
    """The paper's decoder: five times convolve, double, join the encoder's feature, convolve.

    Five encoder features → B×channels[0]×H×W at the input's resolution. Doubling is nearest.

    Args:
        channels: Output channels of the stages, finest first.
    """

    def __init__(self, channels: tuple[int, ...] = DECODER_CHANNELS) -> None:
        super().__init__()
        before, after = [], []
        incoming = ENCODER_CHANNELS[-1]
        for stage in range(4, -1, -1):
            skip = ENCODER_CHANNELS[stage - 1] if stage > 0 else 0
            before.append(ConvBlock(incoming, channels[stage]))
            after.append(ConvBlock(channels[stage] + skip, channels[stage]))
            incoming = channels[stage]
        self.before = nn.ModuleList(before)
        self.after = nn.ModuleList(after)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Decode the encoder's five features, finest first."""
        x = features[-1]
        for step, (before, after) in enumerate(zip(self.before, self.after, strict=True)):
            x = functional.interpolate(before(x), scale_factor=2.0, mode="nearest")
            if step < 4:
                x = torch.cat((x, features[3 - step]), dim=1)
            x = after(x)
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
        shared_decoder: One decoder carries all three heads: a third cheaper, for the first part
            of a training. :meth:`split_decoder` gives the semantics their own.
    """

    def __init__(self, classes: int, shared_decoder: bool = False) -> None:
        super().__init__()
        self.classes = classes
        self.encoder = ResNetEncoder()
        self.depth_decoder = Decoder()
        self.disparity_head = Head(DECODER_CHANNELS[0], 1)
        self.sigma_head = Head(DECODER_CHANNELS[0], 1)
        self.semantic_decoder = None if shared_decoder else Decoder()
        self.semantic_head = Head(DECODER_CHANNELS[0], classes)
        # Start at 2 m, the middle of a room, instead of the sigmoid's 0.2 m.
        nn.init.constant_(self.disparity_head.conv.bias, -3.2)
        nn.init.constant_(self.sigma_head.conv.bias, -1.5)

    def split_decoder(self) -> None:
        """Give the semantics a decoder of their own that starts as a copy of the shared one."""
        if self.semantic_decoder is None:
            self.semantic_decoder = copy.deepcopy(self.depth_decoder)

    def forward(self, image: Tensor) -> JointPrediction:
        """Predict from B×3×H×W in [0, 1]; sides multiples of 32."""
        features = self.encoder(image)
        shared = self.depth_decoder(features)
        disparity = torch.sigmoid(self.disparity_head(shared))
        log_b = self.sigma_head(shared).clamp(MIN_LOG_B, MAX_LOG_B)
        own = shared if self.semantic_decoder is None else self.semantic_decoder(features)
        return JointPrediction(
            disparity,
            disparity_to_depth(disparity),
            log_b,
            self.semantic_head(own),
            features[-1].mean((2, 3)),
        )
