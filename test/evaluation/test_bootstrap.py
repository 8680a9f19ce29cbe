"""Intervals of a mean over video: they cover at their rate, also where frames are alike."""

from __future__ import annotations

import numpy as np
import pytest

from gam_depth_ros.evaluation.bootstrap import block_length, interval_of_mean, student_quantile


def autoregressive(runs: int, frames: int, memory: float, seed: int = 3) -> np.ndarray:
    """runs×frames of x_t = memory · x_(t-1) + noise, whose true mean is 0."""
    noise = np.random.default_rng(seed).standard_normal((frames + 100, runs))
    values = np.zeros_like(noise)
    for t in range(1, frames + 100):
        values[t] = memory * values[t - 1] + noise[t]
    return values[100:].T.copy()


def rate(runs: np.ndarray, **options: int) -> float:
    hits = 0
    for index, run in enumerate(runs):
        interval = interval_of_mean([run], resamples=300, seed=index, **options)
        hits += interval.low <= 0.0 <= interval.high
    return hits / len(runs)


def test_intervals_cover_at_their_rate_for_independent_frames() -> None:
    # 300 draws at 95 %: two standard deviations are 2.5 %.
    assert rate(autoregressive(300, 200, 0.0)) == pytest.approx(0.95, abs=0.03)


def test_intervals_cover_nearly_at_their_rate_for_frames_that_are_alike() -> None:
    runs = autoregressive(200, 400, 0.8)
    assert rate(runs) > 0.88
    # Frame by frame, as if they were independent, less than two thirds would be right.
    assert rate(runs, block_frames=1) < 0.65


def test_blocks_grow_with_memory_and_stay_short_without() -> None:
    independent = [block_length(run) for run in autoregressive(40, 300, 0.0)]
    alike = [block_length(run) for run in autoregressive(40, 300, 0.9)]
    assert np.median(independent) <= 3
    assert np.median(alike) > 15
    assert max(alike) <= 52  # 3 sqrt(300)
    assert block_length(np.ones(50)) == 1


def test_interval_by_hand_of_a_constant() -> None:
    interval = interval_of_mean([np.full(20, 0.25)])
    assert (interval.mean, interval.low, interval.high) == (0.25, 0.25, 0.25)
    assert (interval.frames, interval.block_frames) == (20, 1)


def test_each_recording_has_the_same_weight() -> None:
    long, short = np.zeros(90), np.ones(10)
    assert interval_of_mean([long, short]).mean == 0.5


def test_same_seed_same_interval() -> None:
    run = autoregressive(1, 100, 0.5)[0]
    assert interval_of_mean([run], seed=5) == interval_of_mean([run], seed=5)
    assert interval_of_mean([run], seed=5) != interval_of_mean([run], seed=6)


def test_one_frame_tells_nothing_about_others() -> None:
    interval = interval_of_mean([np.array([0.3])])
    assert interval.mean == 0.3
    assert np.isnan(interval.low)
    assert np.isnan(interval.high)


@pytest.mark.parametrize(
    ("freedom", "exact"), [(3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042), (1e9, 1.960)]
)
def test_student_quantile_equals_the_tables(freedom: float, exact: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(exact, abs=0.005)


@pytest.mark.parametrize("series", [[], [np.empty(0)], [np.array([1.0, np.nan])]])
def test_series_without_numbers_are_refused(series: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="expected finite series"):
        interval_of_mean(series)
