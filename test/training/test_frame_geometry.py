"""Undistort, crop, resize, flip: pictures and camera stay together."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.camera import CameraError, Intrinsics
from gam_depth_training.datasets.nyuv2 import CAMERA as NYU_CAMERA
from gam_depth_training.datasets.nyuv2 import TRAINING_GEOMETRY as NYU
from gam_depth_training.frame_geometry import FrameGeometry

FR1 = Intrinsics(
    640, 480, 517.3, 516.5, 318.6, 255.3, "plumb_bob", (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)
)


def picture_of_point(camera: Intrinsics, point: np.ndarray) -> np.ndarray:
    """A white spot on black where a real camera with this lens would see the point."""
    raw, _ = cv2.projectPoints(
        point.reshape(1, 1, 3), np.zeros(3), np.zeros(3), camera.matrix(), camera.distortion
    )
    u, v = raw.ravel()
    x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    spot = 255 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 6.0**2))
    return np.repeat(np.rint(spot).astype(np.uint8)[..., None], 3, axis=2)


def centre_of_spot(rgb: np.ndarray) -> np.ndarray:
    weight = rgb[..., 0].astype(float)
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@settings(max_examples=25, deadline=None)
@given(
    x=st.floats(-0.3, 0.3),
    y=st.floats(-0.2, 0.2),
    size_hw=st.sampled_from([(288, 384), (96, 128), (200, 150), (448, 608)]),
    left=st.integers(0, 40),
    top=st.integers(0, 40),
    strength=st.floats(-1, 1),
    flipped=st.booleans(),
)
def test_a_known_point_lands_where_the_new_camera_projects_it(
    x, y, size_hw, left, top, strength, flipped
):
    lens = tuple(strength * value for value in (0.2, -0.3, 0.002, -0.003, 0.1))
    camera = Intrinsics(640, 480, 517.3, 516.5, 318.6, 255.3, "plumb_bob", lens)
    geometry = FrameGeometry.cropped(camera, (left, top, 590, 430)).resized(size_hw)
    point = np.array([x, y, 1.0])

    result = geometry.apply(picture_of_point(camera, point))
    result = result[:, ::-1] if flipped else result

    # Mirrored, the world is mirrored too: x changes sign in the camera frame.
    seen = point * ([-1, 1, 1] if flipped else [1, 1, 1])
    expected = (geometry.matrix(flipped) @ seen)[:2]
    assert np.abs(centre_of_spot(result) - expected).max() < 0.2


def test_nyu_camera_differs_from_the_published_one_by_its_half_pixel_alone():
    matrix = NYU.resized((288, 384)).matrix()
    published = np.array([[327.69974, 0, 195.52576], [0, 333.94476, 152.8304], [0, 0, 1]])
    scale = np.array([384 / 608, 288 / 448])
    np.testing.assert_allclose(np.diag(matrix), np.diag(published), atol=1e-4)
    np.testing.assert_allclose(matrix[:2, 2], published[:2, 2] + (scale - 1) / 2, atol=1e-4)


def test_nyu_pictures_equal_the_published_ones_to_two_grey_levels(shared_dir):
    with np.load(shared_dir / "oracle" / "03_gradient_mask.npz") as oracle:
        raw = oracle["rgb_480x640"]
        expected = {
            "crop_448x608": NYU.rectify(raw),
            "rgb_288x384": NYU.resized((288, 384)).apply(raw),
            "rgb_288x384_flip": NYU.resized((288, 384)).apply(raw)[:, ::-1],
            "undistorted_480x640": FrameGeometry.cropped(NYU_CAMERA, (0, 0, 640, 480)).apply(raw),
        }
        for name, got in expected.items():
            difference = np.abs(got.astype(int) - oracle[name])
            assert difference.max() <= 2, name
            assert (difference > 0).mean() < 1e-3, name


def test_test_pictures_equal_the_published_ones(shared_dir):
    with np.load(shared_dir / "oracle" / "03_gradient_mask.npz") as oracle:
        plain = Intrinsics(640, 480, 518.9, 519.5, 325.6, 253.7)
        geometry = FrameGeometry.cropped(plain, (40, 44, 561, 427)).resized((288, 384))
        got = geometry.apply(oracle["rgb_480x640"])
        assert np.abs(got.astype(int) - oracle["test_crop_rgb_288x384"]).max() <= 1


def test_an_undistorted_picture_keeps_no_black_border():
    white = np.full((480, 640, 3), 255, np.uint8)
    geometry = FrameGeometry.whole(FR1)
    assert geometry.apply(white).min() == 255
    assert geometry.size_hw[0] > 440
    assert geometry.size_hw[1] > 590


def test_a_camera_without_distortion_keeps_every_pixel():
    camera = Intrinsics(64, 48, 60, 60, 31.5, 23.5)
    rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    assert np.array_equal(FrameGeometry.whole(camera).apply(rgb), rgb)


def test_undistorted_depth_has_recorded_values_only():
    depth = np.random.default_rng(0).uniform(0.5, 5, (480, 640)).astype(np.float32)
    depth[100:200, 100:200] = np.nan
    got = FrameGeometry.whole(FR1).rectify_depth(depth)
    assert np.isin(got[~np.isnan(got)], depth).all()
    assert 0.02 < np.isnan(got).mean() < 0.05


def test_depth_lies_on_the_picture_after_undistortion():
    ramp = np.tile(np.arange(640, dtype=np.float32), (480, 1))
    rgb = np.repeat((ramp * 255 / 639).astype(np.uint8)[..., None], 3, axis=2)
    geometry = FrameGeometry.whole(FR1)
    from_colour = geometry.rectify(rgb)[..., 0].astype(float) * 639 / 255
    assert np.abs(geometry.rectify_depth(ramp) - from_colour).mean() < 1.5


def test_depth_of_fewer_pixels_shows_the_same_window():
    camera = Intrinsics(1296, 968, 1170, 1170, 648, 484)
    geometry = FrameGeometry.cropped(camera, (0, 0, 648, 968))
    depth = np.tile(np.arange(640, dtype=np.float32), (480, 1))
    got = geometry.rectify_depth(depth)
    assert got.shape == (480, 320)
    assert got.max() == 319


def test_coefficients_that_leave_nothing_to_see_are_refused():
    wrong = Intrinsics(640, 480, 517, 517, 320, 240, "plumb_bob", (50.0, 0.0, 0.0, 0.0, 0.0))
    with pytest.raises(CameraError, match=r"got plumb_bob .*check their order"):
        FrameGeometry.whole(wrong)


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(CameraError, match="expected 320x240"):
        NYU.apply(np.zeros((240, 320, 3), np.uint8))


def test_a_crop_outside_the_picture_is_refused():
    with pytest.raises(CameraError, match="expected a window inside"):
        FrameGeometry.cropped(FR1, (600, 0, 100, 100))
