"""Claims about what says whether an uncertainty is good, on values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.uncertainty_metrics import (
    INTERVALS,
    METRICS,
    coverage,
    expected_calibration_error,
    interval_score,
    sharpness,
    sparsification_curve,
    sparsification_curves,
)


def pixels(count: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, depth and the spread that the errors were drawn with."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(1.0, 4.0, count)
    spread = rng.uniform(0.01, 0.3, count)
    return truth, truth * np.exp(rng.laplace(0.0, spread)), spread


def ordered_by(metric: str, depth: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The sigma by which a metric takes pixels in this order, largest first."""
    # Metres go by sigma times depth.
    return order / depth if metric == "rmse" else order


def true_order(metric: str, truth: np.ndarray, depth: np.ndarray) -> np.ndarray:
    if metric == "one_minus_d1":
        return np.abs(np.log(depth / truth))
    return np.abs(depth - truth) / (truth if metric == "abs_rel" else 1.0)


@pytest.mark.parametrize("metric", METRICS)
def test_the_true_order_has_no_ause_and_the_reverse_loses_to_chance(metric):
    truth, depth, _ = pixels()
    order = true_order(metric, truth, depth)
    best = sparsification_curves(truth, depth, ordered_by(metric, depth, order), metric)
    reverse = ordered_by(metric, depth, 1.0 / (order + 1e-9))
    worst = sparsification_curves(truth, depth, reverse, metric)
    assert best.ause == pytest.approx(0.0, abs=1e-9)
    assert worst.aurg < 0 < best.aurg
    assert worst.ause > 0
    assert len(best.by_error) == INTERVALS == 50


@pytest.mark.parametrize("metric", METRICS)
def test_a_random_order_gains_nothing_and_the_true_spread_lies_between(metric):
    truth, depth, spread = pixels(20_000)
    random = np.random.default_rng(1).random(20_000)
    chance = sparsification_curves(truth, depth, ordered_by(metric, depth, random), metric)
    honest = sparsification_curves(truth, depth, spread, metric)
    scale = chance.by_uncertainty[0]
    assert abs(chance.aurg) < 0.03 * scale
    assert chance.ause > 0.3 * scale
    assert 0 < honest.ause < chance.ause
    assert honest.aurg > 0.1 * scale


def test_curves_are_the_metrics_of_what_is_left():
    truth, depth = np.ones(4), np.array([1.1, 1.2, 1.3, 1.4])
    sigma = np.array([4.0, 3.0, 2.0, 1.0])
    expected = {
        "abs_rel": ([0.25, 0.35], [0.25, 0.15]),
        "rmse": (np.sqrt([0.075, 0.125]), np.sqrt([0.075, 0.025])),
        "one_minus_d1": ([0.5, 1.0], [0.5, 0.0]),
    }
    for metric, (by_uncertainty, by_error) in expected.items():
        curves = sparsification_curves(truth, depth, sigma, metric, intervals=2)
        np.testing.assert_allclose(curves.by_uncertainty, by_uncertainty, atol=1e-12)
        np.testing.assert_allclose(curves.by_error, by_error, atol=1e-7)
    with pytest.raises(ValueError, match="got metric 'd2', expected one of abs_rel"):
        sparsification_curves(truth, depth, sigma, "d2")


def test_areas_are_hand_computed():
    # AbsRel of errors 0.4 and 0.2 (mean 0.3): by uncertainty the 0.2 goes first, leaving 0.4.
    curves = sparsification_curves(
        np.ones(2), np.array([1.4, 1.2]), np.array([0.1, 0.9]), "abs_rel", intervals=2
    )
    assert curves.ause == pytest.approx(((0.3 - 0.3) + (0.4 - 0.2)) / 2)
    assert curves.aurg == pytest.approx(((0.3 - 0.3) + (0.3 - 0.4)) / 2)


def test_a_curve_takes_equals_in_the_order_they_come():
    curve = sparsification_curve(np.array([4.0, 1.0, 1.0, 0.0]), np.ones(4), intervals=4)
    np.testing.assert_allclose(curve, [1.5, 2 / 3, 0.5, 0.0])


@given(st.floats(0.01, 100.0))
@settings(max_examples=20, deadline=None)
def test_a_common_factor_on_sigma_changes_no_ranking(factor):
    truth, depth, spread = pixels(500)
    one = sparsification_curves(truth, depth, spread, "rmse")
    other = sparsification_curves(truth, depth, factor * spread, "rmse")
    assert other.ause == pytest.approx(one.ause, rel=1e-9)


def test_coverage_counts_both_sides_and_skips_the_unknown():
    error = np.array([-1.0, 0.5, 2.0, 1.0, np.nan])
    sigma = np.array([1.0, 1.0, 1.0, np.nan, 1.0])
    assert coverage(error, sigma) == pytest.approx(2 / 3)
    assert coverage(error, sigma, k=2.0) == 1.0
    assert math.isnan(coverage(np.array([np.nan]), np.ones(1)))


@pytest.mark.parametrize(("k", "share"), [(1.0, 0.6827), (1.645, 0.90), (2.0, 0.9545)])
def test_coverage_of_a_gaussian_is_nominal(k, share):
    error = np.random.default_rng(0).normal(0, 2, 200_000)
    assert coverage(error, np.full(200_000, 2.0), k) == pytest.approx(share, abs=0.003)


def test_sharpness_is_the_mean_width():
    assert sharpness(np.array([0.1, 0.3, np.nan, np.inf])) == pytest.approx(0.4)
    assert math.isnan(sharpness(np.array([np.nan])))


def test_the_interval_score_is_the_width_and_what_lies_outside():
    # The second truth lies 0.3 outside, which costs 2/(1 - 0.5) times as much; the last is unknown.
    error, half = np.array([0.1, -0.5, np.nan]), np.array([0.2, 0.2, 0.2])
    assert interval_score(error, half, level=0.5) == pytest.approx((0.4 + 0.4 + 4 * 0.3) / 2)
    assert math.isnan(interval_score(error[2:], half[2:], level=0.5))


def test_the_interval_score_is_smallest_for_the_right_width():
    error = np.random.default_rng(0).normal(0, 1, 100_000)
    scores = {k: interval_score(error, np.full(100_000, k), 0.6827) for k in (0.7, 1.0, 1.4)}
    assert min(scores, key=scores.__getitem__) == 1.0


def test_calibration_error_is_the_weighted_gap():
    # Two bins: confidence 0.2, of which none is right; 0.8 and 0.6, of which one is.
    confidence = np.array([0.2, 0.8, 0.6, np.nan])
    right = np.array([False, True, False, True])
    assert expected_calibration_error(confidence, right, bins=2) == pytest.approx(
        (1 * 0.2 + 2 * abs(0.7 - 0.5)) / 3
    )
    assert math.isnan(expected_calibration_error(np.array([np.nan]), np.array([True])))


def test_an_honest_confidence_has_no_calibration_error_and_full_confidence_is_in_a_bin():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1.0, 100_000)
    honest = expected_calibration_error(confidence, rng.random(100_000) < confidence)
    assert honest < 0.01
    assert expected_calibration_error(np.ones(4), np.ones(4, bool)) == 0.0
    assert expected_calibration_error(np.ones(4), np.zeros(4, bool)) == 1.0
