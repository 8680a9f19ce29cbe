"""Light-weight RefineNet: a ResNet with bottlenecks and a decoder of 1×1 convolutions and pooling.

Nekrasov, Shen and Reid 2018, "Light-Weight RefineNet for Real-Time Semantic Segmentation". The
decoder goes from the coarsest of four encoder features to the finest: each is brought to a common
number of channels, added to what came from below, and gathers context through a chain of pooling
(fig. 2). Parameters carry the names of the public checkpoints, so that a user's file loads.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# Bottlenecks in each of the four stages (He et al. 2016, table 1).
STAGES = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_WIDTHS = (64, 128, 256, 512)
_EXPANSION = 4
_POOLINGS = 4


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions with a shortcut (He et al. 2016, fig. 5)."""

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = width * _EXPANSION
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """B×in×H×W → B×4·width×(H/stride)×(W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        return functional.relu(self.bn3(self.conv3(y)) + shortcut)


class ChainedPooling(nn.Module):
    """Chained residual pooling: 5×5 maxima of maxima, each through a 1×1 convolution and added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for step in range(1, _POOLINGS + 1):
            self.add_module(f"{step}_outvar_dimred", nn.Conv2d(channels, channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """B×C×H×W → the same shape."""
        total = pooled = x
        for convolution in self.children():
            pooled = convolution(functional.max_pool2d(pooled, 5, stride=1, padding=2))
            total = total + pooled
        return total


class LightWeightRefineNet(nn.Module):
    """Logits at a quarter of the input: B×3×H×W, ImageNet-normalised → B×classes×(H/4)×(W/4).

    Args:
        depth: 50, 101 or 152 layers in the encoder.
        classes: Number of classes; 40 in the public NYU checkpoints.
    """

    def __init__(self, depth: int = 50, classes: int = 40) -> None:
        super().__init__()
        if depth not in STAGES:
            raise ValueError(f"refinenet: got depth {depth}, expected one of {sorted(STAGES)}")
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels = 64
        for number, (width, blocks) in enumerate(zip(_WIDTHS, STAGES[depth], strict=True), 1):
            stride = 1 if number == 1 else 2
            stage = [Bottleneck(channels, width, stride)]
            channels = width * _EXPANSION
            stage += [Bottleneck(channels, width, 1) for _ in range(blocks - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*stage))
        # Level 1 is the coarsest. The public names: "dimred" reduces the number of channels.
        for level, encoder_channels in enumerate((2048, 1024, 512, 256), 1):
            own = 512 if level == 1 else 256
            self._add(f"p_ims1d2_outl{level}_dimred", _pointwise(encoder_channels, own))
            if level > 1:
                self._add(f"adapt_stage{level}_b2_joint_varout_dimred", _pointwise(own, own))
            self._add(f"mflow_conv_g{level}_pool", nn.Sequential(ChainedPooling(own)))
            if level < 4:
                self._add(f"mflow_conv_g{level}_b3_joint_varout_dimred", _pointwise(own, 256))
        self.clf_conv = nn.Conv2d(256, classes, 3, padding=1)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.clf_conv.out_channels

    def forward(self, image: Tensor) -> Tensor:
        """B×3×H×W normalised → B×classes×⌈H/4⌉×⌈W/4⌉ logits."""
        x = functional.relu(self.bn1(self.conv1(image)))
        x = functional.max_pool2d(x, 3, 2, 1)
        features: list[Tensor] = []
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
            features.append(x)
        y = self._refine(1, features[3], None)
        for level in (2, 3, 4):
            y = self._refine(level, features[4 - level], y)
        return self.clf_conv(y)

    def _refine(self, level: int, feature: Tensor, coarser: Tensor | None) -> Tensor:
        """Fuse an encoder feature with the coarser level's result and pool along a chain."""
        x = self.get_submodule(f"p_ims1d2_outl{level}_dimred")(feature)
        if coarser is not None:
            x = self.get_submodule(f"adapt_stage{level}_b2_joint_varout_dimred")(x)
            coarser = self.get_submodule(f"mflow_conv_g{level - 1}_b3_joint_varout_dimred")(coarser)
            size = (feature.shape[2], feature.shape[3])
            x = x + functional.interpolate(coarser, size, mode="bilinear", align_corners=True)
        return self.get_submodule(f"mflow_conv_g{level}_pool")(functional.relu(x))

    def _add(self, name: str, module: nn.Module) -> None:
        self.add_module(name, module)


def load_refinenet(path: Path) -> LightWeightRefineNet:
    """Read a checkpoint; depth and number of classes follow from its parameters.

    Args:
        path: A state dict as torch.save writes it, plain or under ``state_dict`` or ``model``,
            with or without the ``module.`` of DataParallel.

    Returns:
        The network in evaluation mode.

    Raises:
        ValueError: No such file, not a state dict, or names and shapes that do not fit.
    """
    state = _read_state(path)
    last = max((int(m[1]) for m in map(_THIRD_STAGE.match, state) if m), default=-1)
    depths = {stages[2]: depth for depth, stages in STAGES.items()}
    if last + 1 not in depths or "clf_conv.weight" not in state:
        raise ValueError(
            f"{path}: got {len(state)} parameters ({', '.join(list(state)[:3])}, ...) with "
            f"{last + 1} blocks in layer3, expected Light-weight RefineNet with "
            f"{', '.join(str(blocks) for blocks in depths)} blocks and clf_conv.weight; give a "
            "checkpoint of Light-weight RefineNet 50, 101 or 152, or describe another network in a "
            "segmenter file"
        )
    network = LightWeightRefineNet(depths[last + 1], int(state["clf_conv.weight"].shape[0]))
    # Old checkpoints lack the counters of BatchNorm, which inference does not use.
    own = network.state_dict()
    state.update({name: own[name] for name in own if name.endswith("num_batches_tracked")})
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    wrong = [name for name in own if name in state and own[name].shape != state[name].shape]
    if missing or extra or wrong:
        raise ValueError(
            f"{path}: got {len(missing)} parameters too few ({', '.join(missing[:2]) or '-'}), "
            f"{len(extra)} unknown ({', '.join(extra[:2]) or '-'}) and {len(wrong)} of another "
            f"shape ({', '.join(wrong[:2]) or '-'}), expected those of Light-weight RefineNet-"
            f"{depths[last + 1]}; use the file as published, or describe another network in a "
            "segmenter file"
        )
    network.load_state_dict(state)
    return network.eval()


_THIRD_STAGE = re.compile(r"layer3\.(\d+)\.")


def _read_state(path: Path) -> dict[str, Any]:
    """Return the parameters by name, wrappings taken off."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{path}: got {error.__class__.__name__} while reading it, expected a state dict "
            "written by torch.save; check the path"
        ) from error
    for wrapping in ("state_dict", "model", "segmenter"):
        if isinstance(content, dict) and isinstance(content.get(wrapping), dict):
            content = content[wrapping]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(
            f"{path}: got {type(content).__name__}, expected a mapping of names to tensors; save "
            "the network's state_dict()"
        )
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def _pointwise(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 1, bias=False)
