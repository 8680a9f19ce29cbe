"""Depth under one scale for a whole sequence, and raw, from one pass over it.

The sequence's scale is known only at its end. What the errors then are is read from the histogram
of log(prediction / truth): with a scale s, AbsRel is the mean of |s·p/d − 1|, and so on. Bins are
half a percent wide, so that figures are exact to about that share of themselves. Nothing is
clipped.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.evaluation.frame_pixels import Pixels
from gam_depth_ros.evaluation.frame_values import BlockedSums, Ends, interval_of

BIN = 0.005
REACH = 3.0
"""Log ratios beyond count as at the end: a factor of twenty."""
MOST_PIXELS = 100_000
"""Of a frame with twice as many some count, at even distances: neighbours say the same."""
_BINS = round(2 * REACH / BIN)
_CENTRES = -REACH + BIN * (np.arange(_BINS) + 0.5)
FIGURES = ("abs_rel", "rmse_log", "log10", "d1")


class AlignmentScore:
    """AbsRel, RMSE log, log10 and δ1 of the network's depth under other alignments.

    Args:
        block_frames: Frames that are resampled together; None for what their number asks for.
    """

    def __init__(self, block_frames: int | None = None) -> None:
        self._block_frames = block_frames
        self._ratios = BlockedSums((_BINS,), block_frames)
        self._scales: list[float] = []

    def add(self, found: Pixels, ideal_scale: float) -> None:
        """Take in one frame.

        Args:
            found: Its pixels, depth up to scale.
            ideal_scale: The frame's own metres per unit; NaN unknown.
        """
        if not math.isfinite(ideal_scale):
            return
        logs = found.log_ratio[:: max(1, found.log_ratio.size // MOST_PIXELS)]
        places = np.clip((logs + REACH) / BIN, 0, _BINS - 1).astype(np.intp)
        # Each frame weighs the same, as in the other figures.
        self._ratios.add(np.bincount(places, minlength=_BINS) / places.size)
        self._scales.append(ideal_scale)

    def summary(self) -> dict[str, Any]:
        """Return ``per_sequence`` and ``raw`` for the report; figures are None without a frame.

        The sequence's scale is the median of its frames' own.
        """
        scale = float(np.median(self._scales)) if self._scales else math.nan
        logs = np.log(self._scales)
        return {
            "per_sequence": {
                **self._figures(scale),
                "scale": scale if self._scales else None,
                # How far frames are from one scale: what per-image alignment hides.
                "scale_spread_log": float(np.std(logs)) if self._scales else None,
                "scale_intervals": _scale_intervals(logs, self._block_frames),
            },
            "raw": {**self._figures(1.0), "scale": 1.0},
        }

    def _figures(self, scale: float) -> dict[str, Any]:
        frames = self._ratios.frames
        if not frames:
            return {**dict.fromkeys(FIGURES), "intervals": {}, "frames": 0}
        total = self._ratios.total()
        found = {name: figure_of(total, scale, name) for name in FIGURES}
        # The sequence's scale is held: the interval is over frames, given it.
        intervals = {
            name: self._ratios.interval(functools.partial(figure_of, scale=scale, name=name))
            for name in FIGURES
        }
        known = {name: ends for name, ends in intervals.items() if ends is not None}
        return {**found, "intervals": known, "frames": frames}


def _scale_intervals(logs: npt.NDArray[np.float64], block_frames: int | None) -> dict[str, Ends]:
    """Return the intervals of the sequence's scale and of its spread, from each frame's log."""
    found = {
        "scale": interval_of(logs, lambda drawn: math.exp(float(np.median(drawn))), block_frames),
        "scale_spread_log": interval_of(logs, lambda drawn: float(np.std(drawn)), block_frames),
    }
    return {name: ends for name, ends in found.items() if ends is not None}


def figure_of(weights: npt.NDArray[np.float64], scale: float, name: str) -> float:
    """Return a figure from the weights of the log ratios' bins; NaN without any.

    RMSE log is the root over all pixels, not the mean of the images' roots.

    Args:
        weights: One for each bin.
        scale: What predictions are multiplied by.
        name: One of ``FIGURES``.
    """
    total = float(weights.sum())
    if total <= 0:
        return math.nan
    logs = _CENTRES + math.log(scale)
    values = {
        "abs_rel": np.abs(np.exp(logs) - 1.0),
        "rmse_log": logs**2,
        "log10": np.abs(logs) / math.log(10.0),
        "d1": (np.abs(logs) < math.log(1.25)).astype(np.float64),
    }[name]
    mean = float(weights @ values) / total
    return math.sqrt(mean) if name == "rmse_log" else mean
