"""How sure a mean over video frames is: neighbouring frames are alike, so blocks are resampled.

The circular block bootstrap (Politis & Romano 1992) with the block length that the series' own
autocorrelation asks for (Politis & White 2004; corrected by Patton, Politis & White 2009).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
RESAMPLES = 2000
_LEAST_LAGS = 5
_CHUNK_VALUES = 2_000_000

Series = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean and the interval that is to hold the true one.

    Attributes:
        mean: Mean over the series' own means: each series has the same weight.
        low: Lower end; NaN for a series of one value.
        high: Upper end; NaN likewise.
        frames: Number of values.
        block_frames: The longest block used.
    """

    mean: float
    low: float
    high: float
    frames: int
    block_frames: int


def interval_of_mean(
    series: Sequence[Series],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    block_frames: int | None = None,
) -> Interval:
    """Return the mean of several stretches of video and its confidence interval.

    Blocks are drawn within each stretch, never across two. The interval speaks of more frames of
    these recordings, not of other recordings. It is the bootstrap's own spread around the mean,
    widened to Student's law for the number of blocks: few blocks say little.

    Args:
        series: One array for each recording, its frames in their order; finite, none empty.
        confidence: Rate at which intervals hold the true mean.
        resamples: Number of resampled means.
        seed: The same seed gives the same interval.
        block_frames: Length of a block; None takes what each series asks for.

    Raises:
        ValueError: no series, or one that is empty or not finite.
    """
    if not series or not all(part.size and np.isfinite(part).all() for part in series):
        raise ValueError("bootstrap: got no values or some not finite, expected finite series")
    lengths = [
        min(part.size, block_length(part) if block_frames is None else block_frames)
        for part in series
    ]
    rng = np.random.default_rng(seed)
    resampled = np.mean(
        [
            _resampled_means(part, length, resamples, rng)
            for part, length in zip(series, lengths, strict=True)
        ],
        axis=0,
    )
    mean = float(np.mean([part.mean() for part in series]))
    blocks = sum(part.size / length for part, length in zip(series, lengths, strict=True))
    freedom = blocks - len(series)
    low = high = math.nan
    if freedom >= 1.0:
        tail = (1.0 - confidence) / 2.0
        # Resampling k blocks makes the variance (k-1)/k of what it should be.
        widened = student_quantile(1.0 - tail, freedom) / NormalDist().inv_cdf(1.0 - tail)
        widened *= math.sqrt(blocks / freedom)
        below, above = np.quantile(resampled, [tail, 1.0 - tail])
        low, high = mean + widened * (below - mean), mean + widened * (above - mean)
    return Interval(mean, float(low), float(high), sum(p.size for p in series), max(lengths))


def block_length(values: Series) -> int:
    """Return the block length that suits a series' autocorrelation, at least 1.

    b = (2 G² / D)^(1/3) n^(1/3), with G = Σ λ(k/M) |k| R(k), D = 4/3 (Σ λ(k/M) R(k))², R the
    autocovariance, λ the flat-top window, and M twice the lag from which on the autocorrelation
    is not told from zero. At most min(3 sqrt(n), n/3).
    """
    n = values.size
    limit = max(1, math.ceil(min(3.0 * math.sqrt(n), n / 3.0)))
    variance = float(np.var(values))
    if n < 4 or variance <= 0.0:
        return 1
    stretch = max(_LEAST_LAGS, math.ceil(math.sqrt(math.log10(n))))
    most = min(n - 1, math.ceil(math.sqrt(n)) + stretch)
    covariance = _autocovariance(values, most)
    bound = 2.0 * math.sqrt(math.log10(n) / n)
    significant = np.abs(covariance[1:] / variance) >= bound
    last = _last_before_quiet(significant, stretch)
    window = min(2 * max(last, 1), most)
    lags = np.arange(1, window + 1)
    weights = np.clip(2.0 * (1.0 - lags / window), 0.0, 1.0)
    g = 2.0 * float(np.sum(weights * lags * covariance[1 : window + 1]))
    spectrum = float(covariance[0] + 2.0 * np.sum(weights * covariance[1 : window + 1]))
    if spectrum <= 0.0:
        return limit
    length = (2.0 * g**2 / (4.0 / 3.0 * spectrum**2)) ** (1.0 / 3.0) * n ** (1.0 / 3.0)
    return int(min(limit, max(1, math.ceil(length))))


def student_quantile(probability: float, freedom: float) -> float:
    """Return Student's quantile from the normal one (Cornish-Fisher; Abramowitz & Stegun 26.7.5).

    Within 0.02 of the exact 97.5 % quantile from three degrees of freedom; below that too small.
    """
    x = NormalDist().inv_cdf(probability)
    terms = (
        (x**3 + x) / 4.0,
        (5.0 * x**5 + 16.0 * x**3 + 3.0 * x) / 96.0,
        (3.0 * x**7 + 19.0 * x**5 + 17.0 * x**3 - 15.0 * x) / 384.0,
        (79.0 * x**9 + 776.0 * x**7 + 1482.0 * x**5 - 1920.0 * x**3 - 945.0 * x) / 92160.0,
    )
    return x + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))


def _autocovariance(values: Series, most: int) -> Series:
    centred = values - values.mean()
    n = values.size
    return np.array([float(centred[: n - lag] @ centred[lag:]) / n for lag in range(most + 1)])


def _last_before_quiet(significant: npt.NDArray[np.bool_], stretch: int) -> int:
    """Return the last lag before ``stretch`` lags that all are not told from zero."""
    for lag in range(significant.size - stretch + 1):
        if not significant[lag : lag + stretch].any():
            return lag
    found = np.flatnonzero(significant)
    return int(found[-1]) + 1 if found.size else 0


def _resampled_means(
    values: Series, length: int, resamples: int, rng: np.random.Generator
) -> Series:
    """Return means of circular blocks drawn with replacement, together as long as the series."""
    n = values.size
    count = math.ceil(n / length)
    # Sums of any block from running sums of the series and its own beginning again.
    running = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[:length]]))])
    rest = n - (count - 1) * length
    means = np.empty(resamples)
    chunk = max(1, _CHUNK_VALUES // count)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        places = rng.integers(0, n, (rows, count))
        sums = (running[places[:, :-1] + length] - running[places[:, :-1]]).sum(axis=1)
        sums += running[places[:, -1] + rest] - running[places[:, -1]]
        means[start : start + rows] = sums / n
    return means
