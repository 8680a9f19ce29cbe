"""Claims about the floor as a plane, on points made from a plane that is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.floor_plane import expected_normal, fit_floor

UP = expected_normal(0.0)


def plane_points(up, height, count=400, noise=0.0, seed=0):
    """Points on the plane height below the camera, in view ahead, with relative depth noise."""
    generator = np.random.default_rng(seed)
    across = generator.uniform(-0.6, 0.6, 4 * count)
    down = generator.uniform(-0.9, 0.9, 4 * count)
    rays = np.stack((across, down, np.ones_like(across)), axis=1)
    reach = rays @ up
    seen = reach < -0.15  # the plane is hit ahead of the camera, not at the horizon
    points = rays[seen] * (-height / reach[seen])[:, None]
    return (points * (1 + noise * generator.standard_normal((len(points), 1))))[:count]


def test_the_expected_normal_turns_with_the_pitch():
    np.testing.assert_allclose(expected_normal(0.0), [0, -1, 0], atol=1e-12)
    # Looking straight down, up is backwards along the optical axis.
    np.testing.assert_allclose(expected_normal(90.0), [0, 0, -1], atol=1e-12)


@settings(deadline=None, max_examples=15)
@given(st.floats(0.1, 5.0), st.floats(-15, 40))
def test_the_height_over_a_floor_is_found_at_any_pitch(height, pitch_deg):
    up = expected_normal(pitch_deg)
    plane = fit_floor(plane_points(up, height), up, 5.0, 0.3)
    assert plane.distance == pytest.approx(height, rel=1e-6)
    np.testing.assert_allclose(plane.normal, up, atol=1e-6)
    assert plane.inliers == 1.0


def test_a_doubled_depth_doubles_the_height_and_leaves_the_variance():
    points = plane_points(UP, 0.5, noise=0.02)
    single, doubled = fit_floor(points, UP, 10.0, 0.3), fit_floor(2 * points, UP, 10.0, 0.3)
    assert doubled.distance == pytest.approx(2 * single.distance)
    assert doubled.variance_log == pytest.approx(single.variance_log)


def test_furniture_on_the_floor_does_not_lift_it():
    boxes = plane_points(UP, 1.0, 120, seed=1) * [1, 0.6, 1]
    plane = fit_floor(np.concatenate((plane_points(UP, 1.0), boxes)), UP, 10.0, 0.3)
    assert plane.distance == pytest.approx(1.0, rel=0.02)
    assert plane.inliers == pytest.approx(400 / 520, abs=0.05)


def test_noise_and_little_floor_widen_the_variance():
    clean = fit_floor(plane_points(UP, 1.0), UP, 10.0, 0.3)
    noisy = fit_floor(plane_points(UP, 1.0, noise=0.03), UP, 10.0, 0.3)
    little = fit_floor(plane_points(UP, 1.0, noise=0.03), UP, 10.0, 0.03)
    assert clean.variance_log < noisy.variance_log < little.variance_log
    assert math.sqrt(clean.variance_log) == pytest.approx(0.05)


def test_a_wall_taken_for_floor_is_refused_with_its_tilt():
    wall = plane_points(UP, 1.0)[:, [0, 2, 1]] * [1, 1, 1]
    wall[:, 1] -= wall[:, 1].mean()
    wall[:, 2] = 2.0
    assert "got a plane tilted by 90 degrees, expected level; a wall" in fit_floor(
        wall, UP, 20.0, 0.3
    )


def test_a_floor_steeper_than_the_tolerance_is_refused():
    points = plane_points(expected_normal(20.0), 1.0)
    assert isinstance(fit_floor(points, UP, 10.0, 0.3), str)
    assert fit_floor(points, UP, 25.0, 0.3).distance == pytest.approx(1.0)


def test_scattered_points_are_no_plane():
    points = np.random.default_rng(0).uniform(-1, 1, (300, 3)) + [0, 0, 2]
    assert "got no plane through half of the points" in fit_floor(points, UP, 20.0, 0.3)


@pytest.mark.parametrize("points", [np.empty((0, 3)), np.zeros((100, 3)), np.ones((100, 3))])
def test_points_that_span_nothing_are_refused_in_one_line(points):
    refusal = fit_floor(points, UP, 20.0, 0.3)
    assert isinstance(refusal, str)
    assert "\n" not in refusal


def test_the_same_points_give_the_same_plane():
    points = plane_points(UP, 1.0, noise=0.05)
    assert fit_floor(points, UP, 20.0, 0.3) == fit_floor(points.copy(), UP, 20.0, 0.3)
