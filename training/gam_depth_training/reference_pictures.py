"""Pictures for the training reference: from shards of synthetic rooms and from recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gam_depth_ros.evaluation.bag import Recording, open_recording
from gam_depth_training.batch import load_shards
from gam_depth_training.picture_answers import ReferencePicture

SYNTHETIC = "synthetic rooms"


def shard_pictures(paths: list[Path], most: int) -> Iterator[ReferencePicture]:
    """Yield at most ``most`` pictures of shards, evenly spread."""
    frames = load_shards(paths)
    for index in evenly(len(frames), most):
        yield ReferencePicture(frames.rgb[index], frames.depth_m[index])


def recorded_pictures(path: Path, most: int) -> Iterator[ReferencePicture]:
    """Return at most ``most`` frames of a recording, evenly spread, with reference depth if any.

    The recording is opened here and not with the first frame, so that a wrong path is found before
    anything else has been computed.

    Raises:
        BagError: nothing there that can be read.
    """
    return _pictures_of(open_recording(path), most)


def _pictures_of(recording: Recording, most: int) -> Iterator[ReferencePicture]:
    count = recording.frame_count
    wanted = None if count is None else set(evenly(count, most))
    for index, frame in enumerate(recording.frames()):
        if wanted is None or index in wanted:
            depth_m = None if frame.reference is None else frame.reference.depth_m
            fits = depth_m is not None and depth_m.shape == frame.rgb.shape[:2]
            yield ReferencePicture(frame.rgb, depth_m if fits else None)


def room_of(path: Path) -> str:
    """Return the room of a recording: its name up to the second underscore, as ``tum_freiburg1``.

    Recordings of one room share it, and the limits of one room are learnt together.
    """
    return "_".join(path.stem.split("_")[:2])


def evenly(count: int, most: int) -> list[int]:
    """Return at most ``most`` of ``count`` positions, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
