"""Microsoft's 7-Scenes: frame-NNNNNN.color.png and .depth.png in each scene's seq-NN folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_training.clip import DEFAULT_OFFSETS, Clip
from gam_depth_training.datasets.split_list import (
    Recording,
    by_number,
    existing_depth,
    read_split_list,
    require_clips,
)
from gam_depth_training.evaluation_frames import EvaluationRules
from gam_depth_training.frame_geometry import FrameGeometry

# Nominal, as the data set's page gives it: its cameras were not calibrated.
CAMERA = Intrinsics(640, 480, fx=585.0, fy=585.0, cx=320.0, cy=240.0)
INVALID_DEPTH = 65535

RULES = EvaluationRules()
"""The whole picture; depth in millimetres."""


def read_list(
    split_list: Path, root: Path, offsets: Sequence[int] = DEFAULT_OFFSETS, gap: int = 5
) -> list[Clip]:
    """Return the clips of a split list.

    Args:
        split_list: ``chess/seq-01`` a line, or the data set's own TrainSplit.txt or TestSplit.txt
            in a scene's folder, with ``sequence1`` a line.
        root: Folder of the scenes.
        offsets: Temporal offsets; (0,) for testing, which needs no neighbours.
        gap: Recorded frames between neighbours, at 30 frames a second.

    Raises:
        ValueError: Sequences that are not there, or none long enough.
    """
    clips: list[Clip] = []
    count = 0
    for words in read_split_list(split_list):
        recording = _recording(root, _sequence_name(words[0], split_list))
        count += len(recording.frames)
        clips += recording.clips(offsets, gap)
    return require_clips(clips, count, split_list)


def _sequence_name(word: str, split_list: Path) -> str:
    own = re.fullmatch(r"sequence(\d+)", word)
    return f"{split_list.parent.name}/seq-{int(own.group(1)):02d}" if own else word.strip("/")


def _recording(root: Path, name: str) -> Recording:
    folder = root / name

    def depth_of(picture: Path) -> object:
        path = folder / picture.name.replace(".color.", ".depth.")
        return existing_depth(path, unknown=(0, INVALID_DEPTH))

    return Recording(
        name=name,
        frames=by_number(folder, "frame-*.color.png", lambda path: int(path.name[6:12])),
        geometry=FrameGeometry.whole(CAMERA),
        group=name.split("/")[0],
        depth_of=depth_of,  # type: ignore[arg-type]
    )
