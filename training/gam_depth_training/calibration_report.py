"""How good a calibration is in a room that it was not fitted in: each room left out in turn.

Every uncertainty that is compared gets its factors fitted on the other rooms, the same way, and is
scored with the online scale and that scale's sigma in it. Rankings (AUSE, AURG) are of the
network's part alone, on depth brought to the reference's median: the scale is one number a frame,
and would hide what sigma knows of the pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import UncertaintyConfig
from gam_depth_ros.core.coverage_tracking import CoverageTracker, IntervalGains, covered_shares
from gam_depth_ros.core.metrics import median_scale
from gam_depth_ros.core.model_calibration import LEVELS, SigmaCalibration
from gam_depth_ros.core.uncertainty_metrics import (
    METRICS,
    interval_score,
    sharpness,
    sparsification_curves,
)
from gam_depth_training.calibration_fit import (
    Width,
    combined,
    fit_factors,
    fit_sigma,
    width_of,
)
from gam_depth_training.recorded_errors import FrameErrors

Floats = npt.NDArray[Any]

CLIP_M = (0.1, 10.0)
# Mirrored pictures agree exactly in the middle column: no interval of width nought is claimed.
LEAST_FLIP = 0.01
ALL_ROOMS = "mean of rooms"


@dataclass(frozen=True)
class Scores:
    """Figures of one uncertainty in one room, mean over its frames.

    Attributes:
        frames: Their number.
        coverage: Of the 68.3, 90 and 95.4 % intervals.
        sharpness: Mean width of the 68.3 % interval of log depth.
        interval_score: Of the three intervals, their mean, in log depth.
        ause: By metric.
        aurg: By metric.
    """

    frames: int
    coverage: tuple[float, float, float]
    sharpness: float
    interval_score: float
    ause: dict[str, float]
    aurg: dict[str, float]


@dataclass(frozen=True)
class Fitted:
    """An uncertainty with its factors.

    Attributes:
        width: From a frame to its width.
        factors: On it.
        tracking: How it follows references, None where it does not.
    """

    width: Width
    factors: SigmaCalibration
    tracking: UncertaintyConfig | None = None


Method = Callable[[Sequence[FrameErrors]], Fitted]


def _fitted(frames: Sequence[FrameErrors], width: Width) -> Fitted:
    return Fitted(width, fit_factors(frames, width))


def own_sigma(frames: Sequence[FrameErrors]) -> Fitted:
    """Fit one factor on the network's sigma."""
    return _fitted(frames, lambda frame: frame.sigma * frame.stages)


def constant(frames: Sequence[FrameErrors]) -> Fitted:
    """Fit one number for every pixel: what any other has to beat."""
    return _fitted(frames, lambda frame: np.ones_like(frame.sigma))


def flip(frames: Sequence[FrameErrors]) -> Fitted:
    """Fit a factor on how far the mirrored picture's depth is off (Poggi et al. 2020, "Post")."""
    return _fitted(frames, lambda frame: np.maximum(frame.flip, np.float32(LEAST_FLIP)))


def calibrated(frames: Sequence[FrameErrors]) -> Fitted:
    """Fit what `calibrate` writes into the model file."""
    calibration = fit_sigma(frames, "")
    return Fitted(width_of(calibration), calibration)


def tracked(frames: Sequence[FrameErrors]) -> Fitted:
    """Fit the same, to follow the references of the room, as the pipeline does by default."""
    plain = calibrated(frames)
    return Fitted(plain.width, plain.factors, UncertaintyConfig())


METHODS: dict[str, Method] = {
    "constant": constant,
    "flip": flip,
    "network sigma, one factor": own_sigma,
    "calibrated": calibrated,
    "calibrated, following references": tracked,
}


def leave_one_room_out(
    frames: Sequence[FrameErrors],
    methods: dict[str, Method] | None = None,
    on_fit: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, Scores]]:
    """Score each method in each room, fitted in the others.

    Args:
        frames: Of at least two rooms, each recording's in temporal order; with ``flip`` where it is
            among the methods.
        methods: By name; METHODS if None.
        on_fit: Called after every fit, for a progress bar.

    Returns:
        By method, then by room, and the mean of the rooms as ALL_ROOMS.

    Raises:
        ValueError: one room alone, or too few frames.
    """
    rooms = list(dict.fromkeys(frame.room for frame in frames))
    if len(rooms) < 2:
        raise ValueError(
            f"--leave-one-room-out: got recordings of {len(rooms)} room ({', '.join(rooms)}), "
            "expected two or more; add recordings of another room"
        )
    found: dict[str, dict[str, Scores]] = {}
    for name, method in (METHODS if methods is None else methods).items():
        found[name] = {}
        for room in rooms:
            fitted = method([frame for frame in frames if frame.room != room])
            found[name][room] = score([frame for frame in frames if frame.room == room], fitted)
            on_fit()
        found[name][ALL_ROOMS] = mean_scores(found[name].values())
    return found


def score(frames: Sequence[FrameErrors], fitted: Fitted) -> Scores:
    """Score an uncertainty with its factors on the frames of one room.

    Args:
        frames: At least one, each recording's in temporal order.
        fitted: What is scored.
    """
    rows = []
    curves: dict[str, list[tuple[float, float]]] = {metric: [] for metric in METRICS}
    for frame, gains in _with_gains(frames, fitted):
        half = combined(_network_part(frame, fitted, gains), frame.scale_sigma_log)
        error, intervals = frame.log_error(), gains.intervals(fitted.factors)
        pairs = zip((1.0, *intervals), LEVELS, strict=True)
        rows.append(
            [
                *covered_shares(error, half, intervals),
                sharpness(half),
                np.mean([interval_score(error, ratio * half, level) for ratio, level in pairs]),
            ]
        )
        for metric in METRICS:
            found = sparsification_curves(*_aligned(frame), fitted.width(frame), metric)
            curves[metric].append((found.ause, found.aurg))
    means = np.mean(rows, axis=0).tolist()
    areas = {metric: np.mean(pairs, axis=0).tolist() for metric, pairs in curves.items()}
    return Scores(
        len(frames),
        (means[0], means[1], means[2]),
        means[3],
        means[4],
        {metric: both[0] for metric, both in areas.items()},
        {metric: both[1] for metric, both in areas.items()},
    )


def _with_gains(
    frames: Sequence[FrameErrors], fitted: Fitted
) -> Iterator[tuple[FrameErrors, IntervalGains]]:
    """Yield each frame with what its recording's earlier frames taught; nothing where untracked."""
    tracker = CoverageTracker(fitted.tracking or UncertaintyConfig(tracking_rate=0.0))
    recording = ""
    for stamp, frame in enumerate(frames):
        if frame.recording != recording:
            tracker.reset()
            recording = frame.recording
        gains = tracker.gains(stamp)
        yield frame, gains
        half = combined(_network_part(frame, fitted, gains), frame.scale_sigma_log)
        intervals = gains.intervals(fitted.factors)
        tracker.update(stamp, covered_shares(frame.log_error(), half, intervals))


def _network_part(frame: FrameErrors, fitted: Fitted, gains: IntervalGains) -> Floats:
    return gains.sigma * fitted.factors.k68 * fitted.width(frame)


def _aligned(frame: FrameErrors) -> tuple[Floats, Floats]:
    """Return truth and depth by the ratio of the medians, clipped; metres."""
    scale = median_scale(frame.truth_m, frame.depth)
    return frame.truth_m, np.clip(frame.depth * np.float32(scale), *CLIP_M)


def mean_scores(scores: Iterable[Scores]) -> Scores:
    """Average over rooms, each with the same weight."""
    of_rooms = list(scores)
    coverage = np.mean([one.coverage for one in of_rooms], axis=0).tolist()
    return Scores(
        sum(one.frames for one in of_rooms),
        (coverage[0], coverage[1], coverage[2]),
        float(np.mean([one.sharpness for one in of_rooms])),
        float(np.mean([one.interval_score for one in of_rooms])),
        {m: float(np.mean([one.ause[m] for one in of_rooms])) for m in METRICS},
        {m: float(np.mean([one.aurg[m] for one in of_rooms])) for m in METRICS},
    )
