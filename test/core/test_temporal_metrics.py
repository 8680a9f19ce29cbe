"""Claims about the scores of what happens between frames."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.optical_flow import rigid_flow
from gam_depth_ros.core.temporal_metrics import (
    flicker,
    is_still,
    label_change,
    optical_warp_error,
    photometric_weight,
    reaction_frames,
    step_response,
    with_step,
)

SIZE = (40, 60)
CAMERA = Intrinsics(60, 40, 50.0, 50.0, 29.5, 19.5)
ONES = np.ones(SIZE, np.float32)
STILL = np.zeros((*SIZE, 2), np.float32)


def slanted_wall(step_m):
    """Depth of the plane z = 3 + x/2, seen after the camera moved right by ``step_m``."""
    ray = (np.arange(SIZE[1]) - CAMERA.cx) / CAMERA.fx
    row = (3.0 + 0.5 * step_m) / (1.0 - 0.5 * ray)
    return np.tile(row.astype(np.float32), (SIZE[0], 1))


def moved_right(step_m):
    transform = np.eye(4)
    transform[0, 3] = step_m
    return transform


def test_a_rigid_scene_with_its_exact_flow_has_no_warp_error():
    before, now = slanted_wall(0.0), slanted_wall(0.12)
    motion = rigid_flow(now, CAMERA, moved_right(0.12))
    weight = photometric_weight(
        np.zeros((*SIZE, 3), np.uint8), np.zeros((*SIZE, 3), np.uint8), motion.flow
    )
    assert 0 < weight.mean() < 1  # what came in at the border does not count
    error = optical_warp_error(now, before, motion.flow, weight, motion.log_change)
    # The nearest pixel is at most half a pixel off, on a slope of a hundredth per pixel.
    assert error < 0.005
    unmoved = optical_warp_error(now, before, STILL, ONES)
    assert error < 0.2 * unmoved


def test_an_approach_counts_as_error_unless_it_is_taken_away():
    near, far = ONES * 1.8, ONES * 2.0
    assert optical_warp_error(near, far, STILL, ONES) == pytest.approx(math.log(2 / 1.8), rel=1e-4)
    change = math.log(0.9)
    assert optical_warp_error(near, far, STILL, ONES, change) == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.1, 10), st.floats(-0.5, 0.5))
def test_warp_error_does_not_depend_on_the_unit(factor, log_step):
    before, now = ONES * 2, ONES * np.float32(2 * math.exp(log_step))
    error = optical_warp_error(now * np.float32(factor), before * np.float32(factor), STILL, ONES)
    assert error == pytest.approx(abs(log_step), abs=1e-5)


def test_warp_error_is_weighted_and_leaves_the_unknown_out():
    now = ONES.copy()
    now[0], now[1], now[2] = math.e, np.nan, 0.0
    weight = np.zeros(SIZE, np.float32)
    weight[:4] = 0.5
    weight[0] = 0.25
    # Rows 0 and 3 count, with weights 0.25 and 0.5 and errors 1 and 0.
    assert optical_warp_error(now, ONES, STILL, weight) == pytest.approx(1 / 3, rel=1e-5)


def test_nothing_to_score_is_none():
    assert optical_warp_error(ONES, ONES, STILL, 0 * ONES) is None
    assert flicker(ONES, ONES * np.nan) is None
    assert flicker(ONES, ONES, np.zeros(SIZE, bool)) is None
    assert label_change(ONES.astype(np.uint8), ONES.astype(np.uint8), STILL, 0 * ONES) is None


def test_weight_is_one_for_the_same_colour_and_falls_with_the_difference():
    now, before = np.full((*SIZE, 3), 100, np.uint8), np.full((*SIZE, 3), 100, np.uint8)
    before[0, 0] = (151, 100, 100)  # a fifth of the range in one channel: exp(-50 / 25)
    weight = photometric_weight(now, before, STILL)
    assert weight[0, 0] == pytest.approx(math.exp(-2), rel=1e-3)
    assert (weight.ravel()[1:] == 1).all()


def test_flicker_is_the_spread_of_the_change_on_what_stood_still():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.03, (2, *SIZE)).astype(np.float32)
    flow = STILL.copy()
    flow[:, 30:] = 2.0
    noise[1, :, 30:] += 1.0  # moved, so it does not count
    value = flicker(np.exp(noise[1]), np.exp(noise[0]), is_still(flow))
    assert value == pytest.approx(0.03 * math.sqrt(2), rel=0.1)
    assert flicker(ONES, ONES) == 0.0


def test_label_change_follows_the_flow():
    before = np.tile(np.arange(60, dtype=np.uint8), (40, 1))
    flow = STILL.copy()
    flow[..., 0] = 2.0
    now = np.roll(before, -2, axis=1)
    weight = photometric_weight(before, before, STILL)
    weight[:, 58:] = 0
    assert label_change(now, before, flow, weight) == 0.0
    assert label_change(now, before, STILL, weight) == 1.0


@pytest.mark.parametrize("log_step", [-1.0, -0.1, 0.5])
def test_step_response_is_the_share_of_the_step_that_is_seen(log_step):
    where = np.zeros(SIZE, bool)
    where[5:20, 5:20] = True
    depth = slanted_wall(0.0)
    stepped = with_step(depth, where, log_step)
    np.testing.assert_array_equal(stepped[~where], depth[~where])
    assert step_response(stepped, depth, where, log_step) == pytest.approx(1.0, rel=1e-4)
    assert step_response(depth, depth, where, log_step) == pytest.approx(0.0, abs=1e-6)
    half = with_step(depth, where, log_step / 2)
    assert step_response(half, depth, where, log_step) == pytest.approx(0.5, rel=1e-4)


def test_step_response_of_the_unknown_is_unknown():
    where = np.ones(SIZE, bool)
    assert math.isnan(step_response(ONES * np.nan, ONES, where, 0.5))


def test_reaction_counts_from_the_first_frame_with_the_step():
    responses = [0.3, 0.6, 0.89, 0.95]
    assert reaction_frames(responses) == 4
    assert reaction_frames(responses, share=0.5) == 2
    assert reaction_frames([1.0]) == 1
    assert reaction_frames([0.1, math.nan]) is None
