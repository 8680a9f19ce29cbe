"""TUM RGB-D recordings: rgb.txt and depth.txt list times and files; one camera a laboratory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_training.clip import DEFAULT_OFFSETS, Clip, DepthFile
from gam_depth_training.datasets.split_list import Recording, read_split_list, require_clips
from gam_depth_training.evaluation_frames import EvaluationRules
from gam_depth_training.frame_geometry import FrameGeometry

# As the benchmark's page gives them; the third camera's pictures come undistorted.
CAMERAS = {
    "freiburg1": Intrinsics(
        640, 480, 517.3, 516.5, 318.6, 255.3,
        "plumb_bob", (0.2624, -0.9531, -0.0054, 0.0026, 1.1633),
    ),
    "freiburg2": Intrinsics(
        640, 480, 520.9, 521.0, 325.1, 249.7,
        "plumb_bob", (0.2312, -0.7849, -0.0033, -0.0001, 0.9172),
    ),
    "freiburg3": Intrinsics(640, 480, 535.4, 539.2, 320.1, 247.6),
}  # fmt: skip
UNITS_PER_M = 5000.0
# Colour and depth further apart than this do not show the same moment.
MAX_TIME_DIFFERENCE_S = 0.02

RULES = EvaluationRules()
"""The whole picture, undistorted; depth in fifths of a millimetre."""


def read_list(
    split_list: Path, root: Path, offsets: Sequence[int] = DEFAULT_OFFSETS, gap: int = 3
) -> list[Clip]:
    """Return the clips of a split list.

    All recordings of a laboratory show one room: they share a group.

    Args:
        split_list: A recording's folder (``rgbd_dataset_freiburg1_xyz``) a line.
        root: Folder of the recordings.
        offsets: Temporal offsets; (0,) for testing, which needs no neighbours.
        gap: Recorded frames between neighbours, at 30 frames a second.

    Raises:
        ValueError: Recordings that are not there, of an unknown camera, or none long enough.
    """
    clips: list[Clip] = []
    count = 0
    for words in read_split_list(split_list):
        recording = _recording(root, words[0].strip("/"))
        count += len(recording.frames)
        clips += recording.clips(offsets, gap)
    return require_clips(clips, count, split_list)


def _recording(root: Path, name: str) -> Recording:
    laboratory = re.search(r"freiburg\d", name)
    if laboratory is None or laboratory.group() not in CAMERAS:
        raise ValueError(
            f"{name}: got a recording of an unknown camera, expected {', '.join(CAMERAS)} in its "
            "name; make a sequence folder with its own intrinsics.json of it"
        )
    folder = root / name
    times, pictures = _read_index(folder / "rgb.txt", folder)
    depths = _paired_depth(times, pictures, folder)
    return Recording(
        name=name,
        frames=pictures,
        geometry=FrameGeometry.whole(CAMERAS[laboratory.group()]),
        group=laboratory.group(),
        depth_of=depths.get,
    )


def _read_index(path: Path, folder: Path) -> tuple[np.ndarray, list[Path]]:
    """Times in seconds and files of an index, in the order of time."""
    try:
        rows = sorted((float(words[0]), words[1]) for words in read_split_list(path))
    except (IndexError, ValueError) as error:
        raise ValueError(f"{path}: expected a time and a file a line; {error}") from error
    return np.array([time for time, _ in rows]), [folder / file for _, file in rows]


def _paired_depth(
    times: np.ndarray, pictures: Sequence[Path], folder: Path
) -> dict[Path, DepthFile]:
    """The depth nearest in time to each picture, where one is near enough."""
    index = folder / "depth.txt"
    if not index.exists():
        return {}
    depth_times, files = _read_index(index, folder)
    after = np.searchsorted(depth_times, times).clip(1, max(1, len(files) - 1))
    pairs = {}
    for time, picture, right in zip(times, pictures, after, strict=True):
        candidates = range(right - 1, min(right + 1, len(files)))
        nearest = min(candidates, key=lambda place: abs(depth_times[place] - time))
        if abs(depth_times[nearest] - time) <= MAX_TIME_DIFFERENCE_S:
            pairs[picture] = DepthFile(files[nearest], UNITS_PER_M)
    return pairs
