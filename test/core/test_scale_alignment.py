"""Claims about learning metres from a reference depth."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.frame import ReferenceDepth
from gam_depth_ros.core.scale_alignment import (
    FixedScale,
    ScaleEstimator,
    make_scale_source,
    median_scale,
)

SECOND = 1_000_000_000
DEPTH = np.full((20, 30), 1.5, np.float32)


def reference(metres, stamp_ns, frame_id="camera"):
    depth_m = np.full((20, 30), metres, np.float32) if np.isscalar(metres) else metres
    return ReferenceDepth(depth_m, stamp_ns, frame_id)


def estimator(**settings_):
    return ScaleEstimator(ScaleConfig(**settings_))


def test_median_scale_ignores_nan_reference():
    metres = np.array([2.0, np.nan, 4.0, np.inf, 0.0, -1.0, 6.0], np.float32)
    assert median_scale(metres, np.ones(7, np.float32)) == pytest.approx(4.0)


def test_median_scale_ignores_outliers():
    metres = np.array([2.0, 2.0, 2.0, 2.0, 50.0], np.float32)
    assert median_scale(metres, np.ones(5, np.float32)) == pytest.approx(2.0)


def test_median_scale_of_nothing_is_nan():
    assert math.isnan(median_scale(np.full(3, np.nan), np.ones(3)))


@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=1, max_size=30),
)
def test_doubled_reference_doubles_the_median_scale(pairs):
    metres, depth = np.array(pairs).T
    assert median_scale(2 * metres, depth) == pytest.approx(2 * median_scale(metres, depth))
    assert median_scale(metres, 2 * depth) == pytest.approx(median_scale(metres, depth) / 2)


@settings(deadline=None)
@given(st.lists(st.floats(0.5, 2.5), min_size=1, max_size=8))
def test_doubled_references_double_the_estimate(values):
    single, doubled = estimator(), estimator()
    for index, metres in enumerate(values):
        stamp = index * SECOND // 30
        single.update(stamp, reference(metres, stamp), DEPTH)
        doubled.update(stamp, reference(2 * metres, stamp), DEPTH)
    first, second = (one.estimate(SECOND) for one in (single, doubled))
    assert second.value == pytest.approx(2 * first.value)
    assert second.sigma_log == pytest.approx(first.sigma_log)


def test_unknown_until_a_reference_then_locked():
    scale = estimator()
    before = scale.estimate(0)
    assert (before.state, before.known, before.sigma_log, before.age_s) == (
        "UNKNOWN",
        False,
        math.inf,
        math.inf,
    )
    assert scale.update(0, reference(3.0, 0), DEPTH) is None
    after = scale.estimate(SECOND // 30)
    assert (after.state, after.source) == ("LOCKED", "median_reference")
    assert after.value == pytest.approx(2.0)
    assert after.age_s == pytest.approx(1 / 30)


@pytest.mark.parametrize(("offset_ns", "known"), [(0, False), (-1, True), (1, False)])
def test_only_references_strictly_before_serve(offset_ns, known):
    scale = estimator()
    scale.update(SECOND, reference(3.0, 2 * SECOND + offset_ns), DEPTH)
    assert scale.estimate(2 * SECOND).known is known
    assert scale.estimate(3 * SECOND).known


def test_asking_twice_changes_nothing():
    scale = estimator()
    scale.update(0, reference(3.0, 0), DEPTH)
    assert scale.estimate(SECOND) == scale.estimate(SECOND)


def test_the_filter_follows_by_its_time_constant():
    scale = estimator(smoothing_time_s=0.5)
    scale.update(0, reference(1.5, 0), DEPTH)
    scale.update(SECOND // 2, reference(3.0, SECOND // 2), DEPTH)
    # log scale goes from 0 to log 2 by 1 - 1/e after one time constant.
    expected = math.exp(math.log(2) * (1 - math.exp(-1)))
    assert scale.estimate(SECOND).value == pytest.approx(expected, rel=1e-6)


def test_no_smoothing_takes_the_last_reference():
    scale = estimator(smoothing_time_s=0.0)
    scale.update(0, reference(1.5, 0), DEPTH)
    scale.update(SECOND, reference(3.0, SECOND), DEPTH)
    assert scale.estimate(2 * SECOND).value == pytest.approx(2.0)


def test_scale_holds_then_is_unknown_again():
    scale = estimator(max_age_s=5.0)
    scale.update(0, reference(3.0, 0), DEPTH)
    fresh, holding, lost = (scale.estimate(at * SECOND) for at in (1, 4, 6))
    assert [state.state for state in (fresh, holding, lost)] == ["LOCKED", "HOLDING", "UNKNOWN"]
    assert holding.value == fresh.value
    assert holding.sigma_log > fresh.sigma_log
    assert math.isnan(lost.value)
    assert "the last reference is 6.0 s old" in lost.reason


def test_after_a_long_gap_the_scale_starts_from_the_new_reference():
    scale = estimator(max_age_s=5.0, smoothing_time_s=60.0)
    scale.update(0, reference(1.5, 0), DEPTH)
    scale.update(10 * SECOND, reference(3.0, 10 * SECOND), DEPTH)
    assert scale.estimate(11 * SECOND).value == pytest.approx(2.0)


def test_sigma_is_the_robust_spread_over_the_independent_regions():
    # Log ratios alternate between -0.3 and 0.3: their median is one of the two or between, and
    # the median absolute deviation from 0 is 0.3.
    metres = (1.5 * np.exp(np.tile([-0.3, 0.3], (20, 15)))).astype(np.float32)
    scale = estimator()
    scale.update(0, reference(metres, 0), DEPTH)
    state = scale.estimate(SECOND // 30)
    assert state.value == pytest.approx(1.0, rel=1e-5)
    assert state.sigma_log == pytest.approx(1.2533 * 1.4826 * 0.3 / math.sqrt(64), rel=1e-5)


def test_sigma_never_claims_better_than_one_percent():
    scale = estimator()
    scale.update(0, reference(3.0, 0), DEPTH)
    assert scale.estimate(1).sigma_log == 0.01


def test_a_jumping_scale_is_less_sure():
    steady, jumping = estimator(), estimator()
    for index in range(10):
        stamp = index * SECOND // 10
        steady.update(stamp, reference(2.0, stamp), DEPTH)
        jumping.update(stamp, reference(2.0 if index % 2 else 3.0, stamp), DEPTH)
    assert jumping.estimate(SECOND).sigma_log > 5 * steady.estimate(SECOND).sigma_log


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (reference(np.full((20, 30), np.nan, np.float32), 0), "got 0.0% valid pixels"),
        (reference(0.1, 0), "got 0.0% valid pixels from 0.3 to 6 m"),
        (reference(9.0, 0), "got 0.0% valid pixels"),
        (reference(np.where(np.eye(20, 30) > 0, 2, np.nan).astype(np.float32), 0), "got 3.3%"),
        (reference(np.ones((10, 30), np.float32), 0), r"got size \(10, 30\), expected \(20, 30\)"),
    ],
)
def test_a_useless_reference_is_refused_in_one_line_and_changes_nothing(bad, words):
    scale = estimator()
    note = scale.update(0, bad, DEPTH)
    assert note is not None
    assert "\n" not in note
    assert re.search(words, note)
    state = scale.estimate(SECOND)
    assert not state.known
    assert note in state.reason


def test_a_repeated_or_older_reference_is_refused():
    scale = estimator()
    scale.update(SECOND, reference(3.0, SECOND), DEPTH)
    for stamp in (SECOND, SECOND - 1):
        assert "expected one later" in (
            scale.update(2 * SECOND, reference(6.0, stamp), DEPTH) or ""
        )
    assert scale.estimate(3 * SECOND).value == pytest.approx(2.0)


def test_stamps_going_back_reset_with_a_note():
    scale = estimator()
    scale.update(5 * SECOND, reference(3.0, 5 * SECOND), DEPTH)
    note = scale.update(SECOND, reference(6.0, SECOND), DEPTH)
    assert note == "stamps went back by 4.000 s: the scale is learnt anew"
    assert scale.estimate(2 * SECOND).value == pytest.approx(4.0)
    assert not scale.estimate(0).known


def test_reset_forgets():
    scale = estimator()
    scale.update(0, reference(3.0, 0), DEPTH)
    scale.reset()
    assert not scale.estimate(SECOND).known


def test_changed_settings_keep_the_scale():
    scale = estimator(max_age_s=100.0)
    scale.update(0, reference(3.0, 0), DEPTH)
    assert scale.estimate(20 * SECOND).known
    scale.configure(ScaleConfig(max_age_s=10.0))
    assert not scale.estimate(20 * SECOND).known
    scale.configure(ScaleConfig(max_age_s=30.0))
    assert scale.estimate(20 * SECOND).value == pytest.approx(2.0)


def test_fixed_scale_is_known_from_the_start_and_ignores_references():
    scale = make_scale_source(ScaleConfig(source="fixed", fixed_value=2.5))
    assert isinstance(scale, FixedScale)
    assert scale.update(0, reference(9.0, 0), DEPTH) is None
    state = scale.estimate(SECOND)
    assert (state.state, state.source, state.value, state.known) == ("LOCKED", "fixed", 2.5, True)
    scale.configure(ScaleConfig(source="fixed", fixed_value=3.0))
    assert scale.estimate(SECOND).value == 3.0
