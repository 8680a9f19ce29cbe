"""Networks that see two pictures and tell the camera's motion between them.

Sources: Zhou et al. 2017, Godard et al. 2019 (pose network), Ji et al. 2021 (residual pose),
Yang et al. 2024 (GAM-Depth).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from gam_depth_training.encoder import ENCODER_CHANNELS, ResNetEncoder

ResidualEncoder = Literal["own", "shared"]
RESIDUAL_ENCODERS = ("own", "shared")


class PoseDecoder(nn.Module):
    """B×512×h×w → axis-angle and translation (B×3 each), from the spatial mean."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(ENCODER_CHANNELS[-1], 256, 1)
        self.conv0 = nn.Conv2d(256, 256, 3, padding=1)
        self.conv1 = nn.Conv2d(256, 256, 3, padding=1)
        # Two poses, of which the method uses the first: public pose weights have this shape.
        self.pose = nn.Conv2d(256, 12, 1)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Return axis-angle (radians) and translation (up to scale)."""
        x = functional.relu(self.squeeze(feature))
        x = functional.relu(self.conv0(x))
        x = functional.relu(self.conv1(x))
        pose = 0.01 * self.pose(x).float().mean((2, 3))
        return pose[:, :3], pose[:, 3:6]


class PoseNetwork(nn.Module):
    """Relative pose of two pictures: B×6×H×W → axis-angle and translation, B×3 each.

    The pictures stand in temporal order; the pose maps points of the first camera to the second.
    Outputs are scaled by 0.01, so that training starts near no motion (Zhou et al. 2017).
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(images=2)
        self.decoder = PoseDecoder()

    def forward(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        """Return axis-angle (radians) and translation (up to scale) of the motion."""
        return self.decoder(self.encoder(pair)[-1])


class MotionNetwork(nn.Module):
    """The first poses between neighbouring frames, and the residual poses that refine them.

    Args:
        residual_passes: How often a warped source is compared with the target again; 0 leaves the
            first poses as they are, as Monodepth2 does.
        residual_encoder: "own": the residual network has its own encoder, as in the figures of
            MonoIndoor and of the paper. "shared": it looks through the first network's encoder,
            as the official code does, which saves 11.2 million parameters.

    Raises:
        ValueError: an argument outside of what is named above.
    """

    def __init__(
        self, residual_passes: int = 1, residual_encoder: ResidualEncoder = "own"
    ) -> None:
        super().__init__()
        if residual_passes < 0 or residual_encoder not in RESIDUAL_ENCODERS:
            raise ValueError(
                f"got {residual_passes} residual passes with encoder '{residual_encoder}', "
                f"expected 0 or more with one of {', '.join(RESIDUAL_ENCODERS)}; change the recipe"
            )
        self.residual_passes = residual_passes
        self.first = PoseNetwork()
        own = residual_passes > 0 and residual_encoder == "own"
        self.residual_encoder = ResNetEncoder(images=2) if own else None
        self.residual_decoder = PoseDecoder() if residual_passes > 0 else None

    def consecutive(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return the motion from each frame to the next one.

        All pairs run as one batch: faster than one by one, and their BatchNorm statistics are of
        more pictures.

        Args:
            frames: B×F×3×H×W in [0, 1], in temporal order.

        Returns:
            Axis-angle (radians) and translation (up to scale), (F−1)×B×3 each.
        """
        batch, count = frames.shape[:2]
        pairs = torch.cat((frames[:, :-1], frames[:, 1:]), dim=2).transpose(0, 1)
        axis_angle, translation = self.first(pairs.flatten(0, 1))
        shape = (count - 1, batch, 3)
        return axis_angle.view(shape), translation.view(shape)

    def residual(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a first pose has missed.

        Args:
            pairs: S×B×6×H×W, for each of S sources the target and the warped source, in temporal
                order.

        Returns:
            Axis-angle (radians) and translation (up to scale), S×B×3 each.
        """
        sources, batch = pairs.shape[:2]
        encoder = self.first.encoder if self.residual_encoder is None else self.residual_encoder
        axis_angle, translation = self.residual_decoder(encoder(pairs.flatten(0, 1))[-1])
        return axis_angle.view(sources, batch, 3), translation.view(sources, batch, 3)
