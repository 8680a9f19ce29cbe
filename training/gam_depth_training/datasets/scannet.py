"""ScanNet in the layout of its SensReader: color/, depth/, intrinsic/ in each scene's folder.

For testing also as P²Net's test set is packed: all pictures in one folder, the slashes of their
names made underscores (``scene0707_00_color_0.jpg``, ``scene0707_00_depth_0.png``).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_training.clip import DEFAULT_OFFSETS, Clip, DepthFile, read_picture
from gam_depth_training.datasets.split_list import Recording, by_number, existing_depth
from gam_depth_training.datasets.targets import read_targets
from gam_depth_training.evaluation_frames import EvaluationRules
from gam_depth_training.frame_geometry import FrameGeometry

RULES = EvaluationRules()
"""The whole picture; depth in millimetres, at 640×480 where the picture has 1296×968."""

logger = logging.getLogger(__name__)

# The pictures that intrinsic_color.txt is for; some exports are smaller.
_CALIBRATED_WH = (1296, 968)
# About what the colour cameras have; for scores alone, which depend on no camera.
_NOMINAL = Intrinsics(*_CALIBRATED_WH, fx=1170.0, fy=1170.0, cx=647.5, cy=483.5)


def read_list(
    split_list: Path, root: Path, offsets: Sequence[int] = DEFAULT_OFFSETS, gap: int = 10
) -> list[Clip]:
    """Return the clips of a split list.

    Args:
        split_list: A scene (``scene0707_00``) or a picture (``scene0707_00/color/0.jpg``) a line.
        root: Folder of the scenes, or of a packed test set's files.
        offsets: Temporal offsets; (0,) for testing, which needs neither neighbours nor an
            ``intrinsic`` folder: a nominal calibration stands in for it, with a warning.
        gap: Recorded frames between neighbours, at 30 frames a second.

    Raises:
        ValueError: Scenes, pictures or calibrations that are not there; neighbours of a packed
            test set, whose frames are far apart.
    """
    alone = tuple(offsets) == (0,)
    return read_targets(
        split_list, root, partial(_recording, alone=alone), "color", offsets, gap, _file_of
    )


def _file_of(root: Path, picture: PurePosixPath) -> Path:
    packed = root / "_".join(picture.parts)
    return packed if packed.exists() else root / picture


def _recording(root: Path, name: str, alone: bool) -> Recording:
    folder = root / name
    packed = not folder.exists() and any(root.glob(f"{name}_color_*.jpg"))
    if packed and not alone:
        raise ValueError(
            f"{root}: got a packed test set, expected recordings for clips with neighbours; take "
            "scenes as SensReader exports them"
        )
    if packed:
        frames = by_number(root, f"{name}_color_*.jpg", lambda path: int(path.stem.split("_")[-1]))
    else:
        frames = by_number(folder / "color", "*.jpg", lambda path: int(path.stem))

    def depth_of(picture: Path) -> DepthFile | None:
        if packed:
            stem = picture.stem.replace("_color_", "_depth_")
            return existing_depth(root / f"{stem}.png")
        return existing_depth(folder / "depth" / f"{picture.stem}.png")

    return Recording(
        name=name,
        frames=frames,
        geometry=FrameGeometry.whole(_camera(folder, frames[0], alone)),
        group=name.rsplit("_", 1)[0],  # scene0707_00 and scene0707_01 are scans of one room
        depth_of=depth_of,
    )


def _camera(folder: Path, picture: Path, alone: bool) -> Intrinsics:
    file = folder / "intrinsic" / "intrinsic_color.txt"
    if alone and not file.parent.exists():
        logger.warning("%s: no intrinsic/, so a nominal camera; enough for scores", folder)
        camera = _NOMINAL
    else:
        camera = _read_camera(file)
    height, width = read_picture(picture).shape[:2]
    return camera if camera.size_hw == (height, width) else camera.resized(width, height)


def _read_camera(file: Path) -> Intrinsics:
    try:
        matrix = np.loadtxt(file)
        fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
    except (OSError, ValueError, IndexError) as error:
        raise ValueError(
            f"{file}: got {error.__class__.__name__} while reading it, expected a 4x4 matrix as "
            "SensReader exports it; export the scene with --export_intrinsics"
        ) from error
    return Intrinsics(*_CALIBRATED_WH, float(fx), float(fy), float(cx), float(cy))
