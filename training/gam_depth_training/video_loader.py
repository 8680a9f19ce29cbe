"""The order in which a training sees its clips: fixed by the seed, the same after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from gam_depth_training.batch import Batch, TrainingBatches, augment
from gam_depth_training.config import AugmentationConfig
from gam_depth_training.video_batch import VideoBatch, VideoSample, collate_bytes

# A clip that cannot be read is replaced by the next; so many in a row are no accident.
MAX_LOST_CLIPS = 16


class Clips(Protocol):
    """What is trained on: a sample by index, changed at random by seed, epoch and index alone."""

    epoch: int

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> VideoSample | None: ...


@dataclass(frozen=True)
class Place:
    """Where in the data a run stands, and which part of each batch is this process's.

    Attributes:
        first_step: Optimiser steps already taken.
        rank: Number of this process among ``ranks``.
        ranks: Processes that train together.
    """

    first_step: int = 0
    rank: int = 0
    ranks: int = 1

    def share(self, batch_size: int) -> int:
        """Return this process's part of a batch.

        Raises:
            ValueError: the batch cannot be split evenly.
        """
        if batch_size % self.ranks:
            raise ValueError(
                f"got batch_size {batch_size} on {self.ranks} devices, expected a multiple of "
                "their number; change batch_size"
            )
        return batch_size // self.ranks


class StepSampler(Sampler[list[tuple[int, int]]]):
    """For each step, endlessly, the (epoch, index) of every clip of this process's batch.

    An epoch shows each clip at most once, in an order that depends on the seed and the epoch
    alone. Several processes have consecutive parts of the batch that one process would have.

    Args:
        clips: Number of clips; fewer than a batch are shown repeatedly.
        batch_size: Clips of a step over all processes.
        seed: Seeds the order.
        place: Where to start, and for which process.
    """

    def __init__(self, clips: int, batch_size: int, seed: int, place: Place) -> None:
        self.clips = clips
        self.batch_size = batch_size
        self.seed = seed
        self.place = place
        self.share = place.share(batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        step = self.place.first_step
        while True:
            yield self.batch(step)
            step += 1

    def batch(self, step: int) -> list[tuple[int, int]]:
        """Return the (epoch, index) pairs of one step."""
        epoch, position = divmod(step, max(1, self.clips // self.batch_size))
        order = np.random.default_rng((self.seed, epoch)).permutation(self.clips)
        order = np.resize(order, max(self.clips, self.batch_size))
        first = position * self.batch_size + self.place.rank * self.share
        return [(epoch, int(index)) for index in order[first : first + self.share]]


class WithoutGaps(Dataset[VideoSample]):
    """Clips by (epoch, index), in which a clip that cannot be read is replaced by the next.

    So a batch always has its size, and several processes stay in step.
    """

    def __init__(self, clips: Clips) -> None:
        self.clips = clips

    def __getitem__(self, key: tuple[int, int]) -> VideoSample:
        """Return a sample.

        Raises:
            ValueError: many clips in a row cannot be read.
        """
        epoch, index = key
        # Set here, not between epochs: worker processes have a copy of their own.
        self.clips.epoch = epoch
        for step in range(min(MAX_LOST_CLIPS, len(self.clips))):
            sample = self.clips[(index + step) % len(self.clips)]
            if sample is not None:
                return sample
        raise ValueError(
            f"got {min(MAX_LOST_CLIPS, len(self.clips))} clips in a row that cannot be read, "
            "expected a few at most; look at the warnings above and at the data"
        )


def video_loader(
    clips: Clips, batch_size: int, seed: int, place: Place, workers: int
) -> DataLoader[VideoBatch]:
    """Return the endless batches of this process, from its first step on.

    Pictures come as bytes; ``VideoBatch.to`` makes floats of them on the device, as Lightning calls
    it. A worker then hands over a quarter, and at 288×384 works about half as long for a clip.

    Args:
        clips: What to train on.
        batch_size: Clips of a step over all processes.
        seed: Seeds the order.
        place: Where to start, and for which process.
        workers: Processes that prepare batches; 0 prepares them in this one.
    """
    return DataLoader(
        WithoutGaps(clips),  # type: ignore[arg-type]
        batch_sampler=StepSampler(len(clips), batch_size, seed, place),  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=collate_bytes,
        pin_memory=torch.cuda.is_available(),
    )


class ReplayedRooms(Dataset[Batch]):
    """This process's batch of synthetic rooms by step, their look changed at random.

    Args:
        rooms: Batches of rooms, of all processes together.
        place: Which part of the rooms is this process's.
    """

    def __init__(self, rooms: TrainingBatches, place: Place) -> None:
        self.rooms = rooms
        share = place.share(rooms.batch_size)
        self.part = slice(place.rank * share, (place.rank + 1) * share)

    def __getitem__(self, step: int) -> Batch:
        """Return the rooms of a step; the same in any worker process and after a restart."""
        rooms = self.rooms.batch(step)
        generator = torch.Generator().manual_seed(self.rooms.seed * 1_000_003 + step)
        image = augment(rooms.image, AugmentationConfig(), 1.0, generator)
        return Batch(image[self.part], rooms.depth_m[self.part], rooms.label[self.part])


class StepsFrom(Sampler[int]):
    """The numbers of the steps, endlessly, from the first on."""

    def __init__(self, first_step: int) -> None:
        self.first_step = first_step

    def __iter__(self) -> Iterator[int]:
        return count(self.first_step)


def room_loader(rooms: TrainingBatches, place: Place, workers: int) -> DataLoader[Batch]:
    """Return the endless batches of rooms of this process, from its first step on.

    One worker process crops and changes them, however many load clips: the rooms lie in memory,
    which it shares, and nothing of them is read from files.

    Args:
        rooms: Batches of rooms, of all processes together.
        place: Where to start, and for which process.
        workers: Processes that prepare batches of clips; 0 prepares the rooms in this one too.
    """
    return DataLoader(
        ReplayedRooms(rooms, place),
        sampler=StepsFrom(place.first_step),
        batch_size=None,
        num_workers=min(workers, 1),
    )


class WithReplay:
    """Pairs each batch of clips with a batch of synthetic rooms.

    Args:
        video: Batches of clips.
        rooms: Batches of rooms.
    """

    def __init__(self, video: DataLoader[VideoBatch], rooms: DataLoader[Batch]) -> None:
        self.video = video
        self.rooms = rooms

    def __iter__(self) -> Iterator[tuple[VideoBatch, Batch]]:
        return zip(self.video, self.rooms, strict=False)
