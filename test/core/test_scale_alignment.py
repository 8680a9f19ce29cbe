"""Claims about learning metres from a reference depth."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scale_frames import HW, SECOND, STEP, seen

from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.pairing import StampPairer
from gam_depth_ros.core.scale_alignment import (
    MedianReference,
    median_scale,
)
from gam_depth_ros.core.scale_measurement import reference_measurement, weighted_median


def fed(metres, **settings_):
    source = MedianReference(ScaleConfig(**settings_))
    for index, value in enumerate(metres):
        assert source.observe(seen(index * STEP, value)) is None
    return source


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


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=25))
def test_equal_weights_give_the_plain_median(values):
    assert weighted_median(np.array(values), np.full(len(values), 0.7)) == pytest.approx(
        np.median(values)
    )


def test_a_heavy_value_is_the_weighted_median():
    assert weighted_median(np.array([5.0, 1.0, 3.0]), np.array([9.0, 2.0, 2.0])) == 5.0


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.5, 2.5), min_size=1, max_size=8))
def test_doubled_references_double_the_output(values):
    first = fed(values).estimate(SECOND)
    second = fed([2 * value for value in values]).estimate(SECOND)
    assert second.state == first.state
    if first.known:
        assert second.value == pytest.approx(2 * first.value, rel=1e-5)
        assert second.sigma_log == pytest.approx(first.sigma_log, rel=1e-4)


@settings(deadline=None, max_examples=20)
@given(st.floats(0.4, 5.5), st.integers(2, 12))
def test_a_constant_scene_stays_constant(metres, count):
    source = fed([metres] * count)
    for at in (1, 3 * SECOND):
        state = source.estimate((count - 1) * STEP + at)
        assert state.value == pytest.approx(metres / 1.5, rel=1e-5)


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(8)), st.lists(st.integers(-9, 9), min_size=8, max_size=8))
def test_the_order_of_arrival_within_the_slop_does_not_matter(order, jitter_ms):
    """Each topic keeps its own order; which of a pair comes first does not matter."""
    metres = [1.0 + 0.05 * index for index in range(8)]
    stamps = [index * STEP + jitter * 1_000_000 for index, jitter in enumerate(jitter_ms, 1)]

    def run(reference_first):
        pairer, source = StampPairer(slop_ns=20_000_000), MedianReference(ScaleConfig())
        for index in range(8):
            image_ns = (index + 1) * STEP
            arrivals = [("reference", stamps[index]), ("image", image_ns)]
            waiting = None
            for kind, at in arrivals if reference_first[index] else reversed(arrivals):
                if kind == "reference":
                    pairer.add(at, (at, metres[index]))
                else:
                    waiting = at
            taken = pairer.take(waiting)
            assert taken is not None
            source.observe(seen(image_ns, taken[1], reference_ns=taken[0]))
        return source.estimate(10 * STEP)

    assert run([place % 2 == 0 for place in order]) == run([True] * 8)


def test_the_first_reference_is_acquiring_and_the_second_locks():
    source = MedianReference(ScaleConfig())
    before = source.estimate(0)
    assert (before.state, before.sigma_log, before.age_s) == ("UNKNOWN", math.inf, math.inf)
    source.observe(seen(0, 3.0))
    assert source.estimate(STEP).state == "ACQUIRING"
    source.observe(seen(STEP, 3.0))
    after = source.estimate(2 * STEP)
    assert (after.state, after.source) == ("LOCKED", "median_reference")
    assert after.value == pytest.approx(2.0)
    assert after.age_s == pytest.approx(0.1)


@pytest.mark.parametrize(("offset_ns", "known"), [(0, False), (-1, True), (1, False)])
def test_only_references_strictly_before_serve(offset_ns, known):
    source = MedianReference(ScaleConfig(acquire_count=1))
    source.observe(seen(SECOND, 3.0, reference_ns=2 * SECOND + offset_ns))
    assert source.estimate(2 * SECOND).known is known
    assert source.estimate(2 * SECOND + STEP).known


def test_asking_twice_changes_nothing():
    source = fed([3.0] * 3)
    assert source.estimate(SECOND) == source.estimate(SECOND)


def test_the_variance_is_the_robust_spread_over_the_independent_regions():
    # Log ratios are -0.3, 0 and 0.3 in thirds of the width, the jump of 0.3 a boundary to each
    # side: of 3 x 10 columns 9, 8 and 9 count. Their median is 0, the median deviation 0.3.
    steps = np.repeat([-0.3, 0.0, 0.3], 10)
    metres = np.broadcast_to(1.5 * np.exp(steps), HW).astype(np.float32)
    observation = seen(0, metres)
    measured = reference_measurement(observation, observation.reference, ScaleConfig())
    assert measured.log_scale == pytest.approx(0.0, abs=1e-6)
    sigma = 1.2533 * 1.4826 * 0.3 / math.sqrt(64)
    assert measured.variance == pytest.approx(sigma**2, rel=1e-4)


def test_pixels_on_boundaries_do_not_count():
    # A third of the picture is twice as deep for the network only in one column, beside the jump.
    depth = np.full(HW, 1.5, np.float32)
    depth[:, 15:] = 3.0
    metres = 2 * depth
    metres[:, 14:16] = 0.5
    observation = seen(0, metres.astype(np.float32), depth=depth)
    measured = reference_measurement(observation, observation.reference, ScaleConfig())
    assert measured.log_scale == pytest.approx(math.log(2), abs=1e-6)
    assert measured.variance == pytest.approx(0.01**2)


def test_what_the_network_is_unsure_of_counts_less():
    # Five eighths of the width say 1, three eighths say 4; sigma there is tenfold or a tenth.
    metres = np.full(HW, 1.5, np.float32)
    metres[:, 18:] = 6.0 - 1e-3
    for unsure, expected in ((np.s_[:, 18:], 1.0), (np.s_[:, :18], 4.0)):
        sigma = np.full(HW, 0.05, np.float32)
        sigma[unsure] = 5.0
        observation = seen(0, metres, sigma=sigma)
        measured = reference_measurement(observation, observation.reference, ScaleConfig())
        if expected == 1.0:
            assert math.exp(measured.log_scale) == pytest.approx(expected, rel=1e-3)


NAN = np.full(HW, np.nan, np.float32)
SPARSE = np.where(np.eye(*HW) > 0, 2, np.nan).astype(np.float32)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (NAN, "got 0.0% valid pixels"),
        (0.1, "got 0.0% valid pixels from 0.3 to 6 m"),
        (9.0, "got 0.0% valid pixels"),
        (SPARSE, "got 3.3%"),
        (np.ones((10, 30), np.float32), r"got size \(10, 30\), expected \(20, 30\)"),
        (2500.0, "millimetres read as metres"),
        (0.0025, "metres divided twice"),
    ],
)
def test_a_useless_reference_is_refused_in_one_line_and_changes_nothing(bad, words):
    source = MedianReference(ScaleConfig())
    note = source.observe(seen(0, bad))
    assert note is not None
    assert "\n" not in note
    assert re.search(words, note)
    state = source.estimate(SECOND)
    assert not state.known
    assert note in state.reason


def test_a_repeated_or_older_reference_is_refused():
    source = fed([3.0] * 3)
    value = source.estimate(3 * STEP).value
    for stamp in (2 * STEP, STEP):
        note = source.observe(seen(3 * STEP, 6.0, reference_ns=stamp))
        assert "expected one later" in (note or "")
    state = source.estimate(4 * STEP)
    assert state.value == pytest.approx(value)
    assert (state.state, "stale" in state.reason) == ("HOLDING", True)


def test_stamps_going_back_reset_with_a_note():
    source = fed([3.0] * 60)
    note = source.observe(seen(SECOND, 6.0))
    assert note == "stamps went back by 4.900 s: the scale is learnt anew"
    source.observe(seen(SECOND + STEP, 6.0))
    assert source.estimate(2 * SECOND).value == pytest.approx(4.0)
    assert not source.estimate(0).known


def test_reset_forgets():
    source = fed([3.0] * 3)
    source.reset()
    assert source.estimate(SECOND).state == "UNKNOWN"


def test_changed_settings_keep_the_scale():
    source = fed([3.0] * 3, max_age_s=100.0)
    assert source.estimate(20 * SECOND).known
    source.configure(ScaleConfig(max_age_s=10.0))
    assert source.estimate(20 * SECOND).state == "LOST"
    source.configure(ScaleConfig(max_age_s=30.0))
    assert source.estimate(20 * SECOND).value == pytest.approx(2.0)
