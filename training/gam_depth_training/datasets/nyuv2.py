"""NYU Depth v2: raw recordings for training, the labelled set for testing.

The camera is the Kinect's colour camera as the data set's toolbox gives it. Training pictures lose
16 pixels at each side, where undistortion and the recordings' white frame leave nothing to see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.mat5 import read_mat5
from gam_depth_training.clip import DEFAULT_OFFSETS, Clip, check_offsets, known_depth
from gam_depth_training.datasets.split_list import read_split_list
from gam_depth_training.evaluation_frames import EvaluationFrame, EvaluationRules, limit_known
from gam_depth_training.frame_geometry import FrameGeometry

CAMERA = Intrinsics(
    width=640,
    height=480,
    fx=518.857901,
    fy=519.469611,
    cx=325.582449,
    cy=253.736166,
    distortion_model="plumb_bob",
    distortion=(0.20796615, -0.58613825, 7.2231363e-4, 1.0479627e-3, 0.49856987),
)
TRAINING_GEOMETRY = FrameGeometry.cropped(CAMERA, (16, 16, 608, 448))

RULES = EvaluationRules(crop_xywh=(40, 44, 561, 427))
"""Rows 44 to 470 and columns 40 to 600, of pictures that are not undistorted."""

# What the nine paths of a line of the training list show: frames relative to the target.
_LINE_FRAMES = (0, -40, -30, -20, -10, 10, 20, 30, 40)


def read_training_list(
    split_list: Path, root: Path, offsets: Sequence[int] = DEFAULT_OFFSETS, gap: int = 10
) -> list[Clip]:
    """Return the clips of P²Net's and StructDepth's training list.

    Args:
        split_list: Nine paths a line: the target, then frames −40…−10 and +10…+40 around it.
        root: Folder of the raw recordings.
        offsets: Temporal offsets in units of ``gap``.
        gap: Recorded frames between neighbours; a multiple of ten.

    Raises:
        ValueError: A line without nine paths, or offsets that the list does not have.
    """
    check_offsets(offsets)
    frames = [offset * gap for offset in offsets]
    unknown = [frame for frame in frames if frame not in _LINE_FRAMES]
    if unknown:
        raise ValueError(
            f"offsets: got frame {unknown[0]:+d}, expected one of {sorted(_LINE_FRAMES)}, which "
            "the list has; change offsets or gap"
        )
    columns = [_LINE_FRAMES.index(frame) for frame in frames]
    clips = []
    for words in read_split_list(split_list):
        if len(words) != len(_LINE_FRAMES):
            raise ValueError(
                f"{split_list}: got {len(words)} paths in the line of {words[0]}, expected "
                f"{len(_LINE_FRAMES)}: frames {_LINE_FRAMES}"
            )
        target = PurePosixPath(words[0].lstrip("/"))
        clips.append(
            Clip(
                key=str(target.with_suffix("")),
                frames=tuple(root / words[column].lstrip("/") for column in columns),
                offsets=tuple(offsets),
                geometry=TRAINING_GEOMETRY,
                group=_room_of(target),
            )
        )
    return clips


def read_labelled(
    labelled: Path, split: Path, rules: EvaluationRules = RULES
) -> Iterator[EvaluationFrame]:
    """Yield the test frames of the labelled set.

    Args:
        labelled: nyu_depth_v2_labeled.mat.
        split: splits.mat, whose ``testNdxs`` count, or a text file of numbers; both count from 1.
        rules: Crop and limits.

    Raises:
        ValueError: A file of another kind, or a number outside the set.
    """
    numbers = read_numbers(split)
    try:
        file = h5py.File(labelled)
    except OSError as error:
        raise ValueError(
            f"{labelled}: got no HDF5 file, expected nyu_depth_v2_labeled.mat; copy it again"
        ) from error
    with file:
        missing = [name for name in ("images", "depths") if name not in file]
        if missing:
            raise ValueError(
                f"{labelled}: got no {missing[0]}, expected images and depths as in "
                "nyu_depth_v2_labeled.mat; copy it again"
            )
        count = len(file["images"])
        outside = [number for number in numbers if not 1 <= number <= count]
        if outside:
            raise ValueError(
                f"{split}: got number {outside[0]}, expected 1 to {count} as {labelled} has"
            )
        for number in numbers:
            yield _labelled_frame(file, number, rules)


def read_numbers(split: Path) -> list[int]:
    """Return the numbers of a split, counted from 1; raises ValueError where there are none."""
    if split.suffix != ".mat":
        try:
            return [int(words[0]) for words in read_split_list(split)]
        except ValueError as error:
            raise ValueError(f"{split}: expected one number a line; {error}") from error
    arrays = read_mat5(split)
    if "testNdxs" not in arrays:
        raise ValueError(f"{split}: got {sorted(arrays)}, expected testNdxs as in splits.mat")
    return [int(number) for number in arrays["testNdxs"].ravel()]


def _labelled_frame(file: h5py.File, number: int, rules: EvaluationRules) -> EvaluationFrame:
    # MATLAB writes its columns first: 3×W×H and W×H.
    rgb = np.asarray(file["images"][number - 1]).transpose(2, 1, 0)
    depth = np.asarray(file["depths"][number - 1]).T
    x, y, width, height = rules.crop_xywh or (0, 0, rgb.shape[1], rgb.shape[0])
    window = np.s_[y : y + height, x : x + width]
    key = f"labelled/{number:04d}"
    return EvaluationFrame(
        key=key,
        group=_scene(file, number),
        rgb=np.ascontiguousarray(rgb[window]),
        depth_m=limit_known(known_depth(depth[window], key), rules),
    )


def _scene(file: h5py.File, number: int) -> str:
    """The room as the file names it; empty where it does not."""
    if "scenes" not in file:
        return ""
    letters = file[file["scenes"][0, number - 1]]
    return _without_part("".join(chr(code) for code in np.asarray(letters).ravel()))


def _room_of(target: PurePosixPath) -> str:
    return _without_part(target.parts[0])


def _without_part(name: str) -> str:
    """basement_0001a and basement_0001b are parts of one recording."""
    return re.sub(r"(_\d{4})[a-z]$", r"\1", name)
