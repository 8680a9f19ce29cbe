"""A small batch, a prediction and views of it, for the tests of the objective."""

from __future__ import annotations

import torch
from torch import Tensor

from gam_depth_training.geometry import disparity_to_depth
from gam_depth_training.networks import JointPrediction
from gam_depth_training.objective import Objective, ObjectiveOptions, Terms
from gam_depth_training.video_batch import VideoBatch

SIZE = (48, 64)
CLASSES = 5
OFFSETS = (-2, -1, 0, 1, 2)
PLAIN = ObjectiveOptions(photometric="mean", normal=0, planar=0)


def make_batch(batch: int = 2) -> VideoBatch:
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(batch, len(OFFSETS), 3, *SIZE, generator=generator)
    axes = torch.eye(3).expand(batch, 3, 3)
    return VideoBatch(
        frames=frames,
        inputs=frames,
        offsets=OFFSETS,
        intrinsics=torch.tensor([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]).expand(batch, 3, 3),
        directions=torch.cat((axes, -axes), 1),
        magnitude=torch.rand(batch, 1, *SIZE, generator=generator).double() * 600,
        labels=torch.randint(0, CLASSES, (batch, *SIZE), generator=generator),
        keypoints=(torch.rand(batch, 1, *SIZE, generator=generator) > 0.9).float(),
        keys=tuple(f"clip{index}" for index in range(batch)),
    )


def make_prediction(batch: int = 2) -> JointPrediction:
    generator = torch.Generator().manual_seed(1)
    # A wall that faces the camera: its normals lie along a Manhattan direction.
    noise = torch.rand(batch, 1, *SIZE, generator=generator)
    disparity = (0.05 + 1e-4 * noise).requires_grad_()
    logits = torch.randn(batch, CLASSES, *SIZE, generator=generator).requires_grad_()
    depth = disparity_to_depth(disparity)
    return JointPrediction(disparity, depth, torch.zeros_like(depth), logits, depth.mean((2, 3)))


def make_views(batch: VideoBatch) -> dict[int, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        k: (source + 0.1 * torch.rand(source.shape, generator=generator)).clamp(0, 1)
        for k, source in batch.sources
    }


def terms_of(options: ObjectiveOptions, epoch: int = 0, batch: VideoBatch | None = None) -> Terms:
    batch = batch or make_batch()
    return Objective(options)(make_prediction(len(batch.keys)), make_views(batch), batch, epoch)
