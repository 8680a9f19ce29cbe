"""The loader of clips: what its processes hand over, and what the training makes of it."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from gam_depth_training.colour_jitter import ColourJitter
from gam_depth_training.video_batch import VideoBatch, collate
from gam_depth_training.video_dataset import VideoDataset
from gam_depth_training.video_loader import Place, StepSampler, WithoutGaps, video_loader

from .video_runs import SIZE_HW, KnownTargets, clips_of, tiny_recipe, write_sequence

STEPS = 3


@pytest.fixture
def clips(tmp_path):
    return clips_of(tiny_recipe(), write_sequence(tmp_path / "wall"))


def dataset(clips):
    return VideoDataset(clips, SIZE_HW, jitter=ColourJitter(), prepared=KnownTargets())


@pytest.mark.parametrize("workers", [0, 2])
def test_bytes_from_the_loaders_processes_become_the_very_batches_of_floats(clips, workers):
    direct = WithoutGaps(dataset(clips))
    sampler = StepSampler(len(clips), 2, 7, Place())
    expected = [collate([direct[key] for key in sampler.batch(step)]) for step in range(STEPS)]
    loaded = video_loader(dataset(clips), 2, 7, Place(), workers)
    for batch, wanted in zip(loaded, expected, strict=False):
        moved = batch.to(torch.device("cpu"))
        for entry in fields(VideoBatch):
            value, right = getattr(moved, entry.name), getattr(wanted, entry.name)
            if isinstance(right, torch.Tensor):
                assert value.dtype == right.dtype, entry.name
                assert torch.equal(value, right), entry.name
            else:
                assert value == right, entry.name


def test_the_loaders_processes_hand_over_bytes(clips):
    batch = next(iter(video_loader(dataset(clips), 2, 7, Place(), 1)))
    for name in ("frames", "inputs", "labels", "keypoints"):
        assert getattr(batch, name).dtype == torch.uint8, name
