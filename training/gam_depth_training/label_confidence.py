"""How often labels are right at each confidence, on the synthetic rooms that never trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.engine import Engine
from gam_depth_ros.core.model_calibration import ConfidenceCalibration
from gam_depth_ros.core.uncertainty_metrics import expected_calibration_error
from gam_depth_training.batch import find_shards, load_shards, resize_sample, split_shards
from gam_depth_training.calibration_fit import fit_confidence
from gam_depth_training.config import TrainingConfig

UNLABELLED = 255


@dataclass(frozen=True)
class LabelledPixels:
    """Pixels with a true label.

    Attributes:
        confidence: N float32, the network's own.
        right: N, whether its label is the true one.
    """

    confidence: npt.NDArray[np.float32]
    right: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ConfidenceReport:
    """A calibration of label confidence, and what it changes on rooms that did not fit it.

    Attributes:
        calibration: Fitted on all held-out rooms.
        error_before: Expected calibration error of the network's confidence, mean over shards.
        error_after: The same through a curve of the other shards, mean over shards.
        pixels: With a true label.
    """

    calibration: ConfidenceCalibration
    error_before: float
    error_after: float
    pixels: int

    @property
    def improves(self) -> bool:
        """Whether the curve made the confidence better on rooms that it has not seen."""
        return self.error_after < self.error_before


def held_out_shards(folder: Path) -> list[Path]:
    """Return the shards that `fit` keeps from training; raises ValueError with too few."""
    _, held_out = split_shards(find_shards(folder), TrainingConfig.validation_shards)
    return held_out


def read_labels(
    engine: Engine, shards: Sequence[Path], on_frame: Callable[[], None] = lambda: None
) -> list[LabelledPixels]:
    """Run the network on shards; one entry a shard, whose rooms are its own."""
    size_hw = engine.spec.input_size_hw
    found = []
    for shard in shards:
        frames = load_shards([shard])
        confidence, right = [], []
        for frame in zip(frames.rgb, frames.depth_m, frames.label, strict=True):
            rgb, _, truth = resize_sample(*frame, size_hw)
            output = engine.run(np.ascontiguousarray(rgb[None]))
            labelled = truth != UNLABELLED
            confidence.append(output.label_confidence[labelled])
            right.append((output.label == truth)[labelled])
            on_frame()
        found.append(LabelledPixels(np.concatenate(confidence), np.concatenate(right)))
    return found


def calibrate_confidence(shards: Sequence[LabelledPixels], data: str) -> ConfidenceReport:
    """Fit the curve, and score such a curve on rooms that it has not seen.

    Args:
        shards: At least two; each in turn scores the curve of the others.
        data: Name of the data, written into the model file.

    Raises:
        ValueError: one shard alone, or a confidence that says nothing.
    """
    if len(shards) < 2:
        raise ValueError(
            f"calibrate: got {len(shards)} held-out shard, expected two or more, so that one can "
            "score the curve of the others; render more"
        )
    before, after = [], []
    for index, held_out in enumerate(shards):
        others = [*shards[:index], *shards[index + 1 :]]
        curve = fit_confidence(*_joined(others), data)
        before.append(expected_calibration_error(held_out.confidence, held_out.right))
        calibrated = curve.calibrated(held_out.confidence)
        after.append(expected_calibration_error(calibrated, held_out.right))
    confidence, right = _joined(shards)
    return ConfidenceReport(
        fit_confidence(confidence, right, data),
        float(np.mean(before)),
        float(np.mean(after)),
        confidence.size,
    )


def _joined(
    shards: Sequence[LabelledPixels],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    return (
        np.concatenate([pixels.confidence for pixels in shards]),
        np.concatenate([pixels.right for pixels in shards]),
    )
