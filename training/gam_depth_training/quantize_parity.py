"""What 8 bits cost: both files answer the same frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.metrics import evaluate_depth
from gam_depth_ros.core.preprocessing import prepare, to_image_size
from gam_depth_training.picture_answers import ReferencePicture


class ParityError(ValueError):
    """A file's answers differ from another's by more than allowed; nothing is written."""


@dataclass(frozen=True)
class QuantizationReport:
    """How a file in 8 bits differs from the one in float, over the frames checked.

    Attributes:
        frames: How many.
        abs_rel_float: Mean AbsRel of the float file, each frame by its median; NaN without depth.
        abs_rel_int8: The same in 8 bits.
        median_depth_change: Median of |log depth (8 bits) − log depth (float)|.
        median_sigma_change: The same of sigma.
        label_agreement: Share of pixels with the same label.
        float_bytes: Size of the float file.
        int8_bytes: Size of the file in 8 bits.
    """

    frames: int
    abs_rel_float: float
    abs_rel_int8: float
    median_depth_change: float
    median_sigma_change: float
    label_agreement: float
    float_bytes: int
    int8_bytes: int

    @property
    def abs_rel_change(self) -> float:
        """Relative change of AbsRel, above 0 where 8 bits are worse; NaN without depth."""
        return self.abs_rel_int8 / self.abs_rel_float - 1.0


def compare_files(
    reference: Path, candidate: Path, frames: Iterable[ReferencePicture]
) -> QuantizationReport:
    """Let two model files of one input size answer the same frames, as the robot runs them."""
    engines = [OnnxEngine(path, EngineConfig(warmup_runs=0)) for path in (reference, candidate)]
    changes, sigmas, agreements = [], [], []
    errors: list[list[float]] = []
    for frame in frames:
        batch = prepare(frame.rgb, engines[0].spec.input_size_hw)
        before, after = (engine.run(batch) for engine in engines)
        changes.append(np.abs(np.log(after.depth) - np.log(before.depth)))
        sigmas.append(np.abs(np.log(after.sigma) - np.log(before.sigma)))
        agreements.append(float((after.label == before.label).mean()))
        if frame.depth_m is not None:
            truth = np.asarray(frame.depth_m, np.float32)
            scored = [
                evaluate_depth(truth, to_image_size(output.depth, (truth.shape[0], truth.shape[1])))
                for output in (before, after)
            ]
            errors.append([float("nan") if one is None else one.abs_rel for one in scored])
    known = np.array([pair for pair in errors if np.isfinite(pair).all()]).reshape(-1, 2)
    means = known.mean(axis=0) if len(known) else np.full(2, np.nan)
    return QuantizationReport(
        frames=len(changes),
        abs_rel_float=float(means[0]),
        abs_rel_int8=float(means[1]),
        median_depth_change=float(np.median(np.stack(changes))),
        median_sigma_change=float(np.median(np.stack(sigmas))),
        label_agreement=float(np.mean(agreements)),
        float_bytes=reference.stat().st_size,
        int8_bytes=candidate.stat().st_size,
    )


def refuse_worse(report: QuantizationReport, most_worse: float, out: Path) -> None:
    """Check what 8 bits cost.

    Raises:
        ParityError: AbsRel rises by more than ``most_worse``; where no frame has depth, the median
            change of depth is more.
    """
    with_depth = np.isfinite(report.abs_rel_change)
    found = report.abs_rel_change if with_depth else report.median_depth_change
    if not found <= most_worse:  # NaN too
        what = "AbsRel worse" if with_depth else "median change of depth"
        raise ParityError(
            f"{out.name}: got {found:.1%} {what} than in float over {report.frames} frames, "
            f"expected at most {most_worse:.0%}; calibrate on more frames like those, or with "
            "--percentile 99.99; nothing was written"
        )
