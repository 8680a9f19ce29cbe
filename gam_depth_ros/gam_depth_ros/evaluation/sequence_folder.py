"""Sequence folders: pictures, depth images, calibration and times as plain files.

``color/NNNNNN.jpg`` (or png), ``depth/NNNNNN.png`` (16-bit millimetres, 0 without a reading,
registered to the colour image), ``intrinsics.json``, ``frames.csv`` (frame, t_seconds, has_depth,
...), and optionally ``labels/NNNNNN.png`` (8-bit ids of the set nyu13, 255 unlabelled) and
``depth_exact/NNNNNN.png`` (as depth, without a sensor's faults).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import CameraError, Intrinsics
from gam_depth_ros.core.frame import Frame, ReferenceDepth
from gam_depth_ros.core.image_codec import ImageError, decode_depth, decode_picture
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.bag_writer import OutMessage
from gam_depth_ros.evaluation.image_messages import input_messages
from gam_depth_ros.evaluation.ros_types import NANOSECONDS
from gam_depth_ros.evaluation.sample import FrameFailure, RecordingStats, Sample

FRAME_ID = "camera_color_optical_frame"
DEFAULT_INTERVAL_S = 0.1
START_S = 1.0
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
MAX_PICTURE_BYTES = 2**28
LARGEST_STAMP_NS = (2**31 - 1) * NANOSECONDS  # what a ROS 2 header holds

Image = TypeVar("Image")


@dataclass(frozen=True)
class FolderEntry:
    """One line of frames.csv.

    Attributes:
        name: Six digits, the stem of the files.
        stamp_ns: Acquisition time, nanoseconds; never zero, which ROS reads as unset.
        has_depth: Whether a depth image is promised.
    """

    name: str
    stamp_ns: int
    has_depth: bool


class FolderRecording:
    """A sequence folder.

    Args:
        path: The folder.

    Attributes:
        intrinsics: Calibration of the pictures; None where there is no intrinsics.json.
        entries: The frames in the order of their stamps.

    Raises:
        BagError: no colour images, or calibration or frame list unreadable.
    """

    kind = "sequence folder"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stats = RecordingStats()
        self.notes: tuple[str, ...] = ()
        self.topics: dict[str, str | None] = {}
        self.intrinsics = _read_intrinsics(path / "intrinsics.json")
        self.entries = _read_entries(path)
        self.frame_count: int | None = len(self.entries)

    def samples(self) -> Iterator[Sample | FrameFailure]:
        """Yield every frame in the order of the stamps, and a failure for each unreadable one."""
        self.stats = RecordingStats()
        for entry in self.entries:
            self.stats.images += 1
            try:
                yield self._read(entry)
            except (BagError, CameraError) as error:
                self.stats.fail(str(error))
                yield FrameFailure(entry.stamp_ns, entry.stamp_ns, str(error))

    def frames(self) -> Iterator[Frame]:
        """Yield the readable frames."""
        for sample in self.samples():
            if isinstance(sample, Sample):
                yield sample.frame

    def input_messages(self) -> Iterator[OutMessage]:
        """Yield the recording as ROS 2 messages, ready to be written to a bag."""
        # A second pass of its own, so that it leaves the counts of samples() alone.
        for frame in FolderRecording(self.path).samples():
            if isinstance(frame, Sample):
                yield from input_messages(frame)

    def color_path(self, entry: FolderEntry) -> Path:
        """Return the file of a frame's picture; raises BagError where there is none."""
        return _color_path(self.path, entry.name)

    def depth_path(self, entry: FolderEntry) -> Path | None:
        """Return the file of a frame's depth image; None where none is promised."""
        return self.path / "depth" / f"{entry.name}.png" if entry.has_depth else None

    def _read(self, entry: FolderEntry) -> Sample:
        rgb = _read_color(self.path, entry.name)
        notes: list[str] = []
        depth, exact, labels = (
            self.path / folder / f"{entry.name}.png"
            for folder in ("depth", "depth_exact", "labels")
        )
        depth_m = _companion(_read_depth, depth, notes) if entry.has_depth else None
        reference = None
        if depth_m is not None:
            reference = ReferenceDepth(depth_m, entry.stamp_ns, FRAME_ID, self._fit(depth_m))
        return Sample(
            frame=Frame(rgb, entry.stamp_ns, FRAME_ID, self._fit(rgb), reference),
            bag_time_ns=entry.stamp_ns,
            labels=_companion(_read_labels, labels, notes) if labels.exists() else None,
            exact_depth_m=_companion(_read_depth, exact, notes) if exact.exists() else None,
            notes=tuple(notes),
        )

    def _fit(self, image: npt.NDArray[np.generic]) -> Intrinsics | None:
        """Return the calibration at the size of an image."""
        known = self.intrinsics
        if known is None or (known.height, known.width) == image.shape[:2]:
            return known
        return known.resized(image.shape[1], image.shape[0])


def is_sequence_folder(path: Path) -> bool:
    """Whether a directory has the layout of a sequence folder."""
    return (path / "color").is_dir()


def _read_intrinsics(path: Path) -> Intrinsics | None:
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text())
        distortion = tuple(float(value) for value in data.get("distortion_k1k2p1p2k3", ()))
        return Intrinsics(
            width=int(data["width"]),
            height=int(data["height"]),
            fx=float(data["fx"]),
            fy=float(data["fy"]),
            cx=float(data["cx"]),
            cy=float(data["cy"]),
            distortion_model="plumb_bob" if any(distortion) else "none",
            distortion=distortion if any(distortion) else (),
        )
    except (AttributeError, LookupError, OSError, ArithmeticError, TypeError, ValueError,
            RecursionError) as error:  # fmt: skip
        raise BagError(
            f"{path}: got {error!r} while reading it, expected width, height, fx, fy, cx and cy; "
            "correct the file, or remove it to go without calibration"
        ) from error


def _read_entries(path: Path) -> list[FolderEntry]:
    """Read frames.csv, or list the pictures where there is none."""
    table = path / "frames.csv"
    try:
        if table.exists():
            # Spreadsheets put a byte order mark before the first heading.
            with table.open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(file))
        else:
            pictures = (p for p in (path / "color").iterdir() if p.suffix in PICTURE_SUFFIXES)
            rows = [{"frame": picture.stem} for picture in sorted(pictures)]
        entries = [
            FolderEntry(
                name=_file_name(row["frame"]),
                stamp_ns=_stamp_ns(row.get("t_seconds") or "", index),
                has_depth=_has_depth(path, row),
            )
            for index, row in enumerate(rows)
        ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise BagError(
            f"{table}: got {error!r} while reading it, expected the columns frame, t_seconds and "
            "has_depth; correct the file"
        ) from error
    if not entries:
        where = "no line in frames.csv" if table.exists() else "no pictures in color/"
        raise BagError(
            f"{path}: got {where}, expected one for each of color/NNNNNN.jpg; record it again, or "
            "remove an empty frames.csv to read every picture"
        )
    entries.sort(key=lambda entry: entry.stamp_ns)
    if entries[0].stamp_ns <= 0:
        # A stamp of zero means "unset" in ROS, so a clock that starts at zero starts at one.
        shift = int(START_S * NANOSECONDS) - entries[0].stamp_ns
        entries = [replace(entry, stamp_ns=entry.stamp_ns + shift) for entry in entries]
    return entries


def _file_name(frame: str) -> str:
    """Return a frame's name, which may not lead out of the folder."""
    if Path(frame).name != frame or frame == "..":
        raise ValueError(f"the frame {frame[:60]!r}, which is no plain file name")
    return frame


def _stamp_ns(seconds: str, index: int) -> int:
    if not seconds:
        return round(index * DEFAULT_INTERVAL_S * NANOSECONDS)
    whole, _, fraction = seconds.strip().partition(".")
    # Digit by digit: a float cannot hold a time of today to the nanosecond.
    stamp = int(whole) * NANOSECONDS + int(f"{fraction:0<9.9}" or "0")
    if abs(stamp) > LARGEST_STAMP_NS:
        raise ValueError(f"the time {seconds[:40]} s")
    return stamp


def _has_depth(path: Path, row: dict[str, str]) -> bool:
    given = row.get("has_depth")
    if given is None:
        return (path / "depth" / f"{row['frame']}.png").exists()
    return given.strip() in ("1", "true", "True")


def _color_path(path: Path, name: str) -> Path:
    for suffix in PICTURE_SUFFIXES:
        file = path / "color" / f"{name}{suffix}"
        if file.exists():
            return file
    raise BagError(
        f"{path / 'color' / name}: got no file, expected .jpg or .png; copy it again, or take its "
        "line out of frames.csv"
    )


def _read_color(path: Path, name: str) -> npt.NDArray[np.uint8]:
    file = _color_path(path, name)
    image = _imread(file, cv2.IMREAD_COLOR)
    if image is None:
        raise BagError(
            f"{file}: got a file that is no picture, expected JPEG or PNG; copy it again"
        )
    return np.ascontiguousarray(image[..., ::-1], np.uint8)


def _imread(file: Path, flags: int) -> npt.NDArray[np.generic] | None:
    """Read a picture; None where there is none, or none of a size and kind that may be decoded."""
    try:
        if not file.is_file() or file.stat().st_size > MAX_PICTURE_BYTES:
            return None
        return decode_picture(file.read_bytes(), flags)
    except (ImageError, OSError):
        return None


def _companion(read: Callable[[Path], Image], file: Path, notes: list[str]) -> Image | None:
    """Read what belongs to a picture; what is broken costs a note, not the frame."""
    try:
        return read(file)
    except BagError as error:
        notes.append(str(error))
        return None


def _read_depth(file: Path) -> npt.NDArray[np.float32]:
    """Return metres, NaN without a reading."""
    image = _imread(file, cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint16 or image.ndim != 2:
        got = "no readable file" if image is None else f"{image.dtype} of shape {image.shape}"
        raise BagError(
            f"{file}: got {got}, expected a 16-bit PNG in millimetres; copy or write it again"
        )
    height, width = image.shape
    return decode_depth(image, "16UC1", height, width, step=2 * width)


def _read_labels(file: Path) -> npt.NDArray[np.uint8]:
    image = _imread(file, cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.uint8 or image.ndim != 2:
        raise BagError(
            f"{file}: got no 8-bit one-channel PNG, expected ids 0 to 12, 255 "
            "unlabelled; write it again"
        )
    return np.asarray(image, np.uint8)
