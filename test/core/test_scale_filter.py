"""Claims about the scale over time: states, gate, ageing, honest sigma."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.frame import ScaleState
from gam_depth_ros.core.scale_filter import ScaleFilter, ScaleMeasurement

SECOND = 1_000_000_000
STEP = SECOND // 5
CONFIG = ScaleConfig()


def fed(values, config=CONFIG, variance=1e-4, step=STEP):
    scale = ScaleFilter(config, "no reference yet")
    for index, value in enumerate(values):
        scale.add(ScaleMeasurement(index * step, math.log(value), variance))
    return scale


def states(values, config=CONFIG):
    """The state just after each measurement."""
    scale = ScaleFilter(config, "no reference yet")
    found = []
    for index, value in enumerate(values):
        scale.add(ScaleMeasurement(index * STEP, math.log(value), 1e-4))
        found.append(scale.estimate(index * STEP + 1))
    return found


def test_it_goes_from_unknown_over_acquiring_to_locked():
    scale = ScaleFilter(CONFIG, "no reference yet")
    assert (scale.estimate(0).state, scale.estimate(0).reason) == ("UNKNOWN", "no reference yet")
    acquiring, locked = states([2.0, 2.1])
    assert (acquiring.state, acquiring.known) == ("ACQUIRING", False)
    assert acquiring.reason == "1 of 2 references that agree"
    assert locked.state == "LOCKED"
    assert 2.0 < locked.value < 2.1


def test_references_that_disagree_are_not_enough():
    # Factors of 20 apart: nothing a network's scale does in a fifth of a second.
    assert {state.state for state in states([1.0, 20.0, 1.0, 20.0])} == {"ACQUIRING"}


def test_it_holds_then_is_lost_and_is_learnt_anew():
    scale = fed([2.0] * 10)
    last = 9 * STEP
    fresh, holding, lost = (scale.estimate(last + at * SECOND) for at in (1, 4, 11))
    assert [state.state for state in (fresh, holding, lost)] == ["LOCKED", "HOLDING", "LOST"]
    assert holding.value == pytest.approx(2.0)
    assert holding.reason == "no fresh reference for 4.0 s"
    assert "the last reference is 11.0 s old, more than 10 s" in lost.reason
    start = last + 12 * SECOND
    for index, expected in enumerate(("ACQUIRING", "LOCKED")):
        scale.add(ScaleMeasurement(start + index * STEP, math.log(5.0), 1e-4))
        assert scale.estimate(start + index * STEP + 1).state == expected
    assert scale.estimate(start + 2 * STEP).value == pytest.approx(5.0)


def test_acquiring_ends_when_no_more_references_come():
    scale = fed([2.0])
    assert scale.estimate(SECOND).state == "ACQUIRING"
    assert scale.estimate(11 * SECOND).state == "UNKNOWN"


def test_sigma_grows_with_age_towards_the_wander():
    scale = fed([2.0, 2.5, 2.0, 1.7, 2.2, 2.0])
    sigmas = [scale.estimate(5 * STEP + round(at * SECOND)).sigma_log for at in (0.1, 0.5, 2, 5)]
    assert sigmas == sorted(sigmas)
    assert sigmas[-1] > CONFIG.wander_log * math.sqrt(0.5)


def test_a_calm_scene_is_surer_but_not_for_long():
    calm, lively = fed([2.0] * 60), fed([2.0, 2.5] * 30)
    now, later = 59 * STEP + STEP, 59 * STEP + 9 * SECOND
    assert calm.estimate(now).sigma_log < 0.4 * lively.estimate(now).sigma_log
    assert calm.estimate(later).sigma_log > CONFIG.wander_log * math.sqrt(0.5)


def test_while_held_the_value_falls_back_to_the_level():
    scale = fed([2.0] * 40 + [2.6] * 2)
    at = 41 * STEP
    near, far = scale.estimate(at + 1).value, scale.estimate(at + 5 * SECOND).value
    assert near == pytest.approx(2.6, rel=0.06)
    assert far < near


def test_sigma_is_never_below_one_percent():
    scale = fed([2.0] * 200, ScaleConfig(wander_log=0.001), variance=1e-8)
    assert scale.estimate(200 * STEP).sigma_log == 0.01


def test_a_single_outlier_is_doubted_and_changes_nothing():
    before, doubted, after = states([2.0] * 20 + [6.0] + [2.0])[-3:]
    assert (doubted.state, doubted.value) == ("HOLDING", pytest.approx(before.value))
    assert "reference doubted: got scale 6, expected 2" in doubted.reason
    assert (after.state, after.value) == ("LOCKED", pytest.approx(2.0))


def test_a_real_change_is_taken_over_at_the_third_reference_that_agrees():
    found = states([2.0] * 20 + [6.0] * 4)[20:]
    assert [state.state for state in found] == ["HOLDING", "HOLDING", "LOCKED", "LOCKED"]
    assert found[1].sigma_log > 5 * found[0].sigma_log  # either may be right
    assert found[2].value == pytest.approx(6.0)


def test_garbage_that_disagrees_with_itself_never_takes_over():
    generator = np.random.default_rng(0)
    garbage = np.exp(generator.uniform(2, 6, 40) * generator.choice([-1, 1], 40))
    found = states([2.0] * 20 + list(garbage))[20:]
    # By chance two may agree: then either may be right, a factor of ten apart, and it is LOST.
    assert {state.state for state in found} <= {"HOLDING", "LOST"}
    assert [state.value for state in found if state.known] == pytest.approx(
        [2.0] * sum(state.known for state in found)
    )
    assert found[-1].known


def test_doubt_ends_only_well_within_the_gate():
    config = ScaleConfig(wander_log=0.01, gate_log=0.5)  # so calm that gate_log is the gate
    well, barely = (2.0 * math.exp(share * 0.5) for share in (0.5, 0.9))
    for values, state in (
        ([barely], "LOCKED"),
        ([9.0, barely], "HOLDING"),
        ([9.0, well], "LOCKED"),
    ):
        assert states([*[2.0] * 20, *values], config)[-1].state == state


def test_too_unsure_is_lost():
    scale = fed([2.0] * 5, replace(CONFIG, max_sigma_log=0.2))
    assert scale.estimate(4 * STEP + 1).known
    lost = scale.estimate(4 * STEP + 5 * SECOND)
    assert (lost.state, lost.known) == ("LOST", False)
    assert "sigma of log scale is" in lost.reason


def test_a_refusal_is_said_until_a_reference_is_followed():
    scale = fed([2.0] * 5)
    scale.estimate(5 * STEP)
    scale.refuse("reference depth refused: got nonsense")
    refused = scale.estimate(5 * STEP)
    assert (refused.state, refused.reason) == ("HOLDING", "reference depth refused: got nonsense")
    scale.add(ScaleMeasurement(5 * STEP, math.log(2.0), 1e-4))
    assert scale.estimate(6 * STEP).state == "LOCKED"


def test_only_measurements_strictly_before_serve():
    scale = fed([2.0, 2.0])
    assert not scale.estimate(STEP).known
    assert scale.estimate(STEP + 1).known


def test_stamps_going_back_reset_with_a_note():
    scale = fed([2.0] * 20)
    assert scale.estimate(4 * SECOND).known
    assert scale.advance(SECOND) == "stamps went back by 3.000 s: the scale is learnt anew"
    assert "stamps went back" in scale.estimate(SECOND).reason


def test_one_step_ahead_errors_are_of_unit_size_when_the_scale_wanders_as_assumed():
    # The model's own process, drawn: standardised errors must then have a variance of one.
    generator = np.random.default_rng(3)
    keep = math.exp(-STEP / SECOND / CONFIG.wander_time_s)
    deviation, scale, errors = 0.0, ScaleFilter(CONFIG, ""), []
    for index in range(1500):
        kick = CONFIG.wander_log * math.sqrt(1 - keep**2)
        deviation = keep * deviation + kick * generator.normal()
        measured = deviation + 0.03 * generator.normal()
        state = scale.estimate(index * STEP)
        if state.known:
            sigma = math.hypot(state.sigma_log, 0.03)
            errors.append((measured - math.log(state.value)) / sigma)
        scale.add(ScaleMeasurement(index * STEP, measured, 0.03**2))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(1.0, abs=0.08)
    assert np.mean(np.abs(errors) < 1) == pytest.approx(0.683, abs=0.05)


LOGS = st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=12)


@settings(deadline=None, max_examples=40)
@given(LOGS, st.floats(-3, 3))
def test_a_factor_on_every_measurement_is_the_same_factor_on_the_value(logs, shift):
    plain, shifted = fed(np.exp(logs)), fed(np.exp(np.add(logs, shift)))
    at = len(logs) * STEP
    first, second = plain.estimate(at), shifted.estimate(at)
    assert first.state == second.state
    if first.known:
        assert second.value == pytest.approx(first.value * math.exp(shift), rel=1e-6)
        assert second.sigma_log == pytest.approx(first.sigma_log, rel=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.01, 100), st.integers(2, 30))
def test_a_constant_scale_stays_constant(value, count):
    scale = fed([value] * count)
    for at in (1, STEP, 9 * SECOND):
        assert scale.estimate((count - 1) * STEP + at).value == pytest.approx(value, rel=1e-9)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["measure", "refuse", "wait", "back"]),
        st.floats(-9, 9),
        st.floats(1e-6, 4.0),
        st.floats(0.01, 15.0),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(EVENTS)
def test_no_state_has_a_value_without_a_sigma_whatever_happens(events):
    scale, at = ScaleFilter(CONFIG, "nothing"), 0
    for kind, log_scale, variance, seconds in events:
        at = max(0, at - SECOND) if kind == "back" else at + round(seconds * SECOND)
        state = scale.estimate(at)
        assert state.known == (state.state in ("LOCKED", "HOLDING"))
        assert not state.known or 0.0 < state.sigma_log <= CONFIG.max_sigma_log
        assert state.reason
        assert "\n" not in state.reason
        if kind == "measure":
            scale.add(ScaleMeasurement(at, log_scale, variance))
        elif kind == "refuse":
            scale.refuse("reference depth refused: got nothing")


@pytest.mark.parametrize(
    ("state", "value", "sigma_log"),
    [("LOST", 1.0, 0.1), ("LOCKED", math.nan, math.inf), ("HOLDING", 1.0, math.inf)],
)
def test_a_state_that_contradicts_itself_cannot_be_made(state, value, sigma_log):
    with pytest.raises(ValueError, match="scale state: got"):
        ScaleState(state, "fixed", value, sigma_log, 0.0, "")
