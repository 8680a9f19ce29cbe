"""Claims about where pixels were one frame before."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_room import FOCAL, HEIGHT, MATRIX, WALL_M, WIDTH, view

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.optical_flow import (
    FlowEstimator,
    Motion,
    fetch,
    fetch_within_edges,
    grey_picture,
    is_inside,
    looks_alike,
    looming,
    pixel_grid,
    resize_flow,
    rigid_flow,
    source_of,
    texture_share,
)

CAMERA = Intrinsics(WIDTH, HEIGHT, FOCAL, FOCAL, MATRIX[0, 2], MATRIX[1, 2])


def transform(x=0.0, y=0.0, z=0.0, yaw=0.0):
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    cos, sin = math.cos(yaw), math.sin(yaw)
    matrix[:3, :3] = [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]
    return matrix


def test_flow_points_back_to_where_the_pixel_was():
    before, now = (grey_picture(view(x), (HEIGHT, WIDTH)) for x in (0.0, 0.06))
    flow = FlowEstimator().flow(now, before)
    # The camera went right, so the wall went left by f·x/z = 4 pixels: it was to the right.
    assert np.median(flow[:40, 20:-20, 0]) == pytest.approx(FOCAL * 0.06 / WALL_M, abs=0.5)
    assert abs(np.median(flow[..., 1])) < 0.2


def test_flow_is_the_same_whatever_came_before():
    before, now, other = (grey_picture(view(x), (HEIGHT, WIDTH)) for x in (0.0, 0.06, 0.5))
    fresh, used = FlowEstimator(), FlowEstimator()
    used.flow(other, now)
    assert fresh.flow(now, before).tobytes() == used.flow(now, before).tobytes()


def test_rigid_flow_of_a_sideways_step_is_focal_times_step_over_depth():
    depth = np.full((HEIGHT, WIDTH), WALL_M, np.float32)
    depth[:90] = 1.5
    motion = rigid_flow(depth, CAMERA, transform(x=0.06))
    np.testing.assert_allclose(motion.flow[:90, :, 0], FOCAL * 0.06 / 1.5, atol=1e-3)
    np.testing.assert_allclose(motion.flow[90:, :, 0], FOCAL * 0.06 / WALL_M, atol=1e-3)
    np.testing.assert_allclose(motion.flow[..., 1], 0.0, atol=1e-3)
    np.testing.assert_allclose(motion.log_change, 0.0, atol=1e-6)


def test_rigid_flow_of_an_approach_shrinks_towards_the_centre_and_says_so():
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    motion = rigid_flow(depth, CAMERA, transform(z=0.5))  # was at 2.5 m
    offset = pixel_grid(HEIGHT, WIDTH) - [CAMERA.cx, CAMERA.cy]
    np.testing.assert_allclose(motion.flow, offset * (2.0 / 2.5 - 1), atol=1e-2)
    np.testing.assert_allclose(motion.log_change, math.log(2.0 / 2.5), rtol=1e-5)


def test_rigid_flow_of_a_turn_does_not_depend_on_depth():
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 5, (HEIGHT, WIDTH)).astype(np.float32)
    flow = rigid_flow(depth, CAMERA, transform(yaw=0.02)).flow
    expected = rigid_flow(np.ones_like(depth), CAMERA, transform(yaw=0.02)).flow
    np.testing.assert_allclose(flow, expected, atol=1e-3)
    assert flow[90, 120, 0] == pytest.approx(FOCAL * 0.02, rel=0.01)


def test_rigid_flow_is_unknown_where_depth_is_and_behind_the_camera():
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[0, 0] = np.nan
    motion = rigid_flow(depth, CAMERA, transform())
    assert np.isnan(motion.flow[0, 0]).all()
    assert np.isnan(motion.log_change[0, 0])
    np.testing.assert_allclose(motion.flow[1:], 0.0, atol=1e-3)
    assert np.isnan(rigid_flow(depth, CAMERA, transform(z=-3.0)).flow).all()


def test_rigid_flow_refuses_what_is_no_transform():
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    for bad in (np.eye(3), np.full((4, 4), np.nan)):
        with pytest.raises(ValueError, match=r"previous_T_current: .* expected a finite 4×4"):
            rigid_flow(depth, CAMERA, bad)


@settings(max_examples=15, deadline=None)
@given(st.floats(-0.3, 0.3), st.floats(-5, 5), st.floats(-5, 5))
def test_looming_is_the_log_change_of_depth(log_change, shift_x, shift_y):
    scale = np.float32(math.exp(log_change))
    flow = (pixel_grid(60, 80) - np.float32([40, 30])) * (scale - 1)
    flow = (flow + np.float32([shift_x, shift_y])).astype(np.float32)
    assert looming(flow, np.ones((60, 80), bool)) == pytest.approx(log_change, abs=1e-3)


def test_looming_is_not_misled_by_what_moves_on_its_own():
    flow = ((pixel_grid(60, 80) - np.float32([40, 30])) * np.float32(-0.05)).astype(np.float32)
    flow[10:40, 5:30] = (9.0, -4.0)
    assert looming(flow, np.ones((60, 80), bool)) == pytest.approx(math.log(0.95), abs=5e-3)


def test_looming_of_too_little_is_nothing():
    flow = np.full((60, 80, 2), np.nan, np.float32)
    assert looming(flow, np.zeros((60, 80), bool)) == 0.0


def test_looming_of_points_on_one_line_is_finite():
    followed = np.zeros((60, 400), bool)
    followed[2] = True
    flow = np.zeros((60, 400, 2), np.float32)
    assert looming(flow, followed) == pytest.approx(0.0, abs=1e-3)


def test_a_flow_on_another_grid_is_in_that_grids_pixels():
    flow = np.zeros((40, 60, 2), np.float32)
    flow[...] = (6.0, -4.0)
    np.testing.assert_allclose(resize_flow(flow, (20, 15))[..., 0], 1.5)
    np.testing.assert_allclose(resize_flow(flow, (20, 15))[..., 1], -2.0)


def test_a_motion_on_another_grid_keeps_its_change_of_depth():
    flow = np.full((40, 60, 2), 6.0, np.float32)
    change = np.tile(np.repeat(np.float32([0.1, 0.2]), 30), (40, 1))
    small = Motion(flow, change).on_grid((20, 30))
    np.testing.assert_allclose(small.flow, 3.0)
    np.testing.assert_array_equal(small.log_change, change[::2, ::2])
    assert Motion(flow, 0.3).on_grid((20, 30)).log_change == 0.3


def test_fetch_brings_each_pixel_from_where_it_was():
    image = np.arange(20, dtype=np.float32).reshape(4, 5)
    flow = np.zeros((4, 5, 2), np.float32)
    flow[..., 0] = 1.0
    source = source_of(flow)
    np.testing.assert_allclose(fetch(image, source, nearest=True)[:, :4], image[:, 1:])
    np.testing.assert_array_equal(is_inside(source, (4, 5)), [[True] * 4 + [False]] * 4)


def test_a_place_that_is_not_known_is_outside():
    flow = np.full((4, 5, 2), np.nan, np.float32)
    assert not is_inside(source_of(flow), (4, 5)).any()


def test_between_pixels_is_smooth_but_never_between_two_surfaces():
    slope = np.tile(np.arange(6, dtype=np.float32) * 0.01, (4, 1))
    flow = np.full((4, 6, 2), 0.0, np.float32)
    flow[..., 0] = 0.5
    np.testing.assert_allclose(
        fetch_within_edges(slope, source_of(flow))[:, :5], slope[:, :5] + 0.005, atol=1e-6
    )
    step = np.tile(np.float32([0, 0, 0, 1, 1, 1]), (4, 1))
    assert set(np.unique(fetch_within_edges(step, source_of(flow)))) == {0.0, 1.0}


def test_a_brighter_picture_is_alike_and_a_changed_pixel_is_not():
    now = np.full((10, 10), 100, np.uint8)
    before = np.full((10, 10), 60, np.uint8)
    before[3, 3] = 200
    alike = looks_alike(now, before, 10.0)
    assert not alike[3, 3]
    assert alike.sum() == 99


def test_texture_is_what_stands_out_of_a_sensors_noise():
    noise = np.random.default_rng(0).integers(98, 103, (60, 80)).astype(np.uint8)
    assert texture_share(noise) == 0.0
    half = noise.copy()
    half[:, :40:4] = 160
    assert texture_share(half) == pytest.approx(0.5, abs=0.3)
    assert texture_share(grey_picture(view(), (HEIGHT, WIDTH))) > 0.5
