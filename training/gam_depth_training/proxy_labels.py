"""ProxySegNet: labels from a finished segmenter, which teach the semantic decoder (GAM-Depth).

Three kinds of segmenter: the shipped model's own semantic head, any ONNX or TorchScript network
described by a small file (custom_segmenter.py), and Light-weight RefineNet with a user's file.
Where a segmenter is unsure, there is no label: a wrong one teaches worse than none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.prediction import calibrated, predict
from gam_depth_ros.core.preprocessing import prepare
from gam_depth_training.file_digest import file_digest
from gam_depth_training.label_maps import LabelMap, label_map
from gam_depth_training.refinenet import load_refinenet
from gam_depth_training.video_batch import IGNORED_LABEL

# The shipped model on eight synthetic rooms that it never saw: 54 % of its labels are right, 72 %
# of those above 0.5, 82 % of those above 0.7 (41 % of pixels), 89 % of those above 0.8 (30 %).
DEFAULT_CONFIDENCE = 0.7
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Labels = npt.NDArray[np.uint8]
Confidence = npt.NDArray[np.float32]


class Segmenter(Protocol):
    """Anything that labels a picture.

    Attributes:
        name: In words, for reports.
        digest: Changes whenever its labels may change: caches depend on it.
        classes: Number of classes.
    """

    name: str
    digest: str
    classes: int

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> tuple[Labels, Confidence]:
        """Label a picture.

        Args:
            rgb: H×W×3 uint8 RGB.

        Returns:
            H×W uint8 ids (IGNORED_LABEL: none) and H×W float32 confidence, 0 to 1.
        """


class OnnxModelSegmenter:
    """The semantic head of a model that the robot runs; the shipped one needs no download.

    Args:
        path: A model written by `gam-depth-train export`; None takes the shipped one.
        threads: Threads of ONNX Runtime; 0 takes all.

    Raises:
        ModelContractError: No such file, or not such a model.
    """

    def __init__(self, path: Path | None = None, threads: int = 0) -> None:
        self._engine = OnnxEngine(path or default_model_path(), EngineConfig(threads=threads))
        self.name = self._engine.spec.name
        self.digest = self._engine.sha256
        self.classes = len(self._engine.spec.labels)

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> tuple[Labels, Confidence]:
        """See Segmenter."""
        spec = self._engine.spec
        output = calibrated(self._engine.run(prepare(rgb, spec.input_size_hw)), spec)
        result = predict(output, (rgb.shape[0], rgb.shape[1]), depth=False, sigma=False)
        unlabelled = result.labels == spec.labels.unlabelled_id
        return np.where(unlabelled, IGNORED_LABEL, result.labels), result.label_confidence


class RefineNetSegmenter:
    """Light-weight RefineNet with a user's checkpoint; labels as its authors make them.

    Args:
        path: The checkpoint.
        mapping: ``nyu40_to_nyu13`` or ``same``.

    Raises:
        ValueError: No such file, or parameters or classes that do not fit.
    """

    def __init__(self, path: Path, mapping: str = "nyu40_to_nyu13") -> None:
        self._network = load_refinenet(path)
        self._map = label_map(mapping, self._network.classes)
        self.name = f"Light-weight RefineNet, {path.name}"
        self.digest = f"{file_digest(path)} {self._map}"
        self.classes = self._map.classes

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> tuple[Labels, Confidence]:
        """See Segmenter."""
        image = normalised(rgb, IMAGENET_MEAN, IMAGENET_STD)
        with torch.inference_mode():
            logits = self._network(image)
            # Bicubic, to the picture's size, as the published scores were taken.
            logits = functional.interpolate(
                logits, rgb.shape[:2], mode="bicubic", align_corners=False
            )
        return labels_of_scores(torch.softmax(logits, 1)[0].numpy(), self._map)


def normalised(
    rgb: npt.NDArray[np.uint8], mean: tuple[float, ...], std: tuple[float, ...]
) -> torch.Tensor:
    """H×W×3 uint8 → 1×3×H×W float32, (rgb/255 − mean)/std."""
    values = (rgb.astype(np.float32) / 255.0 - np.float32(mean)) / np.float32(std)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]


def labels_of_scores(
    probabilities: npt.NDArray[np.float32], mapping: LabelMap
) -> tuple[Labels, Confidence]:
    """Choose the best class of each pixel after the map.

    Args:
        probabilities: C×H×W float32; C as many as the map has ids.
        mapping: From the segmenter's ids to ours. Classes that become one add up, and what is
            ignored takes its share: two halves of "furniture" are no doubt about furniture.

    Returns:
        H×W uint8 ids, IGNORED_LABEL where the ignored classes win; H×W float32 confidence.

    Raises:
        ValueError: Another number of classes than the map's.
    """
    if len(probabilities) != len(mapping.ids):
        raise ValueError(
            f"label map '{mapping.name}': got {len(probabilities)} classes from the segmenter, "
            f"expected {len(mapping.ids)}; give a label_map of that length"
        )
    total = np.zeros((mapping.classes + 1, *probabilities.shape[1:]), np.float32)
    rows = [mapping.classes if i == IGNORED_LABEL else i for i in mapping.ids]
    np.add.at(total, rows, probabilities)
    best = total.argmax(axis=0)
    labels = np.where(best == mapping.classes, IGNORED_LABEL, best).astype(np.uint8)
    return labels, total.max(axis=0)


def gate(labels: Labels, confidence: Confidence, threshold: float) -> Labels:
    """Take the labels away where the segmenter is unsure.

    Args:
        labels: H×W uint8.
        confidence: H×W float32, 0 to 1; NaN is unsure.
        threshold: Least confidence; 0 keeps all.
    """
    return np.where(confidence >= threshold, labels, IGNORED_LABEL).astype(np.uint8)


def read_label_file(path: Path, size_hw: tuple[int, int], classes: int) -> Labels:
    """Read proxy labels that were made elsewhere.

    Args:
        path: 8-bit one-channel PNG of ids, IGNORED_LABEL where there is none.
        size_hw: Size of the picture that they belong to.
        classes: Number of classes.

    Raises:
        ValueError: Missing, not such a file, another size than the picture, or an unknown id.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.exists() else None
    if image is None or image.dtype != np.uint8 or image.ndim != 2:
        got = "no readable file" if image is None else f"{image.dtype} of shape {image.shape}"
        raise ValueError(
            f"{path}: got {got}, expected an 8-bit one-channel PNG of ids; write it again"
        )
    if image.shape != tuple(size_hw):
        raise ValueError(
            f"{path}: got proxy labels of {image.shape[1]}x{image.shape[0]}, expected "
            f"{size_hw[1]}x{size_hw[0]} like the picture; make them again from these pictures"
        )
    unknown = image[(image >= classes) & (image != IGNORED_LABEL)]
    if unknown.size:
        raise ValueError(
            f"{path}: got the id {int(unknown.flat[0])}, expected 0 to {classes - 1}, or "
            f"{IGNORED_LABEL} without a label; translate the ids"
        )
    return np.asarray(image, np.uint8)
