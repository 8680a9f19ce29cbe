"""Claims about intrinsics, rays, back-projection and the organised cloud."""

import math

import cv2
import numpy as np
import pytest

from gam_depth_ros.core.camera import CLOUD_DTYPE, CameraError, Intrinsics, organised_cloud

PINHOLE = Intrinsics(64, 48, fx=50.0, fy=40.0, cx=31.5, cy=23.5)
PLUMB_BOB = (0.2, -0.5, 0.001, 0.002, 0.4)
RATIONAL = (0.5, -2.6, 0.0007, -0.0004, 1.4, 0.4, -2.4, 1.3)


def test_rays_of_a_pinhole_are_hand_computed():
    rays = PINHOLE.rays()
    assert rays.shape == (48, 64, 2)
    assert rays.dtype == np.float32
    np.testing.assert_allclose(rays[0, 0], [-31.5 / 50, -23.5 / 40], rtol=1e-6)
    np.testing.assert_allclose(rays[47, 63], [31.5 / 50, 23.5 / 40], rtol=1e-6)


def test_rays_are_cached_read_only_and_the_cache_is_bounded():
    assert PINHOLE.rays() is Intrinsics(64, 48, 50.0, 40.0, 31.5, 23.5).rays()
    assert not PINHOLE.rays().flags.writeable
    first = PINHOLE.rays()
    for width in range(10, 20):
        Intrinsics(width, 10, 50.0, 50.0, 5.0, 5.0).rays()
    assert PINHOLE.rays() is not first


@pytest.mark.parametrize(
    ("model", "distortion"), [("plumb_bob", PLUMB_BOB), ("rational_polynomial", RATIONAL)]
)
def test_projecting_distorted_rays_gives_the_pixels_back(model, distortion):
    camera = Intrinsics(640, 480, 518.9, 519.5, 325.6, 253.7, model, distortion)
    rays = camera.rays()
    points = np.concatenate([rays, np.ones((480, 640, 1))], axis=-1).reshape(-1, 1, 3)
    pixels, _ = cv2.projectPoints(
        points.astype(np.float64), np.zeros(3), np.zeros(3), camera.matrix(), np.array(distortion)
    )
    u, v = np.meshgrid(np.arange(640), np.arange(480))
    np.testing.assert_allclose(pixels.reshape(480, 640, 2), np.stack([u, v], -1), atol=0.01)


def test_equidistant_ray_follows_the_fisheye_law_and_is_nan_sideways():
    # Without coefficients r = f * theta: 100 px at f = 200 px is 0.5 rad, so x/z = tan(0.5).
    camera = Intrinsics(801, 3, 200.0, 200.0, 400.0, 1.0, "equidistant", (0.0, 0.0, 0.0, 1e-12))
    rays = camera.rays()
    assert rays[1, 500, 0] == pytest.approx(math.tan(0.5), rel=1e-5)
    assert np.isnan(rays[1, 0]).all()  # 400 px: 2 rad, behind the camera


def test_resize_keeps_the_edges_of_the_image():
    half = PINHOLE.resized(32, 24)
    assert (half.fx, half.fy) == (25.0, 20.0)
    # The image's middle, x = 31.5 of 64 pixels, is x = 15.5 of 32.
    assert (half.cx, half.cy) == (15.5, 11.5)
    assert half.resized(64, 48) == PINHOLE


def test_crop_moves_the_principal_point_only():
    crop = PINHOLE.cropped(10, 4, 20, 30)
    assert (crop.width, crop.height, crop.fx, crop.cx, crop.cy) == (20, 30, 50.0, 21.5, 19.5)
    np.testing.assert_allclose(crop.rays(), PINHOLE.rays()[4:34, 10:30], rtol=1e-6)


def test_crop_outside_the_image_is_refused():
    with pytest.raises(CameraError, match="expected a window inside 64x48"):
        PINHOLE.cropped(50, 0, 20, 10)


def test_backprojection_is_hand_computed_and_keeps_nan():
    depth_m = np.full((48, 64), 2.0, np.float32)
    depth_m[0, 0] = np.nan
    points = PINHOLE.backproject(depth_m)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points[47, 63], [2 * 31.5 / 50, 2 * 23.5 / 40, 2.0], rtol=1e-6)
    assert np.isnan(points[0, 0]).all()


def test_backprojection_of_another_size_is_refused():
    with pytest.raises(CameraError, match="expected 32x24 like the image"):
        PINHOLE.backproject(np.ones((24, 32), np.float32))


def test_camera_info_gives_the_published_images_intrinsics():
    k = [500.0, 0, 320.0, 0, 510.0, 240.0, 0, 0, 1]
    camera = Intrinsics.from_camera_info_values(640, 480, k, "plumb_bob", [0.1, 0, 0, 0, 0])
    assert camera == Intrinsics(
        640, 480, 500.0, 510.0, 320.0, 240.0, "plumb_bob", (0.1, 0.0, 0.0, 0.0, 0.0)
    )
    binned = Intrinsics.from_camera_info_values(
        640, 480, k, binning_xy=(2, 2), roi_xywh=(20, 40, 600, 400)
    )
    assert binned.size_hw == (200, 300)
    assert (binned.fx, binned.fy) == (250.0, 255.0)
    assert binned.cx == pytest.approx((300.0 + 0.5) / 2 - 0.5)


def test_camera_info_with_only_zero_coefficients_is_undistorted():
    k = [500.0, 0, 320.0, 0, 500.0, 240.0, 0, 0, 1]
    assert (
        Intrinsics.from_camera_info_values(640, 480, k, "plumb_bob", [0.0] * 5).distortion_model
        == "none"
    )
    assert Intrinsics.from_camera_info_values(640, 480, k, "", []).distortion_model == "none"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 0, [0.0] * 9), "got K"),
        ((640, 480, [0.0] * 9), "calibrate the camera"),
        ((640, 480, [1.0, 0, 0]), "expected nine values"),
        ((640, 480, [float("nan"), 0, 1, 0, 5, 1, 0, 0, 1]), "expected finite values"),
        ((640, 480, [5, 0, 1, 0, 0, 1, 0, 0, 1]), "focal lengths above zero"),
        ((0, 480, [5, 0, 1, 0, 5, 1, 0, 0, 1]), "got size 0x480"),
        ((640, 480, [5, 0, 1, 0, 5, 1, 0, 0, 1], "banana", [1.0]), "'banana', expected one of"),
        ((640, 480, [5, 0, 1, 0, 5, 1, 0, 0, 1], "plumb_bob", [1.0, 2.0]), "expected 4 or 5"),
    ],
)
def test_bad_camera_info_is_refused_in_one_line(arguments, words):
    with pytest.raises(CameraError, match=words) as caught:
        Intrinsics.from_camera_info_values(*arguments)
    assert "\n" not in str(caught.value)


def test_camera_info_for_another_size_is_refused():
    k = [500.0, 0, 320.0, 0, 500.0, 240.0, 0, 0, 1]
    with pytest.raises(CameraError, match="got a calibration for 640x480, expected 320x240"):
        Intrinsics.from_camera_info_values(640, 480, k, image_size_hw=(240, 320))


def test_cloud_layout_and_values():
    depth_m = np.full((48, 64), 2.0, np.float32)
    depth_m[5, 6] = np.nan
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[7, 8] = (0x12, 0x34, 0x56)
    labels = np.full((48, 64), 11, np.uint8)
    cloud = organised_cloud(depth_m, depth_m * 0.1, rgb, labels, PINHOLE)
    assert cloud.shape == (48, 64)
    assert cloud.dtype == CLOUD_DTYPE
    assert cloud.dtype.itemsize == 24
    assert cloud[7, 8]["rgb"] == 0x00123456
    assert cloud[7, 8]["label"] == 11
    np.testing.assert_allclose(
        [cloud[47, 63][name] for name in ("x", "y", "z", "sigma")],
        [2 * 31.5 / 50, 2 * 23.5 / 40, 2.0, 0.2],
        rtol=1e-6,
    )
    assert all(np.isnan(cloud[5, 6][name]) for name in ("x", "y", "z", "sigma"))
    padding = cloud.view(np.uint8).reshape(48, 64, 24)[..., 21:]
    assert not padding.any()


def test_cloud_of_another_size_is_refused():
    small = np.ones((4, 4), np.float32)
    ids = np.ones((4, 4), np.uint8)
    with pytest.raises(CameraError, match="expected 4x4"):
        organised_cloud(small, small, np.ones((4, 4, 3), np.uint8), ids, PINHOLE)
