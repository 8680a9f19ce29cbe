"""Write stretches of a recording as sequence folders, which training and evaluation read."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.bag_writer import make_directory
from gam_depth_ros.evaluation.observation import Float
from gam_depth_ros.evaluation.ros_types import NANOSECONDS

JPEG_QUALITY = 95
WRITABLE_LENSES = ("none", "plumb_bob")
_MILLIMETRES = 1000.0
_MOST_MILLIMETRES = 65535.0
_COLUMNS = ("frame", "source_file", "t_seconds", "has_depth", "has_pose")


@dataclass(frozen=True)
class StretchInfo:
    """What training is told of a stretch.

    Attributes:
        frame_gap: Frames between the neighbours of a clip.
        room: Recordings of one room never stand on both sides of a split.
        source: The recording it is from.
        picked: Reasons by frame name, for people.
    """

    frame_gap: int
    room: str
    source: str
    picked: dict[str, str]


class StretchWriter:
    """Writes one folder: ``color/``, ``depth/``, and the tables at the end.

    Args:
        folder: The folder; it must not hold frames yet.
        intrinsics: Calibration of the pictures as they are.

    Raises:
        BagError: the folder holds frames, cannot be made, or the lens is of a kind that
            intrinsics.json cannot state.
    """

    def __init__(self, folder: Path, intrinsics: Intrinsics) -> None:
        check_lens(intrinsics, folder)
        if (folder / "color").exists():
            raise BagError(f"{folder}: got a folder with frames, expected a new one; remove it")
        make_directory(folder / "color")
        make_directory(folder / "depth")
        self.folder = folder
        self._intrinsics = intrinsics
        self._rows: list[tuple[str, str, str, int, int]] = []

    def add(
        self, rgb: npt.NDArray[np.uint8], depth_m: Float | None, stamp_ns: int, source: str
    ) -> str:
        """Write a frame and return its name.

        Args:
            rgb: H×W×3 uint8 RGB.
            depth_m: H×W float32 metres, NaN unknown; None where there is none.
            stamp_ns: Acquisition time.
            source: Where it came from, in words.
        """
        name = f"{len(self._rows):06d}"
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        _save(self.folder / "color" / f"{name}.jpg", rgb[..., ::-1], quality)
        if depth_m is not None:
            millimetres = np.nan_to_num(depth_m * np.float32(_MILLIMETRES), nan=0.0, posinf=0.0)
            outside = (millimetres < 0) | (millimetres > _MOST_MILLIMETRES)
            millimetres[outside] = 0.0  # what 16 bits cannot hold is no reading either
            _save(self.folder / "depth" / f"{name}.png", np.rint(millimetres).astype(np.uint16), [])
        seconds = f"{stamp_ns // NANOSECONDS}.{stamp_ns % NANOSECONDS:09d}"
        self._rows.append((name, source, seconds, int(depth_m is not None), 0))
        return name

    def finish(self, info: StretchInfo) -> None:
        """Write frames.csv, intrinsics.json and sequence.json."""
        with (self.folder / "frames.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows(self._rows)
        camera = self._intrinsics
        calibration: dict[str, Any] = {
            **{name: getattr(camera, name) for name in ("fx", "fy", "cx", "cy", "width", "height")},
            "depth_scale": _MILLIMETRES,
            "depth_unit": "millimetres, 0 = no reading",
            "frames": len(self._rows),
        }
        if camera.distortion:
            calibration["distortion_k1k2p1p2k3"] = list(camera.distortion)
        _write_json(self.folder / "intrinsics.json", calibration)
        _write_json(
            self.folder / "sequence.json",
            {
                "frame_gap": info.frame_gap,
                "room": info.room,
                "source": info.source,
                "picked": info.picked,
            },
        )


def check_lens(intrinsics: Intrinsics | None, of: Path) -> None:
    """Raise BagError where there is no calibration, or one that a folder cannot state."""
    if intrinsics is None:
        raise BagError(
            f"{of}: got pictures without calibration, expected a camera_info or intrinsics.json, "
            "which training needs; record it too"
        )
    if intrinsics.distortion_model not in WRITABLE_LENSES:
        raise BagError(
            f"{of}: got the lens model {intrinsics.distortion_model}, expected one of "
            f"{', '.join(WRITABLE_LENSES)}; record rectified pictures"
        )


def _save(path: Path, image: npt.NDArray[Any], options: list[int]) -> None:
    if not cv2.imwrite(str(path), image, options):
        raise OSError(f"{path}: got no file written, expected a folder with space; free some")


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
