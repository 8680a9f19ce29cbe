"""What was computed once per target, as it lies on the disk.

``prepared.json`` says which files belong to a clip: ``targets/xx/DIGEST.npz`` with directions,
magnitude and key points, ``labels/xx/DIGEST.png`` with proxy labels. A digest is that of the
picture and of everything that was done to it, so that nothing stale is ever read.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_training.video_batch import IGNORED_LABEL

INDEX_FILE = "prepared.json"


@dataclass(frozen=True)
class PreparedFrame:
    """One target, unflipped and at network size.

    Attributes:
        directions: 6×3 float32 unit Manhattan directions in the camera frame, rows 3 to 5 the
            negatives of rows 0 to 2; NaN where unknown.
        magnitude: 1×H×W float32 Sobel magnitude, of pictures in 0 to 255.
        keypoints: H×W uint8, 1 at a key point and 0 elsewhere.
        labels: H×W uint8 proxy labels, IGNORED_LABEL where there is none.
    """

    directions: npt.NDArray[np.float32]
    magnitude: npt.NDArray[np.float32]
    keypoints: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PreparedIndex:
    """Content of prepared.json.

    Attributes:
        size_hw: Height and width of everything.
        classes: Number of classes of the labels; 0 without labels.
        labels: Where the labels come from, in words; empty without labels.
        targets: For each clip's key the digest of its target's file, and of its labels' or None.
        swapped_grey_weights: How grey the magnitudes are; see OfficialQuirks.
    """

    size_hw: tuple[int, int]
    classes: int
    labels: str
    targets: dict[str, tuple[str, str | None]]
    swapped_grey_weights: bool = False

    def write(self, out: Path) -> None:
        """Write prepared.json, whole or not at all."""
        data = {
            "size_hw": list(self.size_hw),
            "classes": self.classes,
            "labels": self.labels,
            "swapped_grey_weights": self.swapped_grey_weights,
            "targets": self.targets,
        }
        part = out / f"{INDEX_FILE}.part"
        part.write_text(json.dumps(data, indent=0) + "\n")
        part.replace(out / INDEX_FILE)

    @staticmethod
    def read(out: Path) -> PreparedIndex:
        """Read prepared.json.

        Raises:
            ValueError: Not there, or not such a file.
        """
        file = out / INDEX_FILE
        try:
            data = json.loads(file.read_text())
            height, width = data["size_hw"]
            targets = {key: (one, other) for key, (one, other) in data["targets"].items()}
            return PreparedIndex(
                (int(height), int(width)),
                int(data["classes"]),
                str(data["labels"]),
                targets,
                bool(data.get("swapped_grey_weights", False)),
            )
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{file}: got {error.__class__.__name__} while reading it, expected what "
                "`gam-depth-train prepare` writes; run it with this folder as --out"
            ) from error


class Prepared:
    """Reads prepared targets; cheap to copy to a loader's processes.

    Args:
        out: Folder written by `gam-depth-train prepare`.

    Raises:
        ValueError: Not such a folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(out)
        self.index = PreparedIndex.read(self.out)

    def load(self, key: str) -> PreparedFrame | None:
        """Return what was prepared for a clip's target; None where nothing was.

        Raises:
            ValueError: A file is missing or broken.
        """
        entry = self.index.targets.get(key)
        if entry is None:
            return None
        target, labels = entry
        directions, magnitude, keypoints = read_target(target_file(self.out, target))
        if labels is None:
            ids = np.full(self.index.size_hw, IGNORED_LABEL, np.uint8)
        else:
            ids = _read_labels(labels_file(self.out, labels))
        return PreparedFrame(directions, magnitude, keypoints, ids)


def grey_weights(swapped: bool) -> str:
    """Say in a word which weights turned a picture grey."""
    return "swapped" if swapped else "right"


def target_file(out: Path, digest: str) -> Path:
    """Where directions, magnitude and key points of a digest lie."""
    return out / "targets" / digest[:2] / f"{digest}.npz"


def labels_file(out: Path, digest: str) -> Path:
    """Where the labels of a digest lie."""
    return out / "labels" / digest[:2] / f"{digest}.png"


def write_target(
    file: Path,
    directions: npt.NDArray[np.float32],
    magnitude: npt.NDArray[np.float64],
    keypoints: npt.NDArray[np.uint8],
) -> None:
    """Write a target's file, whole or not at all; see PreparedFrame for the arrays.

    Half precision keeps a magnitude to 1/2048 of its value: the mask changes by less than 0.005.
    """
    part = _part(file)
    with part.open("wb") as stream:
        np.savez_compressed(
            stream,
            directions=directions.astype(np.float32),
            magnitude=magnitude.astype(np.float16),
            keypoints=np.packbits(keypoints, axis=-1),
        )
    part.replace(file)


def read_target(
    file: Path,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Read what write_target wrote.

    Raises:
        ValueError: The file is missing or broken.
    """
    try:
        with np.load(file) as data:
            magnitude = data["magnitude"].astype(np.float32)
            width = magnitude.shape[-1]
            keypoints = np.unpackbits(data["keypoints"], axis=-1, count=width)
            return data["directions"], magnitude, keypoints
    except (OSError, KeyError, ValueError, BadZipFile, EOFError, MemoryError) as error:
        raise ValueError(
            f"{file}: got {error.__class__.__name__} while reading it, expected a file of "
            "`gam-depth-train prepare`; remove it and run prepare again"
        ) from error


def write_labels(file: Path, labels: npt.NDArray[np.uint8]) -> None:
    """Write H×W uint8 labels, whole or not at all."""
    part = _part(file)
    done, data = cv2.imencode(".png", labels)
    if not done:
        raise OSError(f"{file}: got labels {labels.shape} {labels.dtype} that PNG does not take")
    part.write_bytes(data.tobytes())
    part.replace(file)


def _read_labels(file: Path) -> npt.NDArray[np.uint8]:
    image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED) if file.exists() else None
    if image is None:
        raise ValueError(
            f"{file}: got no readable file, expected one of `gam-depth-train prepare`; remove it "
            "and run prepare again"
        )
    return np.asarray(image, np.uint8)


def _part(file: Path) -> Path:
    """A name for an unfinished file; several processes may write the same one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.with_name(f"{file.name}.{os.getpid()}.part")
