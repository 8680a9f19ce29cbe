"""A smooth field through scattered values: push-pull interpolation with its own uncertainty.

Gortler et al. (The Lumigraph, 1996) fill an image from samples by a pyramid: averages of known
values are pushed to coarser levels, and what is unknown is pulled back from the finest level that
knows something. Carrying the mean of the squares along gives each level the spread of the values
within a cell: how much the field changes over the distance that a hole had to be bridged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2 as typed_cv2
import numpy as np
import numpy.typing as npt

# Its type hints know no scalar operand and forget float32.
cv2: Any = typed_cv2

Floats = npt.NDArray[np.float32]

COARSE_LEVEL = 3
"""Level whose cells, eight samples wide, the coarse field resolves."""

_FULL_SUPPORT = 0.25  # share of a cell that has to be known for the cell to stand on its own
_LEAST_WEIGHT = 1e-6


@dataclass(frozen=True)
class SmoothField:
    """A field on the samples' grid.

    Attributes:
        fine: h×w float32; where samples are, nearly their values; between them interpolated.
        fine_variance: h×w float32, of ``fine`` as a prediction of samples that were not given.
        coarse: h×w float32, smoothed over cells of 2^COARSE_LEVEL samples.
        coarse_variance: h×w float32, of single samples about ``coarse``.
    """

    fine: Floats
    fine_variance: Floats
    coarse: Floats
    coarse_variance: Floats


def smooth_field(values: Floats, weights: Floats, prior_variance: float) -> SmoothField:
    """Interpolate and extrapolate scattered values.

    Args:
        values: h×w float32, finite everywhere; those with weight 0 do not count.
        weights: h×w float32 from 0 (unknown) to 1 (trusted).
        prior_variance: Variance of the value 0, which holds where nothing at all is known.
    """
    pushed = _push(values, weights)
    field = np.zeros((1, 1), np.float32)
    variance = np.full((1, 1), prior_variance, np.float32)
    coarse = coarse_variance = field
    for level in reversed(range(len(pushed))):
        support, mean, spread = pushed[level]
        size_wh = support.shape[1], support.shape[0]
        below = cv2.resize(field, size_wh, interpolation=cv2.INTER_LINEAR)
        below_variance = cv2.resize(variance, size_wh, interpolation=cv2.INTER_LINEAR)
        field = _towards(below, mean, support)
        variance = _towards(below_variance, spread, support)
        if level == min(COARSE_LEVEL, len(pushed) - 1):
            coarse, coarse_variance = field, variance
    size_wh = values.shape[1], values.shape[0]
    return SmoothField(
        fine=field,
        fine_variance=variance,
        coarse=cv2.resize(coarse, size_wh, interpolation=cv2.INTER_LINEAR),
        coarse_variance=cv2.resize(coarse_variance, size_wh, interpolation=cv2.INTER_LINEAR),
    )


def _towards(here: Floats, there: Floats, share: Floats) -> Floats:
    """Return here + share · (there − here); ``there`` is written over."""
    there -= here
    there *= share
    there += here
    return there


def _push(values: Floats, weights: Floats) -> list[tuple[Floats, Floats, Floats]]:
    """Return support (0 to 1), mean and variance per cell, level by level, finest first.

    The last level is a single cell, or stands on its own everywhere: coarser ones change nothing.
    """
    first = cv2.multiply(weights, values)
    # One array each: OpenCV halves a single channel several times as fast as one of three.
    sums = [weights, first, cv2.multiply(first, values)]
    levels = []
    while True:
        weight, first, second = sums
        floor = np.maximum(weight, np.float32(_LEAST_WEIGHT))
        mean = first / floor
        spread = second / floor
        spread -= mean * mean
        np.maximum(spread, 0, out=spread)
        support = weight / np.float32(_FULL_SUPPORT)
        levels.append((np.minimum(support, 1, out=support), mean, spread))
        height, width = weight.shape
        alone = len(levels) > COARSE_LEVEL and support.min() >= 1
        if alone or (height == 1 and width == 1):
            return levels
        halved = (width + 1) // 2, (height + 1) // 2
        sums = [cv2.resize(part, halved, interpolation=cv2.INTER_AREA) for part in sums]
