"""Where a target's proxy labels come from: a segmenter, or files beside the pictures."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from gam_depth_training.clip import Clip, read_picture
from gam_depth_training.file_digest import file_digest
from gam_depth_training.proxy_labels import (
    DEFAULT_CONFIDENCE,
    Labels,
    Segmenter,
    gate,
    read_label_file,
)
from gam_depth_training.video_batch import IGNORED_LABEL


class LabelSource(Protocol):
    """Gives proxy labels for targets.

    Attributes:
        name: In words, for reports.
        classes: Number of classes.
    """

    name: str
    classes: int

    def digest(self, clip: Clip) -> str:
        """Return a word that changes whenever the labels of a target may change."""
        ...

    def labels(self, clip: Clip, size_hw: tuple[int, int]) -> Labels:
        """Return the target's labels, h×w uint8 of ``size_hw``, IGNORED_LABEL where unsure.

        Raises:
            ValueError: One line: why there are none.
        """
        ...


class SegmenterLabels:
    """Labels from a segmenter that sees the picture as the networks will.

    Args:
        segmenter: The segmenter.
        confidence: Pixels below this confidence carry no label.
    """

    def __init__(self, segmenter: Segmenter, confidence: float = DEFAULT_CONFIDENCE) -> None:
        self._segmenter = segmenter
        self._confidence = confidence
        self.name = f"{segmenter.name}, confidence {confidence:g} or more"
        self.classes = segmenter.classes

    def digest(self, clip: Clip) -> str:
        """See LabelSource; the picture itself is the caller's to add."""
        return f"segmenter {self._segmenter.digest} {self._confidence}"

    def labels(self, clip: Clip, size_hw: tuple[int, int]) -> Labels:
        """See LabelSource."""
        rgb = clip.geometry.resized(size_hw).apply(read_picture(clip.target))
        labels, confidence = self._segmenter(rgb)
        return gate(labels, confidence, self._confidence)


class FileLabels:
    """Labels from ``labels/NAME.png`` beside ``color/NAME.jpg``, as large as the pictures.

    Args:
        classes: Number of classes; ids from there on, IGNORED_LABEL excepted, are an error.
    """

    name = "label files"

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def digest(self, clip: Clip) -> str:
        """See LabelSource."""
        file = _label_file(clip)
        return f"file {file_digest(file)} {self.classes}" if file.exists() else "no file"

    def labels(self, clip: Clip, size_hw: tuple[int, int]) -> Labels:
        """See LabelSource."""
        camera = clip.geometry.camera
        ids = read_label_file(_label_file(clip), camera.size_hw, self.classes)
        # Ids travel like depth: nearest values only, NaN where the lens saw nothing.
        window = clip.geometry.rectify_depth(ids.astype(np.float32))
        window = np.where(np.isnan(window), IGNORED_LABEL, window).astype(np.uint8)
        size = (size_hw[1], size_hw[0])
        return np.asarray(cv2.resize(window, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


def _label_file(clip: Clip) -> Path:
    return clip.target.parent.parent / "labels" / f"{clip.target.stem}.png"


def short_digest(*parts: object) -> str:
    """Return 40 hexadecimal digits that change with any part's repr."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]
