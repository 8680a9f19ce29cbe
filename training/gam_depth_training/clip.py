"""A clip: neighbouring frames of one recording, and how its files are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_training.frame_geometry import FrameGeometry

# The target, and four neighbours, in units of the recording's frame gap.
DEFAULT_OFFSETS = (-2, -1, 0, 1, 2)
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


class UnreadableFrameError(ValueError):
    """A file of one frame cannot be used. The message is one line: got, expected, remedy."""


@dataclass(frozen=True)
class DepthFile:
    """Where a target's reference depth lies and how it is stored.

    Attributes:
        path: A 16-bit picture.
        units_per_m: Stored value of one metre.
        unknown: Stored values that mean "no reading".
    """

    path: Path
    units_per_m: float = 1000.0
    unknown: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Clip:
    """Neighbouring frames of one recording; the target is the one at offset 0.

    Attributes:
        key: Name of the target, unique in a data set: the recording and the frame.
        frames: Picture files in temporal order, one for each offset.
        offsets: Temporal offsets in rising order, in units of the frame gap.
        geometry: The camera and what of its picture is used.
        depth: Reference depth of the target, for validation only; None where there is none.
        group: The room; clips of one group never stand on both sides of a split.

    Raises:
        ValueError: Offsets that do not rise, lack 0 or are not as many as the frames.
    """

    key: str
    frames: tuple[Path, ...]
    offsets: tuple[int, ...]
    geometry: FrameGeometry
    depth: DepthFile | None = None
    group: str = ""

    def __post_init__(self) -> None:
        check_offsets(self.offsets)
        if len(self.frames) != len(self.offsets):
            raise ValueError(
                f"clip {self.key}: got {len(self.frames)} frames, expected {len(self.offsets)}, "
                "one for each offset"
            )

    @property
    def target(self) -> Path:
        """The target's picture file."""
        return self.frames[self.offsets.index(0)]


def check_offsets(offsets: Sequence[int]) -> None:
    """Raise ValueError unless the offsets rise and contain 0."""
    if 0 not in offsets or list(offsets) != sorted(set(offsets)):
        raise ValueError(
            f"offsets: got {list(offsets)}, expected rising numbers with 0, the target, among them "
            f"as in {list(DEFAULT_OFFSETS)}"
        )


def neighbours(
    frames: Sequence[Path | None], index: int, offsets: Sequence[int], gap: int
) -> tuple[Path, ...] | None:
    """Return the frames at ``index`` + offset·``gap``; None where one is missing or outside."""
    wanted = [index + offset * gap for offset in offsets]
    if wanted[0] < 0 or wanted[-1] >= len(frames):
        return None
    found = [path for path in (frames[position] for position in wanted) if path is not None]
    return tuple(found) if len(found) == len(wanted) else None


def read_picture(path: Path) -> npt.NDArray[np.uint8]:
    """Return a picture file as H×W×3 uint8 RGB.

    Raises:
        UnreadableFrameError: No such file, no picture, or a JPEG that was cut off.
    """
    try:
        data = path.read_bytes()
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except (OSError, cv2.error):  # a header that claims gigabytes is a cv2.error
        picture = None
    # OpenCV fills what a cut-off JPEG lacks with grey; half a picture must not train.
    if picture is None or (
        data.startswith(_JPEG_START) and data.rfind(_JPEG_END) < len(data) // 2
    ):
        raise UnreadableFrameError(
            f"{path}: got no readable picture, expected a whole JPEG, PNG or PPM; copy it again"
        )
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def read_depth(depth: DepthFile) -> npt.NDArray[np.float32]:
    """Return a depth image as H×W float32 metres, NaN where unknown.

    Raises:
        UnreadableFrameError: No 16-bit picture, or one without a single reading.
    """
    try:
        stored = cv2.imread(str(depth.path), cv2.IMREAD_UNCHANGED) if depth.path.exists() else None
    except cv2.error:
        stored = None
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 2:
        got = "no readable file" if stored is None else f"{stored.dtype} of shape {stored.shape}"
        raise UnreadableFrameError(
            f"{depth.path}: got {got}, expected a 16-bit one-channel PNG; copy it again"
        )
    known = ~np.isin(stored, depth.unknown)
    return known_depth(
        np.where(known, stored / np.float32(depth.units_per_m), np.nan), str(depth.path)
    )


def known_depth(depth_m: npt.NDArray[np.floating], name: str) -> npt.NDArray[np.float32]:
    """Return metres with NaN for all that is not finite or not above zero.

    Raises:
        UnreadableFrameError: Nothing is left.
    """
    finite = np.isfinite(depth_m) & (depth_m > 0)
    if not finite.any():
        raise UnreadableFrameError(
            f"{name}: got no depth above zero, expected some readings; leave the frame out"
        )
    return np.where(finite, depth_m, np.nan).astype(np.float32)
