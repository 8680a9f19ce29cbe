"""The loader of clips: what its processes hand over, and what the training makes of it."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from itertools import islice

import numpy as np
import pytest
import torch

from gam_depth_training.batch import Batch, ShardFrames, TrainingBatches
from gam_depth_training.colour_jitter import ColourJitter
from gam_depth_training.video_batch import VideoBatch, collate
from gam_depth_training.video_dataset import VideoDataset
from gam_depth_training.video_loader import (
    Place,
    StepSampler,
    WithoutGaps,
    WithReplay,
    room_loader,
    video_loader,
)

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


class RoomsThatKnowTheirProcess(TrainingBatches):
    """Rooms whose labels name the process that cropped them."""

    def batch(self, step: int) -> Batch:
        made = super().batch(step)
        return replace(made, label=torch.full_like(made.label, os.getpid()))


def rooms(kind: type[TrainingBatches] = TrainingBatches) -> TrainingBatches:
    rng = np.random.default_rng(0)
    frames = ShardFrames(
        rng.integers(0, 255, (12, 64, 64, 3)).astype(np.uint8),
        rng.uniform(1, 4, (12, 64, 64)).astype(np.float16),
        rng.integers(0, 13, (12, 64, 64)).astype(np.uint8),
    )
    return kind(frames, SIZE_HW, 4, seed=7, crop=0.75)


def replayed(place: Place, workers: int, steps: int) -> list[Batch]:
    return list(islice(room_loader(rooms(), place, workers), steps))


def test_rooms_are_the_same_in_a_worker_after_a_restart_and_over_two_devices():
    whole = replayed(Place(), 0, 4)
    assert not torch.equal(whole[0].image, whole[1].image)
    resumed = replayed(Place(first_step=2), 1, 2)
    parts = [replayed(Place(rank=rank, ranks=2), 0, 4) for rank in (0, 1)]
    for entry in fields(Batch):
        values = [getattr(batch, entry.name) for batch in whole]
        for expected, batch in zip(values[2:], resumed, strict=True):
            assert torch.equal(getattr(batch, entry.name), expected), entry.name
        for step, expected in enumerate(values):
            joined = torch.cat([getattr(part[step], entry.name) for part in parts])
            assert torch.equal(joined, expected), entry.name


def test_rooms_are_cropped_in_a_worker_where_clips_are(clips):
    for workers in (0, 2):
        video = video_loader(dataset(clips), 2, 7, Place(), workers)
        loader = WithReplay(video, room_loader(rooms(RoomsThatKnowTheirProcess), Place(), workers))
        batch, room = next(iter(loader))
        assert isinstance(batch, VideoBatch)
        assert (int(room.label[0, 0, 0]) == os.getpid()) == (workers == 0)
