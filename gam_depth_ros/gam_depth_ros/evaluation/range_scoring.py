"""Depth errors by the distance of what is seen: pixels of all frames pooled, by range."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.metrics import MAX_DEPTH_M, MIN_DEPTH_M
from gam_depth_ros.evaluation.frame_pixels import Pixels
from gam_depth_ros.evaluation.frame_values import BlockedSums

RANGE_EDGES_M = tuple(np.arange(0.0, 10.5, 0.5).tolist())
MOST_PIXELS = 60_000
"""Of a frame with twice as many some count, at even distances: neighbours are of one range."""
_BINS = len(RANGE_EDGES_M) - 1
_FIGURES = ("abs_rel", "bias", "pixel_share")

Float64 = npt.NDArray[np.float64]


class RangeScore:
    """AbsRel and bias after per-image median alignment, by range of the reference depth.

    Args:
        block_frames: As in :class:`BlockedSums`.
    """

    def __init__(self, block_frames: int | None = None) -> None:
        # |relative error|, relative error, pixels, frames; by range.
        self._sums = BlockedSums((4, _BINS), block_frames)

    def add(self, found: Pixels) -> None:
        """Take in one frame's pixels, depth up to scale."""
        some = slice(None, None, max(1, found.truth_m.size // MOST_PIXELS))
        truth = np.ascontiguousarray(found.truth_m[some])
        relative = found.depth[some] * np.float32(found.median_scale)
        np.clip(relative, MIN_DEPTH_M, MAX_DEPTH_M, out=relative)
        relative -= truth
        relative /= truth
        # Ten metres exactly belongs to the last range, what lies beyond to none.
        places = np.minimum(truth * np.float32(1.0 / RANGE_EDGES_M[1]), _BINS).astype(np.intp)
        if found.truth.largest_m >= RANGE_EDGES_M[-1]:
            places[truth == RANGE_EDGES_M[-1]] = _BINS - 1
        pixels = np.bincount(places, minlength=_BINS + 1)[:_BINS]
        # Those too far and those too near apart: their sum is the bias, their difference AbsRel.
        places += (_BINS + 1) * (relative < 0)
        sums = np.bincount(places, weights=relative, minlength=2 * (_BINS + 1))
        far, near = sums[:_BINS], sums[_BINS + 1 : 2 * _BINS + 1]
        self._sums.add(np.stack((far - near, far + near, pixels, pixels > 0)))

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each range that has a pixel, nearest first."""
        total = self._sums.total()
        figures = _figures(total).reshape(len(_FIGURES), _BINS)
        intervals = self._sums.intervals(_figures)
        return [
            {
                "from_m": RANGE_EDGES_M[index],
                "to_m": RANGE_EDGES_M[index + 1],
                **{name: float(figures[row, index]) for row, name in enumerate(_FIGURES)},
                "intervals": {
                    name: ends
                    for row, name in enumerate(_FIGURES)
                    if (ends := intervals[row * _BINS + index]) is not None
                },
                "frames": int(total[3, index]),
            }
            for index in range(_BINS)
            if total[2, index] > 0
        ]


def _figures(sums: Float64) -> Float64:
    """Return the figures of ``_FIGURES`` one after the other, each by range; NaN without pixels."""
    off, bias, pixels, _ = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.concatenate((off / pixels, bias / pixels, pixels / pixels.sum()))
