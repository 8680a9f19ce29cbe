"""Write one stretch of a recording as a sequence folder.

``color/NNNNNN.jpg``, ``depth/NNNNNN.png`` (16-bit millimetres, 0 without a reading; for validation
only), ``frames.csv``, ``intrinsics.json`` (pinhole) and ``sequence.json`` (frame gap, room, sensor,
what was dropped and why).
"""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_training.parallax import Grey, working_picture

SEQUENCE_FILE = "sequence.json"
NANOSECONDS = 1_000_000_000
_JPEG_QUALITY = 95
_MILLIMETRES = 1000.0


@dataclass(frozen=True)
class _Row:
    """One line of frames.csv."""

    frame: str
    source_file: str
    t_seconds: str
    has_depth: int
    has_pose: int
    motion_percent: str


class SequenceWriter:
    """Writes frames as they come; the tables follow at the end.

    Args:
        folder: A new folder.
        intrinsics: Calibration of the undistorted pictures.

    Raises:
        OSError: The folder exists or cannot be written.
    """

    def __init__(self, folder: Path, intrinsics: Intrinsics) -> None:
        self.folder = folder
        self.intrinsics = intrinsics
        self._rows: list[_Row] = []
        (folder / "color").mkdir(parents=True)
        (folder / "depth").mkdir()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def depth_frames(self) -> int:
        """How many frames have depth."""
        return sum(row.has_depth for row in self._rows)

    def add(
        self,
        rgb: npt.NDArray[np.uint8],
        depth_m: npt.NDArray[np.float32] | None,
        stamp_ns: int,
        source: str,
        motion: float,
    ) -> None:
        """Write a frame.

        Args:
            rgb: H×W×3 uint8 RGB, undistorted.
            depth_m: H×W float32 metres, NaN unknown; None where there is none.
            stamp_ns: Acquisition time.
            source: Where it came from.
            motion: Displacement since the frame before that no rotation explains, share of the
                width; NaN for the first.
        """
        name = f"{len(self._rows):06d}"
        picture = self.folder / "color" / f"{name}.jpg"
        _save(picture, rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if depth_m is not None:
            millimetres = np.nan_to_num(depth_m * _MILLIMETRES, nan=0.0, posinf=0.0, neginf=0.0)
            # What 16 bits cannot hold is no reading either.
            millimetres = np.where((millimetres < 0) | (millimetres > 65535), 0, millimetres)
            _save(self.folder / "depth" / f"{name}.png", np.rint(millimetres).astype(np.uint16))
        seconds = f"{stamp_ns // NANOSECONDS}.{stamp_ns % NANOSECONDS:09d}"
        percent = "" if np.isnan(motion) else f"{100 * motion:.3f}"
        self._rows.append(_Row(name, source, seconds, int(depth_m is not None), 0, percent))

    def read_grey(self, index: int) -> Grey:
        """Read a written frame's working picture back."""
        file = self.folder / "color" / f"{index:06d}.jpg"
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            raise OSError(f"{file}: got nothing back of what was written; check the disk")
        return working_picture(np.ascontiguousarray(image[..., ::-1], np.uint8))

    def finish(self, calibration: dict[str, Any], sequence: dict[str, Any]) -> None:
        """Write the tables.

        Args:
            calibration: Further entries of intrinsics.json (sensor, licence, notes).
            sequence: Content of sequence.json.
        """
        names = list(_Row.__dataclass_fields__)
        with (self.folder / "frames.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            writer.writerows([getattr(row, name) for name in names] for row in self._rows)
        camera = self.intrinsics
        values = {
            **{name: getattr(camera, name) for name in ("fx", "fy", "cx", "cy")},
            "width": camera.width,
            "height": camera.height,
            "depth_scale": _MILLIMETRES,
            "depth_unit": "millimetres, 0 = no reading",
            "frames": len(self),
            "depth_frames": self.depth_frames,
            "poses": 0,
        }
        _write_json(self.folder / "intrinsics.json", {**values, **calibration})
        _write_json(self.folder / SEQUENCE_FILE, sequence)

    def discard(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self.folder)


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1) + "\n")


def _save(path: Path, image: npt.NDArray[Any], options: list[int] | None = None) -> None:
    if not cv2.imwrite(str(path), image, options or []):
        raise OSError(
            f"{path}: got no file written, expected a writable folder with space; free some space"
        )
