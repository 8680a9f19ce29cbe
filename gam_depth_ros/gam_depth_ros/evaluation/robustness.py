"""Corrupt the frames of recordings, run the network on each, and hold the depth against the truth.

The sensor's truth stays as it is while the picture gets worse. Each picture stands alone: what the
pipeline does over time (scale, filter, fusion) is left out. Sigma is the network's, calibrated but
not yet widened by frame health, so that each shows what it notices by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.engine import Engine, EngineError
from gam_depth_ros.core.frame import Frame
from gam_depth_ros.core.frame_check import FrameError, check_answer
from gam_depth_ros.core.frame_health import FrameHealth
from gam_depth_ros.core.metrics import MAX_DEPTH_M, MIN_DEPTH_M, evaluate_depth, median_scale
from gam_depth_ros.core.prediction import calibrated
from gam_depth_ros.core.preprocessing import prepare, to_image_size
from gam_depth_ros.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from gam_depth_ros.evaluation.frame_pixels import valid_pixels
from gam_depth_ros.evaluation.observation import Float, fitting_reference
from gam_depth_ros.evaluation.robustness_scores import CLEAN, Trial, dee_of
from gam_depth_ros.evaluation.sample import Recording, Sample

SHEET_WIDTH_PX = 192
KEPT_LINES = 100
VARIANTS = 1 + len(CORRUPTIONS) * len(SEVERITIES)
"""Pictures made of each frame, the clean one among them."""

Baseline = Callable[[Frame], Float | None]
"""Depth up to scale for a picture; None where it was refused."""


@dataclass(frozen=True)
class TruthFrame:
    """A frame to be corrupted.

    Attributes:
        frame: Picture with its calibration, without its reference.
        truth_m: H×W float32 metres, NaN or 0 unknown; at least one pixel is known.
    """

    frame: Frame
    truth_m: Float


@dataclass(frozen=True)
class SheetPicture:
    """What is shown of one corrupted picture, small.

    Attributes:
        corruption: Its name; ``CLEAN`` for the picture as it is.
        severity: 1 to 5; 0 clean.
        rgb: h×w×3 uint8.
        depth_m: h×w float32 metres, aligned to the truth by the median; None where refused.
    """

    corruption: str
    severity: int
    rgb: npt.NDArray[np.uint8]
    depth_m: Float | None


@dataclass(frozen=True)
class Score:
    """What one picture gave; NaN where it was refused.

    Attributes:
        abs_rel: AbsRel under median alignment.
        d1: δ < 1.25, the same way.
        sigma_log: Mean sigma of log depth.
        problems: What frame health found; None where the picture was refused.
    """

    abs_rel: float = math.nan
    d1: float = math.nan
    sigma_log: float = math.nan
    problems: tuple[str, ...] | None = None


@dataclass
class RobustnessRun:
    """What a run found.

    Attributes:
        trials: One for each frame and variant.
        sheet: Pictures of one frame, in the order of the corruptions.
        truth_m: The truth of that frame, small.
        failures: Why pictures were refused, one line each, the first hundred.
    """

    trials: list[Trial] = field(default_factory=list)
    sheet: list[SheetPicture] = field(default_factory=list)
    truth_m: Float | None = None
    failures: list[str] = field(default_factory=list)


def choose_frames(recording: Recording, count: int, pairing_slop_s: float) -> list[TruthFrame]:
    """Read a recording and return at most ``count`` of its frames with truth, evenly spaced.

    Memory holds twice as many at most, whatever the recording's length.
    """
    kept: list[TruthFrame] = []
    stride, seen = 1, 0
    for sample in recording.samples():
        if not isinstance(sample, Sample):
            continue
        truth_m = fitting_reference(sample, pairing_slop_s)
        if truth_m is None or not valid_pixels(truth_m).any():
            continue
        if seen % stride == 0:
            kept.append(TruthFrame(replace(sample.frame, reference=None), truth_m))
            if len(kept) > 2 * count:
                kept = kept[::2]
                stride *= 2
        seen += 1
    places = np.linspace(0, len(kept) - 1, min(count, len(kept))).round().astype(int)
    return [kept[int(place)] for place in places]


def constant_depth(frame: Frame) -> Float:
    """Return the depth of the baseline that never looks: the same everywhere."""
    return np.ones(frame.rgb.shape[:2], np.float32)


def model_depth(engine: Engine) -> Baseline:
    """Return another model as the baseline."""

    def depth(frame: Frame) -> Float | None:
        try:
            answer = engine.run(prepare(frame.rgb, engine.spec.input_size_hw))
            check_answer(answer)
        except (EngineError, FrameError):
            return None
        return to_image_size(answer.depth, frame.rgb.shape[:2])

    return depth


def run_robustness(
    frames: Sequence[TruthFrame],
    engine: Engine,
    *,
    health: FrameHealth | None = None,
    baseline: Baseline = constant_depth,
    corruptions: Sequence[str] = CORRUPTIONS,
    seed: int = 0,
    on_picture: Callable[[], None] = lambda: None,
) -> RobustnessRun:
    """Try every corruption in every severity on every frame.

    Args:
        frames: What to corrupt.
        engine: Runs the model.
        health: Judges the pictures; by default with the model's own limits.
        baseline: What mCE is relative to.
        corruptions: Which; all by default.
        seed: Of the randomness; the same gives the same figures.
        on_picture: Called after each picture, for a progress bar.
    """
    run = RobustnessRun()
    health = health or FrameHealth(statistics=engine.spec.statistics)
    variants = [(CLEAN, 0), *((name, level) for name in corruptions for level in SEVERITIES)]
    shown = len(frames) // 2
    for index, test in enumerate(frames):
        # What never looks is as good on every variant.
        blind = _dee(test.truth_m, baseline(test.frame)) if baseline is constant_depth else None
        for name, severity in variants:
            rgb = test.frame.rgb
            if name != CLEAN:
                rgb = corrupt(rgb, name, severity, seed + index)
            frame = replace(test.frame, rgb=rgb)
            score, depth = _try(frame, test.truth_m, engine, health, run)
            run.trials.append(
                Trial(
                    frame=index,
                    corruption=name,
                    severity=severity,
                    abs_rel=score.abs_rel,
                    d1=score.d1,
                    baseline_dee=_dee(test.truth_m, baseline(frame)) if blind is None else blind,
                    sigma_log=score.sigma_log,
                    problems=score.problems,
                )
            )
            if index == shown:
                aligned = None if depth is None else _aligned(test.truth_m, depth)
                run.sheet.append(_small(name, severity, rgb, aligned))
                run.truth_m = _shrink(test.truth_m, cv2.INTER_NEAREST)
            on_picture()
    return run


def _try(
    frame: Frame, truth_m: Float, engine: Engine, health: FrameHealth, run: RobustnessRun
) -> tuple[Score, Float | None]:
    """Score one picture, and return its depth; None where it was refused."""
    batch = prepare(frame.rgb, engine.spec.input_size_hw)
    try:
        answer = engine.run(batch)
        check_answer(answer)
    except (EngineError, FrameError) as error:
        if len(run.failures) < KEPT_LINES:
            run.failures.append(str(error))
        return Score(), None
    depth = to_image_size(answer.depth, frame.rgb.shape[:2])
    errors = evaluate_depth(truth_m, depth)
    assert errors is not None  # the truth has a pixel, and the network's depth is positive
    sigma_log = float(np.mean(calibrated(answer, engine.spec).sigma))
    health.reset()
    problems = health.check(batch[0], frame.stamp_ns, answer.features).conditions
    return Score(errors.abs_rel, errors.d1, sigma_log, problems), depth


def _dee(truth_m: Float, depth: Float | None) -> float:
    return math.nan if depth is None else dee_of(evaluate_depth(truth_m, depth))


def _aligned(truth_m: Float, depth: Float) -> Float:
    valid = valid_pixels(truth_m)
    ratio = np.float32(median_scale(truth_m[valid], depth[valid]))
    return np.asarray(np.clip(depth * ratio, MIN_DEPTH_M, MAX_DEPTH_M), np.float32)


def _small(
    name: str, severity: int, rgb: npt.NDArray[np.uint8], depth_m: Float | None
) -> SheetPicture:
    small_depth = None if depth_m is None else _shrink(depth_m, cv2.INTER_AREA)
    return SheetPicture(name, severity, _shrink(rgb, cv2.INTER_AREA), small_depth)


def _shrink(array: npt.NDArray[Any], method: int) -> npt.NDArray[Any]:
    height, width = array.shape[:2]
    size = SHEET_WIDTH_PX, max(1, round(height * SHEET_WIDTH_PX / width))
    return np.asarray(cv2.resize(array, size, interpolation=method))
