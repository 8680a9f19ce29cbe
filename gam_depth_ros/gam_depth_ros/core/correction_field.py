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
    levels = _push(values, weights)
    variance = np.full((1, 1), prior_variance, np.float32)
    field = coarse = coarse_variance = np.zeros((1, 1), np.float32)
    for number in reversed(range(len(levels))):
        level = levels[number]
        field = _pull(field, level.mean, level.quarter_support)
        variance = _pull(variance, level.spread, level.quarter_support)
        if number == min(COARSE_LEVEL, len(levels) - 1):
            coarse, coarse_variance = field, variance
    size_wh = values.shape[1], values.shape[0]
    return SmoothField(
        fine=field,
        fine_variance=variance,
        coarse=cv2.resize(coarse, size_wh, interpolation=cv2.INTER_LINEAR),
        coarse_variance=cv2.resize(coarse_variance, size_wh, interpolation=cv2.INTER_LINEAR),
    )


@dataclass(frozen=True)
class _Level:
    """Cells of one size.

    Attributes:
        mean: h×w float32, of the values in a cell.
        spread: h×w float32, their variance.
        quarter_support: h×w float32, by how much a cell stands on its own, 0 to _FULL_SUPPORT.
    """

    mean: Floats
    spread: Floats
    quarter_support: Floats


def _pull(coarser: Floats, here: Floats, support: Floats) -> Floats:
    """Return the coarser field, moved towards the values here by their support."""
    size_wh = here.shape[1], here.shape[0]
    below = cv2.resize(coarser, size_wh, interpolation=cv2.INTER_LINEAR)
    step = cv2.subtract(here, below)
    cv2.multiply(step, support, dst=step)
    moved: Floats = cv2.scaleAdd(step, 1 / _FULL_SUPPORT, below, dst=below)
    return moved


def _push(values: Floats, weights: Floats) -> list[_Level]:
    """Return averages of cells, level by level, finest first.

    The last level stands on its own everywhere, or is a single cell: coarser ones change nothing.
    """
    first = cv2.multiply(weights, values)
    # One array each: OpenCV halves a single channel several times as fast as one of three.
    sums = [weights, first, cv2.multiply(first, values)]
    levels: list[_Level] = []
    while True:
        weight, first, second = sums
        floor = cv2.max(weight, _LEAST_WEIGHT)
        mean = cv2.divide(first, floor)
        spread = cv2.divide(second, floor, dst=floor)
        cv2.subtract(spread, cv2.multiply(mean, mean), dst=spread)
        cv2.threshold(spread, 0, 0, cv2.THRESH_TOZERO, dst=spread)
        support = cv2.threshold(weight, _FULL_SUPPORT, 0, cv2.THRESH_TRUNC)[1]
        levels.append(_Level(mean, spread, support))
        height, width = weight.shape
        alone = len(levels) > COARSE_LEVEL and support.min() >= _FULL_SUPPORT
        if alone or (height == 1 and width == 1):
            return levels
        halved = (width + 1) // 2, (height + 1) // 2
        sums = [cv2.resize(part, halved, interpolation=cv2.INTER_AREA) for part in sums]
