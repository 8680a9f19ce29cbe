"""The ladder, by sequences computed by hand and by its laws; without ROS."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.ladder import (
    CLOUD_OFF,
    HALF_RATE,
    LONGEST_PATIENCE,
    QUARTER_RATE,
    RUNGS,
    SMALLER_INPUT,
    Ladder,
    LadderConfig,
    Load,
)

ON = LadderConfig(enabled=True, down_s=3.0, up_s=10.0)
DROPPING = Load(0.0, work_ms=50.0, busy_share=1.0, drop_share=0.5)
IDLE = Load(0.0, work_ms=5.0, busy_share=0.1)


def depths(ladder: Ladder, load: Load, first_s: int, last_s: int) -> list[int]:
    """Feed the same load once a second and return how many rungs are taken after each."""
    return [
        len(ladder.update(replace(load, now_s=float(now_s))).taken)
        for now_s in range(first_s, last_s + 1)
    ]


def test_it_steps_down_after_three_seconds_of_overload_and_then_again():
    ladder = Ladder(ON)
    # Overload is seen first at 0 s, so a rung at 3 s; the next three seconds begin at 4 s.
    assert depths(ladder, DROPPING, 0, 11) == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert ladder.state.taken == (CLOUD_OFF, HALF_RATE, QUARTER_RATE)
    assert depths(ladder, DROPPING, 12, 20) == [3] * 9


def test_it_steps_up_after_ten_seconds_of_room():
    ladder = Ladder(ON)
    depths(ladder, DROPPING, 0, 7)
    assert depths(ladder, IDLE, 8, 18) == [2] * 10 + [1]
    assert depths(ladder, IDLE, 19, 29) == [1] * 10 + [0]
    assert ladder.state.line() == ""


def test_a_break_in_the_overload_starts_its_time_anew():
    ladder = Ladder(ON)
    depths(ladder, DROPPING, 0, 2)
    depths(ladder, IDLE, 3, 3)
    assert depths(ladder, DROPPING, 4, 7) == [0, 0, 0, 1]


def test_between_overload_and_room_it_stays_where_it_is():
    ladder = Ladder(ON)
    depths(ladder, DROPPING, 0, 3)
    # 20 % dropped is below the 25 % allowed and above the 12.5 % that counts as room.
    assert depths(ladder, replace(IDLE, drop_share=0.2), 4, 200) == [1] * 197


def test_a_rate_is_not_taken_back_where_twice_the_work_would_not_fit():
    ladder = Ladder(replace(ON, rungs=(HALF_RATE,)))
    depths(ladder, DROPPING, 0, 3)
    assert depths(ladder, replace(IDLE, busy_share=0.41), 4, 60)[-1] == 1
    assert depths(ladder, replace(IDLE, busy_share=0.40), 61, 71)[-1] == 0


def test_a_return_that_does_not_last_doubles_the_patience_and_one_that_lasts_sets_it_back():
    ladder = Ladder(replace(ON, rungs=(CLOUD_OFF,)))
    depths(ladder, DROPPING, 0, 3)  # down at 3
    assert depths(ladder, IDLE, 4, 14)[-1] == 0  # up at 14
    assert depths(ladder, DROPPING, 15, 18)[-1] == 1  # down at 18, four seconds later
    assert depths(ladder, IDLE, 19, 39)[-2:] == [1, 0]  # twenty seconds now
    depths(ladder, IDLE, 40, 60)
    assert depths(ladder, DROPPING, 61, 64)[-1] == 1  # it had lasted 25 seconds
    assert depths(ladder, IDLE, 65, 75)[-2:] == [1, 0]  # ten again


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (Load(0.0, work_ms=612.0, budget_ms=500.0), "a frame took 612 of 500 ms"),
        (Load(0.0, drop_share=0.5), "50% of the images dropped, 25% allowed"),
        (Load(0.0, temperature_c=93.4), "CPU at 93 of 90 °C"),
    ],
)
def test_each_limit_is_one_of_its_own_and_said_with_its_numbers(load, said):
    ladder = Ladder(ON)
    assert depths(ladder, load, 0, 3)[-1] == 1
    assert ladder.state.line() == f"degraded: no ~/points ({said})"


def test_what_cannot_be_measured_is_no_overload():
    assert depths(Ladder(ON), Load(0.0, budget_ms=500.0), 0, 50) == [0] * 51


def test_five_degrees_below_the_limit_is_cool_enough():
    ladder = Ladder(ON)
    depths(ladder, Load(0.0, temperature_c=91.0), 0, 3)
    assert depths(ladder, Load(0.0, temperature_c=86.0), 4, 60)[-1] == 1
    assert depths(ladder, Load(0.0, temperature_c=85.0), 61, 71)[-1] == 0


def test_the_rate_divider_is_that_of_the_lowest_rate():
    ladder = Ladder(ON)
    seconds = [replace(DROPPING, now_s=float(second)) for second in range(12)]
    dividers = [ladder.update(load).rate_divider for load in seconds]
    assert dividers == [1] * 7 + [2] * 4 + [4]


def test_a_rung_that_does_not_exist_is_left_out_and_said():
    config = replace(ON, rungs=(SMALLER_INPUT, CLOUD_OFF))
    ladder = Ladder(config, {SMALLER_INPUT: "the model's input is fixed at 240x320"})
    depths(ladder, DROPPING, 0, 30)
    assert ladder.state.taken == (CLOUD_OFF,)
    assert ladder.state.left_out == (
        "smaller_input does not exist here: the model's input is fixed at 240x320"
    )


def test_switched_off_it_takes_everything_back_and_never_steps():
    ladder = Ladder(ON)
    depths(ladder, DROPPING, 0, 10)
    ladder.configure(replace(ON, enabled=False))
    assert ladder.state.taken == ()
    assert depths(ladder, DROPPING, 11, 30) == [0] * 20
    assert not LadderConfig().enabled


@pytest.mark.parametrize(
    "rungs",
    [(), ("cloud_of",), (CLOUD_OFF, CLOUD_OFF), (QUARTER_RATE, HALF_RATE)],
)
def test_rungs_that_make_no_ladder_are_refused_in_one_line(rungs):
    with pytest.raises(ValueError, match=r"rungs: got .* expected .*; correct") as refused:
        LadderConfig(rungs=rungs)
    assert "\n" not in str(refused.value)


LOADS = st.builds(
    Load,
    now_s=st.just(0.0),
    work_ms=st.one_of(st.just(math.nan), st.floats(0.0, 2000.0)),
    budget_ms=st.sampled_from([0.0, 100.0, 500.0]),
    busy_share=st.floats(0.0, 1.0),
    drop_share=st.floats(0.0, 1.0),
    temperature_c=st.one_of(st.just(math.nan), st.floats(20.0, 110.0)),
)
# Runs of one load: single seconds of chance would never last long enough for a step.
RUNS = st.lists(st.tuples(LOADS, st.integers(1, 40)), min_size=1, max_size=12)
CONFIGS = st.builds(
    LadderConfig,
    enabled=st.just(True),
    rungs=st.sampled_from([tuple(RUNGS), (CLOUD_OFF,), (HALF_RATE, QUARTER_RATE)]),
    down_s=st.floats(0.1, 8.0),
    up_s=st.floats(0.1, 20.0),
)


@settings(deadline=None, max_examples=40)
@given(CONFIGS, RUNS, st.floats(0.1, 2.0))
def test_it_never_steps_faster_than_its_hysteresis_nor_two_rungs_at_once(config, runs, tick_s):
    ladder, now_s, before, last_s = Ladder(config), 0.0, 0, 0.0
    for load, count in runs:
        for _ in range(count):
            now_s += tick_s
            depth = len(ladder.update(replace(load, now_s=now_s)).taken)
            assert abs(depth - before) <= 1
            if depth != before:
                wanted_s = config.down_s if depth > before else config.up_s
                assert now_s - last_s >= wanted_s - 1e-9
                before, last_s = depth, now_s
            assert ladder.state.taken == config.rungs[:depth]


@settings(deadline=None, max_examples=15)
@given(CONFIGS, RUNS)
def test_the_same_loads_give_the_same_steps(config, runs):
    def walk():
        ladder, now_s, states = Ladder(config), 0.0, []
        for load, count in runs:
            for _ in range(count):
                now_s += 1.0
                states.append(ladder.update(replace(load, now_s=now_s)))
        return states

    assert walk() == walk()


@settings(deadline=None, max_examples=15)
@given(CONFIGS, RUNS)
def test_with_room_for_long_enough_everything_is_taken_back(config, runs):
    ladder, now_s = Ladder(config), 0.0
    for load, count in runs:
        for _ in range(count):
            now_s += 1.0
            ladder.update(replace(load, now_s=now_s))
    longest_s = (LONGEST_PATIENCE * config.up_s + 2.0) * len(config.rungs)
    for _ in range(int(longest_s) + 1):
        now_s += 1.0
        ladder.update(replace(IDLE, busy_share=0.0, now_s=now_s))
    assert ladder.state.taken == ()
