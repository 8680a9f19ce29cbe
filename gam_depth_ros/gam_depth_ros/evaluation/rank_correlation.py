"""Whether two things rise and fall together, whatever their units."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's correlation: Pearson's of the ranks, ties sharing their mean rank.

    Pairs with a NaN are left out; NaN for fewer than three pairs, or where one side is constant.
    """
    pairs = np.array([one, other], np.float64)
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    if pairs.shape[1] < 3:
        return math.nan
    first, second = (_ranks(side) for side in pairs)
    spread = float(np.std(first) * np.std(second))
    if spread == 0.0:
        return math.nan
    return float(np.mean((first - first.mean()) * (second - second.mean()))) / spread


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (last - (counts - 1) / 2.0)[place]
    return ranks
