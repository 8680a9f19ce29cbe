"""ScanNet in the layout of its SensReader: color/, depth/, intrinsic/ in each scene's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_training.clip import DEFAULT_OFFSETS, Clip, read_picture
from gam_depth_training.datasets.split_list import Recording, by_number, existing_depth
from gam_depth_training.datasets.targets import read_targets
from gam_depth_training.evaluation_frames import EvaluationRules
from gam_depth_training.frame_geometry import FrameGeometry

RULES = EvaluationRules()
"""The whole picture; depth in millimetres, at 640×480 where the picture has 1296×968."""

# The pictures that intrinsic_color.txt is for; some exports are smaller.
_CALIBRATED_WH = (1296, 968)


def read_list(
    split_list: Path, root: Path, offsets: Sequence[int] = DEFAULT_OFFSETS, gap: int = 10
) -> list[Clip]:
    """Return the clips of a split list.

    Args:
        split_list: A scene (``scene0707_00``) or a picture (``scene0707_00/color/0.jpg``) a line.
        root: Folder of the scenes.
        offsets: Temporal offsets; (0,) for testing, which needs no neighbours.
        gap: Recorded frames between neighbours, at 30 frames a second.

    Raises:
        ValueError: Scenes, pictures or calibrations that are not there.
    """
    return read_targets(split_list, root, _recording, "color", offsets, gap)


def _recording(root: Path, name: str) -> Recording:
    folder = root / name
    frames = by_number(folder / "color", "*.jpg", lambda path: int(path.stem))
    return Recording(
        name=name,
        frames=frames,
        geometry=FrameGeometry.whole(_camera(folder, frames[0])),
        group=name.rsplit("_", 1)[0],  # scene0707_00 and scene0707_01 are scans of one room
        depth_of=lambda path: existing_depth(folder / "depth" / f"{path.stem}.png"),
    )


def _camera(folder: Path, picture: Path) -> Intrinsics:
    file = folder / "intrinsic" / "intrinsic_color.txt"
    try:
        matrix = np.loadtxt(file)
        fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    except (OSError, ValueError, IndexError) as error:
        raise ValueError(
            f"{file}: got {error.__class__.__name__} while reading it, expected a 4x4 matrix as "
            "SensReader exports it; export the scene with --export_intrinsics"
        ) from error
    camera = Intrinsics(*_CALIBRATED_WH, float(fx), float(fy), float(cx), float(cy))
    height, width = read_picture(picture).shape[:2]
    return camera if camera.size_hw == (height, width) else camera.resized(width, height)
