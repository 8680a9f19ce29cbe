"""What fusion with the sensor would give, never scored on what the sensor itself showed it.

On recordings errors are those of blocks that were withheld. What fusion makes of readings can only
be scored where the truth is known apart from them: on synthetic recordings, whose sensor depth has
a sensor's faults and whose exact depth is known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import FusionConfig
from gam_depth_ros.core.frame import SOURCE_NETWORK
from gam_depth_ros.core.metrics import MAX_DEPTH_M, MIN_DEPTH_M, errors_of_pixels
from gam_depth_ros.core.sensor_fusion import SensorFusion
from gam_depth_ros.core.uncertainty_metrics import coverage
from gam_depth_ros.evaluation.frame_pixels import valid_pixels, values_at
from gam_depth_ros.evaluation.frame_values import BlockedSums, FrameValues
from gam_depth_ros.evaluation.observation import Float, Observation
from gam_depth_ros.evaluation.withholding import withhold_blocks

BLOCK_SHARE_OF_WIDTH = 0.05
WITHHELD_SHARE = 0.25
MOST_SCORED = 30_000
"""Of a frame with twice as many withheld pixels some count, at even distances."""
SEED = 1
MODES = ("network", "fill", "fuse")
FIGURES = ("abs_rel", "rmse", "d1", "coverage_1sigma")
GROUPS = ("readings", "holes")
SOURCES = ("none", "sensor", "network", "fused")


class _ModeErrors:
    """Depth errors and coverage of each mode over frames, on pixels chosen by the caller."""

    def __init__(self, names: tuple[str, ...] = MODES) -> None:
        self.frames = 0
        self._names = names
        self._values = {name: FrameValues(shares=("d1", "coverage_1sigma")) for name in names}

    def add(self, name: str, truth_m: Float, depth_m: Float, sigma_m: Float | None) -> None:
        """Take in N pixels of one frame, all of them known."""
        errors = errors_of_pixels(truth_m, depth_m, 1.0)
        values = self._values[name]
        for figure in FIGURES[:3]:
            values.add(figure, float(getattr(errors, figure)))
        if sigma_m is not None:
            values.add("coverage_1sigma", coverage(depth_m - truth_m, sigma_m))

    def summary(self) -> dict[str, Any]:
        """Return each figure's mean over frames by mode, and its intervals.

        ``intervals`` are those of AbsRel, ``intervals_of`` those of all figures.
        """
        figures = {
            figure: {
                name: mean
                for name in self._names
                if (mean := self._values[name].mean(figure)) is not None
            }
            for figure in FIGURES
        }
        intervals = {
            name: ends
            for name in self._names
            if (ends := self._values[name].interval("abs_rel")) is not None
        }
        return {
            **figures,
            "intervals": intervals,
            "intervals_of": {
                figure: {
                    name: ends
                    for name in self._names
                    if (ends := self._values[name].interval(figure)) is not None
                }
                for figure in FIGURES
            },
            "frames": self.frames,
        }


class FusionScore:
    """Each mode on the same frames, the same metres and the same withheld blocks.

    A quarter of the picture, in blocks of a twentieth of its width, is kept from the sensor before
    it is fused; errors are those of these blocks. The blocks are the same in every frame, so that
    memory does not tell what was there.

    Args:
        config: The sensor's model and the gates; its mode is not used.
    """

    def __init__(self, config: FusionConfig) -> None:
        self._stages = {mode: SensorFusion(replace(config, mode=mode)) for mode in MODES}
        self._errors = _ModeErrors()
        self._sources = BlockedSums((len(SOURCES),))

    def add(self, truth_m: Float, seen: Observation) -> None:
        """Score one frame whose sensor depth is the truth; without metres it counts nothing."""
        depth_m, sigma_m = seen.metric_depth_m, seen.metric_sigma_m
        reference = seen.sample.frame.reference
        if depth_m is None or sigma_m is None or reference is None:
            return
        depth_m = np.clip(depth_m, MIN_DEPTH_M, MAX_DEPTH_M)
        size_px = max(1, round(BLOCK_SHARE_OF_WIDTH * truth_m.shape[1]))
        kept_m, withheld = withhold_blocks(truth_m, size_px, WITHHELD_SHARE, SEED)
        blocks = np.flatnonzero(withheld)
        blocks = blocks[:: max(1, blocks.size // MOST_SCORED)]
        known = valid_pixels(values_at(truth_m, blocks)) & np.isfinite(values_at(depth_m, blocks))
        scored = blocks[known]
        if not scored.size:
            return
        true_m = values_at(truth_m, scored)
        shown = replace(reference, depth_m=kept_m)
        self._errors.frames += 1
        for mode, stage in self._stages.items():
            fused = stage.update(
                seen.sample.frame.stamp_ns, depth_m, sigma_m, shown, seen.sample.frame.rgb
            )
            pair = (values_at(image, scored) for image in (fused.depth_m, fused.sigma_m))
            self._errors.add(mode, true_m, *pair)
            if mode == "fuse":
                self._sources.add(_counts(fused.source))

    def summary(self) -> dict[str, Any] | None:
        """Return the figures for the report, None without a scored frame."""
        if not self._errors.frames:
            return None
        found = self._errors.summary()
        ends = self._sources.intervals(_shares)
        found["intervals_of"]["source_share"] = {
            name: pair for name, pair in zip(SOURCES, ends, strict=True) if pair is not None
        }
        shares = _shares(self._sources.total()).tolist()
        return {
            "withheld_share": WITHHELD_SHARE,
            **found,
            "source_share": dict(zip(SOURCES, shares, strict=True)),
        }


class ExactFusionScore:
    """Each mode with all that the sensor shows, against the exact depth of a synthetic recording.

    Pixels with a reading and holes are scored apart; ``sensor`` is the reading as it came.

    Args:
        config: The sensor's model and the gates; its mode is not used.
    """

    def __init__(self, config: FusionConfig) -> None:
        self._stages = {mode: SensorFusion(replace(config, mode=mode)) for mode in MODES}
        self._errors = {group: _ModeErrors(("sensor", *MODES)) for group in GROUPS}

    def add(self, exact_m: Float, seen: Observation) -> None:
        """Score one frame; without metres or without a sensor depth it counts nothing."""
        depth_m, sigma_m = seen.metric_depth_m, seen.metric_sigma_m
        frame = seen.sample.frame
        if depth_m is None or sigma_m is None or frame.reference is None:
            return
        sensor_m = frame.reference.depth_m
        if sensor_m.shape != exact_m.shape:
            return
        depth_m = np.clip(depth_m, MIN_DEPTH_M, MAX_DEPTH_M)
        scored = (exact_m > 0) & np.isfinite(exact_m) & np.isfinite(depth_m)
        read = (sensor_m > 0) & np.isfinite(sensor_m)
        places = {"readings": scored & read, "holes": scored & ~read}
        for group, where in places.items():
            self._errors[group].frames += bool(where.any())
        if places["readings"].any():
            where = places["readings"]
            self._errors["readings"].add("sensor", exact_m[where], sensor_m[where], None)
        for mode, stage in self._stages.items():
            fused = stage.update(frame.stamp_ns, depth_m, sigma_m, frame.reference, frame.rgb)
            for group, where in places.items():
                if where.any():
                    pair = fused.depth_m[where], fused.sigma_m[where]
                    self._errors[group].add(mode, exact_m[where], *pair)

    def summary(self) -> dict[str, Any] | None:
        """Return the figures for the report by group, None without a scored frame."""
        found = {name: errors.summary() for name, errors in self._errors.items() if errors.frames}
        return found or None


def _shares(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(counts / max(1.0, float(counts.sum())))


def _counts(source: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Count every second row of a source image; shares are what is told of them."""
    source = source[::2]
    # OpenCV's histogram of bytes takes a tenth of the time of NumPy's.
    counts = cv2.calcHist([source], [0], None, [SOURCE_NETWORK + 2], [0, SOURCE_NETWORK + 2])
    return np.asarray(counts, np.int64).ravel()
