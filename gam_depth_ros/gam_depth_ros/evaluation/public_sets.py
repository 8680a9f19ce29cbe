"""The public test sets as their authors pack them: pictures with depth, one by one.

ScanNet lies as its SensReader exports it, or as P²Net's test set is packed: all files in one
folder, the slashes of their names made underscores. The training reads the same two, and the same
lines of a split list.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.mat5 import read_mat5
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.observation import Float

_MILLIMETRES = np.float32(1000.0)
_PACKED_COLOR, _PACKED_DEPTH = "_color_", "_depth_"


@dataclass(frozen=True)
class TestFrame:
    """One picture and its depth, not cropped.

    Attributes:
        key: Its name in the data set.
        rgb: H×W×3 uint8.
        depth_m: h×w float32 metres, NaN unknown.
    """

    __test__ = False  # no test case, whatever pytest makes of the name

    key: str
    rgb: npt.NDArray[np.uint8]
    depth_m: Float


@dataclass
class TestSet:
    """A test set on disk.

    Attributes:
        path: NYUv2: ``nyu_depth_v2_labeled.mat``; else the folder of the scenes.
        entries: Numbers counted from 1, or picture files below ``path``.
        kind: Which data set, in words.
    """

    __test__ = False

    path: Path
    entries: list[str]
    kind: str
    topics: dict[str, str | None]
    notes: tuple[str, ...] = ()

    @property
    def frame_count(self) -> int:
        """How many pictures there are."""
        return len(self.entries)

    def frames(self) -> Iterator[TestFrame]:
        """Yield the frames in the split's order; raises BagError for one that is not there."""
        if self.path.suffix == ".mat":
            yield from _labelled(self.path, [int(entry) for entry in self.entries])
            return
        for entry in self.entries:
            yield _from_files(self.path, PurePosixPath(entry))


def open_test_set(path: Path, split: Path, kind: str) -> TestSet:
    """Return a test set.

    Args:
        path: As in :class:`TestSet`.
        split: NYUv2: ``splits.mat`` with ``testNdxs``, or one number a line; else a text file with
            one picture a line (``scene0707_00/color/0.jpg``, ``…/cam0/data/0.png``), or a scene's
            folder (``scene0707_00``) for all of its pictures, whatever follows on the line.
        kind: In words.

    Raises:
        BagError: files that are not there or not of that kind.
    """
    if not path.exists():
        raise BagError(f"{path}: got no such file, expected the data set; check the path")
    entries = _entries(split)
    if path.suffix != ".mat":
        entries = [picture for entry in entries for picture in _pictures_of(path, entry)]
    return TestSet(path, entries, kind, {})


def _entries(split: Path) -> list[str]:
    try:
        if split.suffix == ".mat":
            arrays = read_mat5(split)
            return [str(int(number)) for number in arrays["testNdxs"].ravel()]
        lines = split.read_text().splitlines()
    except (OSError, KeyError, ValueError) as error:
        raise BagError(
            f"{split}: got {error!r} while reading it, expected splits.mat with testNdxs, or a "
            "text file with one entry a line"
        ) from error
    words = [line.split()[0].lstrip("/") for line in lines if line.strip()]
    found = [word for word in words if not word.startswith("#")]
    if not found:
        raise BagError(f"{split}: got no entry, expected one a line")
    return found


def _pictures_of(root: Path, entry: str) -> list[str]:
    """Return the pictures that a line of the split stands for, those of a scene by number."""
    if PurePosixPath(entry).suffix:
        return [entry]
    scene = PurePosixPath(entry)
    packed = "_".join(scene.parts) + _PACKED_COLOR
    for found in (
        sorted((root / scene / "color").glob("*.jpg"), key=_number),
        sorted(root.glob(f"{packed}*.jpg"), key=_number),
        sorted((root / scene / "cam0" / "data").glob("*.png"), key=_number),
    ):
        if found:
            return [file.relative_to(root).as_posix() for file in found]
    raise BagError(
        f"{root / scene}: got no color/*.jpg, no {packed}*.jpg beside it and no cam0/data/*.png, "
        "expected a scene of the split; check the folder"
    )


def _number(file: Path) -> tuple[int, str]:
    digits = file.stem.rpartition("_")[2]
    return (int(digits) if digits.isdecimal() else -1, file.name)


def _labelled(path: Path, numbers: list[int]) -> Iterator[TestFrame]:
    try:
        h5py: Any = importlib.import_module("h5py")  # an optional extra
    except ImportError as error:
        raise BagError(
            f"{path}: got no h5py to read it, expected the extra; pip install "
            "'gam_depth_ros[nyuv2]'"
        ) from error
    try:
        with h5py.File(path) as file:
            images, depths = file["images"], file["depths"]
            for number in numbers:
                if not 1 <= number <= len(images):
                    raise BagError(
                        f"{path}: got number {number} in the split, expected 1 to {len(images)}"
                    )
                # MATLAB writes its columns first: 3×W×H and W×H.
                rgb = np.asarray(images[number - 1]).transpose(2, 1, 0)
                depth_m = np.asarray(depths[number - 1], np.float32).T
                yield TestFrame(f"labelled/{number:04d}", rgb.astype(np.uint8), _known(depth_m))
    except (OSError, KeyError) as error:
        raise BagError(
            f"{path}: got {error!r} while reading it, expected nyu_depth_v2_labeled.mat; copy it "
            "again"
        ) from error


def _from_files(root: Path, picture: PurePosixPath) -> TestFrame:
    """Read a ScanNet or InteriorNet picture and the depth that lies where theirs lies."""
    depth = _file_of(root, _depth_of(picture))
    bgr = _read(_file_of(root, picture), cv2.IMREAD_COLOR)
    stored = _read(depth, cv2.IMREAD_UNCHANGED)
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise BagError(
            f"{depth}: got {stored.dtype} of shape {stored.shape}, expected 16-bit "
            "millimetres"
        )
    rgb = np.ascontiguousarray(bgr[..., ::-1], np.uint8)
    return TestFrame(str(picture), rgb, _known(stored / _MILLIMETRES))


def _file_of(root: Path, name: PurePosixPath) -> Path:
    """Return where a file of the set lies: under its own name, or packed."""
    packed = root / "_".join(name.parts)
    return packed if packed.is_file() else root / name


def _read(file: Path, flags: int) -> npt.NDArray[Any]:
    try:
        image = cv2.imread(str(file), flags) if file.is_file() else None
    except cv2.error:  # a header that claims gigabytes
        image = None
    if image is None:
        raise BagError(
            f"{file}: got no readable picture, expected what the split names; check the folder"
        )
    return np.asarray(image)


def _depth_of(picture: PurePosixPath) -> PurePosixPath:
    parts = list(picture.parts)
    if "color" in parts:  # ScanNet
        parts[parts.index("color")] = "depth"
        return PurePosixPath(*parts).with_suffix(".png")
    if "cam0" in parts:  # InteriorNet
        parts[parts.index("cam0")] = "depth0"
        return PurePosixPath(*parts)
    if _PACKED_COLOR in picture.name:
        return picture.with_name(picture.stem.replace(_PACKED_COLOR, _PACKED_DEPTH) + ".png")
    raise BagError(
        f"{picture}: got a picture below neither color/ nor cam0/, expected one of ScanNet or "
        "InteriorNet"
    )


def _known(depth_m: npt.NDArray[np.floating]) -> Float:
    """Return metres with NaN for what is no reading."""
    known = np.isfinite(depth_m) & (depth_m > 0)
    return np.where(known, depth_m, np.nan).astype(np.float32)
