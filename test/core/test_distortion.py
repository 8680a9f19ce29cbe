"""Claims about the forward lens models, held to OpenCV's and to the rays that undo them."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.distortion import distort, field_radius_sq, project

PLUMB_BOB = (0.2, -0.5, 0.001, 0.002, 0.4)
RATIONAL = (0.5, -2.6, 0.0007, -0.0004, 1.4, 0.4, -2.4, 1.3)
PRISM = (*RATIONAL, 0.01, -0.02, 0.015, 0.005)
TILT = (*PRISM, 0.02, -0.03)


def camera(model="none", distortion=()):
    return Intrinsics(640, 480, 518.9, 519.5, 325.6, 253.7, model, distortion)


@pytest.mark.parametrize(
    ("model", "distortion"),
    [
        ("none", ()),
        ("plumb_bob", PLUMB_BOB[:4]),
        ("plumb_bob", PLUMB_BOB),
        ("rational_polynomial", RATIONAL),
        ("rational_polynomial", PRISM),
        ("rational_polynomial", TILT),
    ],
)
def test_projection_is_opencvs(model, distortion):
    seen = camera(model, distortion)
    rng = np.random.default_rng(3)
    xy = rng.uniform(-0.5, 0.5, (200, 2))
    points = np.concatenate([xy, np.ones((200, 1))], axis=1).reshape(-1, 1, 3)
    coefficients = np.array(distortion or (0.0,) * 4)
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), seen.matrix(), coefficients)
    column, row = project(xy[:, 0], xy[:, 1], seen)
    np.testing.assert_allclose(np.stack([column, row], axis=1), expected[:, 0], atol=1e-9)


def test_fisheye_projection_is_hand_computed():
    # Without coefficients r' = atan(r): a ray at 45 degrees lands pi / 4 from the axis.
    lens = camera("equidistant", (0.0, 0.0, 0.0, 1e-12))
    x, y = distort(np.array([1.0, 0.0]), np.array([0.0, 0.0]), lens)
    np.testing.assert_allclose(x, [math.pi / 4, 0.0], atol=1e-9)
    np.testing.assert_array_equal(y, [0.0, 0.0])


@pytest.mark.parametrize(
    ("model", "distortion"),
    [
        ("plumb_bob", PLUMB_BOB),
        ("rational_polynomial", RATIONAL),
        ("equidistant", (-0.01, 0.02, -0.01, 0.002)),
    ],
)
def test_projecting_every_pixels_ray_gives_the_pixel_back(model, distortion):
    seen = camera(model, distortion)
    rays = seen.rays()
    column, row = project(rays[..., 0], rays[..., 1], seen)
    assert column.dtype == np.float32
    u, v = np.meshgrid(np.arange(640), np.arange(480))
    np.testing.assert_allclose(column, u, atol=0.01)
    np.testing.assert_allclose(row, v, atol=0.01)


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(-0.01, 0.01), st.floats(-0.01, 0.01))
def test_a_ray_on_the_axis_stays_there_whatever_the_lens(k1, k2, p1, p2):
    x, y = distort(np.zeros(1), np.zeros(1), camera("plumb_bob", (k1, k2, p1, p2)))
    assert (x[0], y[0]) == (0.0, 0.0)


def test_without_distortion_nothing_is_copied():
    x = np.ones(3)
    assert distort(x, x, camera())[0] is x


def test_unknown_rays_stay_unknown():
    column, _ = project(np.array([np.nan]), np.array([0.0]), camera("plumb_bob", PLUMB_BOB))
    assert np.isnan(column).all()


def test_field_of_view_is_that_of_the_farthest_corner():
    pinhole = Intrinsics(64, 48, fx=50.0, fy=40.0, cx=10.0, cy=40.0)
    # The top right corner: 53 columns and 40 rows from the principal point.
    assert field_radius_sq(pinhole) == pytest.approx((53 / 50) ** 2 + (40 / 40) ** 2)
