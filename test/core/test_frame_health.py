"""What a picture's figures say, and what follows from them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from room_picture import room

from gam_depth_ros.core.frame_health import (
    FrameHealth,
    frame_quantities,
    label_shares,
    score_of,
)
from gam_depth_ros.core.health_config import CONDITIONS, HealthConfig, LimitConfig
from gam_depth_ros.core.model_spec import NetworkOutput
from gam_depth_ros.core.model_statistics import (
    ConditionLimit,
    ModelStatistics,
)
from gam_depth_ros.core.picture_statistics import (
    picture_statistics,
    reduced,
)

SECOND_NS = 1_000_000_000


def noisy(sigma: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, (480, 640, 3))
    return np.clip(room() + noise, 0, 255).astype(np.uint8)


def statistics(**limits: ConditionLimit) -> ModelStatistics:
    return ModelStatistics({}, (), limits, None, 0.995, 10, "by hand")


def healthy() -> FrameHealth:
    return FrameHealth()


def test_a_sharp_and_well_lit_picture_raises_nothing():
    state = healthy().check(room(), SECOND_NS)
    assert state.ok
    assert (state.conditions, state.sigma_factor, state.withhold) == ((), 1.0, False)
    assert state.reason == ""
    assert all(score < 1.0 for score in state.scores.values())


@pytest.mark.parametrize(
    ("condition", "picture"),
    [
        ("dark", (room() * 0.2).astype(np.uint8)),
        ("over_exposed", np.clip(room().astype(np.int32) * 3, 0, 255).astype(np.uint8)),
        ("blurred", cv2.GaussianBlur(room(), (0, 0), 10)),
        ("covered", np.full((480, 640, 3), (70, 25, 20), np.uint8)),
        ("noisy", noisy(60.0)),
    ],
)
def test_what_is_wrong_with_a_picture_is_named(condition, picture):
    state = healthy().check(picture, SECOND_NS)
    assert not state.ok
    assert condition in state.conditions
    assert state.scores[condition] >= 1.0
    assert state.sigma_factor > 1.0
    assert condition.split("_")[0] in state.reason


def test_motion_along_one_diagonal_is_blur_though_the_other_stays_sharp():
    kernel = np.eye(31, dtype=np.float32) / 31
    assert "blurred" in healthy().check(cv2.filter2D(room(), -1, kernel), 1).conditions


def test_a_dull_wall_is_not_blurred():
    wall = np.repeat(np.tile(np.linspace(90, 160, 640), (480, 1))[..., None], 3, 2).astype(np.uint8)
    state = healthy().check(wall, SECOND_NS)
    assert math.isnan(state.scores["blurred"])
    assert "blurred" not in state.conditions


def test_a_covered_lens_withholds_and_a_dark_room_only_widens_sigma():
    covered = healthy().check(np.zeros((480, 640, 3), np.uint8), SECOND_NS)
    assert covered.withhold
    assert covered.conditions[0] == "covered"
    assert covered.reason.endswith("outputs withheld")
    dark = healthy().check((room() * 0.3).astype(np.uint8), SECOND_NS)
    assert dark.conditions == ("dark",)
    assert not dark.withhold


def test_the_same_bytes_again_and_again_are_a_frozen_camera():
    health = FrameHealth(HealthConfig(frozen_after_frames=3, frozen_after_s=0.25))
    states = [health.check(room(), SECOND_NS + k * 100_000_000) for k in range(5)]
    assert [state.conditions for state in states] == [(), (), (), ("frozen",), ("frozen",)]
    assert states[3].withhold
    assert "the same picture for 3 frames" in states[3].reason
    assert health.check(room(1), 2 * SECOND_NS).ok


def test_repeats_within_a_short_time_or_with_one_stamp_are_not_frozen():
    fast = FrameHealth(HealthConfig(frozen_after_frames=2, frozen_after_s=1.0))
    assert all(fast.check(room(), SECOND_NS + k * 1_000_000).ok for k in range(10))
    again = FrameHealth(HealthConfig(frozen_after_frames=2, frozen_after_s=0.0))
    assert all(again.check(room(), SECOND_NS).ok for _ in range(10))


def test_reset_and_stamps_that_go_back_forget_the_last_picture():
    for forget in (True, False):
        health = FrameHealth(HealthConfig(frozen_after_frames=1, frozen_after_s=0.0))
        health.check(room(), 5 * SECOND_NS)
        if forget:
            health.reset()
        assert health.check(room(), SECOND_NS * (6 if forget else 1)).ok


def test_writing_into_the_callers_picture_later_does_not_hide_a_change():
    health = FrameHealth(HealthConfig(frozen_after_frames=1, frozen_after_s=0.0))
    small = reduced(room())
    buffer = small.copy()
    health.check(buffer, 1)
    buffer[:] = 255 - small
    assert "frozen" not in health.check(buffer, 2).conditions


def test_limits_of_the_model_come_before_those_of_the_settings():
    dim = (room() * 0.3).astype(np.uint8)
    assert "dark" in FrameHealth(HealthConfig()).check(dim, 1).conditions
    of_model = statistics(dark=ConditionLimit(10.0, 3.0), blurred=ConditionLimit(0.9, 2.5))
    state = FrameHealth(HealthConfig(), of_model).check(dim, 1)
    assert state.conditions == ("blurred",)
    assert state.sigma_factor == 2.5


def test_the_largest_factor_of_what_is_raised_widens_sigma():
    of_model = statistics(dark=ConditionLimit(254.0, 3.0), blurred=ConditionLimit(0.9, 2.5))
    assert FrameHealth(None, of_model).check(room(), 1).sigma_factor == 3.0


def test_switched_off_nothing_is_said():
    state = FrameHealth(HealthConfig(enabled=False)).check(np.zeros((9, 9, 3), np.uint8), 1)
    assert state.ok
    assert state.scores == {}


def test_a_deafer_setting_raises_later_and_can_be_changed_live():
    health = healthy()
    dim = (room() * 0.35).astype(np.uint8)
    assert health.check(dim, 1).conditions == ("dark",)
    health.configure(HealthConfig(raise_at=2.0))
    assert health.check(dim, 2).ok


def test_an_unknown_condition_in_the_settings_is_refused():
    with pytest.raises(ValueError, match=r"^withhold_on: got 'wet', expected some of covered"):
        HealthConfig(withhold_on=("wet",))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0, 1e6), st.floats(1e-3, 1e3))
def test_scores_pass_one_exactly_at_the_limit(value, limit):
    assert (score_of("noisy", value, limit) >= 1.0) == (value / limit >= 1.0)
    assert (score_of("dark", value, limit) >= 1.0) == (value <= limit)
    assert 0.0 <= score_of("dark", value, limit) <= 100.0
    assert math.isnan(score_of("dark", math.nan, limit))
    assert math.isnan(score_of("noisy", math.nan, limit))


def test_the_same_picture_gives_the_same_state():
    assert healthy().check(room(), 7) == healthy().check(room(), 7)


@pytest.mark.parametrize("finer", [1, 3])
def test_quantities_of_drift_are_those_of_the_answer(finer):
    size_hw = 96 * finer, 128 * finer
    depth = np.full(size_hw, np.e, np.float32)
    depth[:, : 64 * finer] = 1.0
    labels = np.full(size_hw, 4, np.uint8)
    labels[: 48 * finer] = 200
    sigma = np.full(size_hw, 0.2, np.float32)
    output = NetworkOutput(depth, sigma, labels, np.ones_like(depth))
    found = frame_quantities(picture_statistics(room()), output)
    assert (found["log_depth_near"], found["log_depth_far"]) == (0.0, 1.0)
    assert found["sigma"] == pytest.approx(0.2)
    shares = label_shares(labels, 13)
    assert shares[4] == 0.5
    assert shares.sum() == 0.5


def test_every_condition_but_the_unfamiliar_has_a_limit_without_a_model():
    state = healthy().check(room(), 1)
    assert {*state.scores, "out_of_distribution"} == set(CONDITIONS)
    assert LimitConfig().sigma_factor >= 1.0
