"""Claims about depth brought into the colour image's pixels; numbers are computed by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.camera import CameraError, Intrinsics
from gam_depth_ros.core.config import RegistrationConfig
from gam_depth_ros.core.frame import Frame, ReferenceDepth
from gam_depth_ros.core.registration import Registrar, RegistrationError, register_depth
from gam_depth_ros.core.transforms import Extrinsics, TransformError, TransformTree

SIZE_HW = (48, 64)
CAMERA = Intrinsics(64, 48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
STAY = np.eye(4)
STAMP_NS = 1_000_000_000
COLOR, DEPTH = "color_frame", "depth_frame"
QUARTER = math.sqrt(0.5)


def flat(depth_m, size_hw=SIZE_HW):
    return np.full(size_hw, depth_m, np.float32)


def moved(x=0.0, y=0.0, z=0.0):
    return Extrinsics((x, y, z)).matrix()


def frame(depth_m, depth_frame=DEPTH, depth_camera=CAMERA, color_camera=CAMERA):
    reference = ReferenceDepth(depth_m, STAMP_NS + 5, depth_frame, depth_camera)
    rgb = np.zeros((*SIZE_HW, 3), np.uint8)
    return Frame(rgb, STAMP_NS, COLOR, color_camera, reference)


def test_the_same_camera_gives_the_same_depth():
    rng = np.random.default_rng(1)
    depth_m = rng.uniform(0.5, 5.0, SIZE_HW).astype(np.float32)
    depth_m[3, 4] = np.nan
    np.testing.assert_array_equal(register_depth(depth_m, CAMERA, CAMERA, STAY), depth_m)


def test_a_wall_shifts_by_focal_length_times_baseline_over_depth():
    # The depth camera stands 0.04 m left: at 2 m that is 50 * 0.04 / 2 = 1 pixel to the left.
    registered = register_depth(flat(2.0), CAMERA, CAMERA, moved(x=-0.04))
    np.testing.assert_array_equal(registered[:, :-1], 2.0)
    assert np.isnan(registered[:, -1]).all()


def test_depth_is_measured_along_the_colour_cameras_axis():
    # The depth camera stands 0.5 m in front of the colour camera: a wall at 2 m is at 2.5 m,
    # and what fills the depth image fills four fifths of the colour image.
    registered = register_depth(flat(2.0), CAMERA, CAMERA, moved(z=0.5))
    np.testing.assert_allclose(registered[24, 32], 2.5)
    assert np.isnan(registered[:, :6]).all()
    assert np.nanmin(registered) == np.nanmax(registered) == np.float32(2.5)


def test_the_nearest_wins_where_two_depth_pixels_land_on_one():
    # To the left by 50 * 0.08 / depth: 1 pixel at 4 m, 4 pixels at 1 m, so both reach column 19.
    depth_m = flat(np.nan)
    depth_m[10, 20], depth_m[10, 23] = 4.0, 1.0
    shifted = register_depth(depth_m, CAMERA, CAMERA, moved(x=-0.08))
    assert np.isfinite(shifted).sum() == 1
    assert shifted[10, 19] == 1.0


def test_a_turned_depth_camera_is_turned_back():
    # Rolled by 90 degrees about the optical axis: its x axis is the colour camera's y axis.
    roll = Extrinsics(rotation_xyzw=(0.0, 0.0, QUARTER, QUARTER)).matrix()
    square = Intrinsics(48, 48, fx=50.0, fy=50.0, cx=23.5, cy=23.5)
    depth_m = flat(np.nan, (48, 48))
    depth_m[10, 30] = 2.0  # 6.5 right, 13.5 up: seen 6.5 down, 13.5 right
    registered = register_depth(depth_m, square, square, roll)
    assert np.isfinite(registered).sum() == 1
    assert registered[30, 37] == pytest.approx(2.0)


def test_lens_distortion_of_both_cameras_is_honoured():
    bent = Intrinsics(64, 48, 50.0, 50.0, 31.5, 23.5, "plumb_bob", (0.3, 0.0, 0.0, 0.0))
    depth_m = flat(np.nan)
    depth_m[24, 61] = 2.0
    # Ray 29.5 / 50 = 0.59; bent by 1 + 0.3 * 0.59² to 0.6516: 32.58 pixels, out of the picture.
    assert np.isnan(register_depth(depth_m, CAMERA, bent, STAY)).all()
    depth_m[24, 51] = 2.0  # 0.39 is bent to 0.4078: column 51.9
    assert register_depth(depth_m, CAMERA, bent, STAY)[24, 52] == 2.0
    depth_m[24, 61] = np.nan
    # The same lens on both sides cancels out.
    np.testing.assert_array_equal(register_depth(depth_m, bent, bent, STAY), depth_m)


def test_rays_outside_the_picture_are_not_folded_back_into_it():
    # r (1 - 0.2 r²) turns back beyond r = 1.29 and is zero, on the axis, at r = 2.24.
    barrel = Intrinsics(64, 48, 50.0, 50.0, 31.5, 23.5, "plumb_bob", (-0.2, 0.0, 0.0, 0.0))
    wide = Intrinsics(301, 3, fx=50.0, fy=50.0, cx=150.0, cy=1.0)
    depth_m = flat(np.nan, (3, 301))
    depth_m[1, 150 + 112] = 2.0
    assert np.isnan(register_depth(depth_m, wide, barrel, STAY)).all()


def test_sparse_depth_fills_blocks_so_that_no_background_shows_through():
    # A picture with three times the pixels: the wall in front stays closed.
    large = CAMERA.resized(192, 144)
    registered = register_depth(flat(1.0), CAMERA, large, STAY)
    assert registered.shape == (144, 192)
    np.testing.assert_array_equal(registered, 1.0)
    depth_m = flat(np.nan)
    depth_m[5, 7] = 2.0
    one = register_depth(depth_m, CAMERA, large, STAY)
    np.testing.assert_array_equal(one[15:18, 21:24], 2.0)
    assert np.isfinite(one).sum() == 9


@settings(max_examples=15, deadline=None)
@given(
    st.floats(0.1, 2.0),
    st.tuples(*[st.floats(-0.3, 0.3)] * 3),
    st.tuples(*[st.floats(-0.2, 0.2)] * 3),
)
def test_doubling_the_room_and_the_baseline_doubles_the_depth(depth_m, shift_m, turn):
    rotation = (*turn, math.sqrt(1.0 - sum(value**2 for value in turn)))
    small = register_depth(flat(depth_m), CAMERA, CAMERA, Extrinsics(shift_m, rotation).matrix())
    twice = tuple(2.0 * value for value in shift_m)
    large = register_depth(flat(2 * depth_m), CAMERA, CAMERA, Extrinsics(twice, rotation).matrix())
    np.testing.assert_array_equal(large, 2 * small)


def test_what_is_behind_the_camera_or_unknown_is_left_out():
    depth_m = flat(np.nan)
    depth_m[24, 32] = 0.2
    assert np.isnan(register_depth(depth_m, CAMERA, CAMERA, moved(z=-0.3))).all()


def test_depth_of_another_size_than_its_calibration_is_refused():
    with pytest.raises(CameraError, match="expected 32x24"):
        register_depth(flat(1.0, (24, 32)), CAMERA, CAMERA, STAY)


def test_registered_depth_passes_untouched_by_default():
    given = frame(flat(2.0), depth_frame=COLOR)
    assert Registrar(RegistrationConfig()).register(given) is given.reference
    bare = Frame(given.rgb, STAMP_NS, COLOR)
    assert Registrar(RegistrationConfig()).register(bare) is None


def test_parameters_register_every_reference_whatever_its_frame_says():
    config = RegistrationConfig("parameters", (-0.04, 0.0, 0.0))
    for name in (COLOR, DEPTH):
        registered = Registrar(config).register(frame(flat(2.0), name))
        assert registered.frame_id == COLOR
        assert registered.intrinsics == CAMERA
        assert registered.stamp_ns == STAMP_NS + 5
        assert np.isnan(registered.depth_m).sum() == 48
    registrar = Registrar(RegistrationConfig("none"))
    registrar.configure(config)
    assert registrar.register(frame(flat(2.0))).frame_id == COLOR


def test_static_transforms_are_chained_over_the_common_ancestor():
    transforms = TransformTree()
    registrar = Registrar(RegistrationConfig(), transforms)
    transforms.add("base", "link", Extrinsics((5.0, 6.0, 7.0)))
    # The colour camera looks along the link's x axis (REP-103), 0.03 m to its left.
    optical = (-0.5, 0.5, -0.5, 0.5)
    transforms.add("link", "color_link", Extrinsics((0.0, 0.03, 0.0)))
    transforms.add("color_link", COLOR, Extrinsics(rotation_xyzw=optical))
    transforms.add("link", DEPTH, Extrinsics((0.0, 0.07, 0.0), optical))
    registered = registrar.register(frame(flat(2.0)))
    # The depth camera is 0.04 m farther left: one pixel at 2 m.
    np.testing.assert_allclose(registered.depth_m[:, :-1], 2.0, rtol=1e-6)
    assert np.isnan(registered.depth_m[:, -1]).all()


def test_depth_in_the_images_frame_but_another_size_is_resampled():
    half = CAMERA.resized(32, 24)
    given = frame(flat(2.0, (24, 32)), depth_frame=COLOR, depth_camera=half)
    registered = Registrar(RegistrationConfig()).register(given)
    np.testing.assert_array_equal(registered.depth_m, 2.0)
    assert registered.depth_m.shape == SIZE_HW


def test_what_cannot_be_registered_is_refused_in_one_line():
    transforms = TransformTree()
    registrar = Registrar(RegistrationConfig(), transforms)
    with pytest.raises(RegistrationError, match=f"'{DEPTH}' and no transform .* '{COLOR}'"):
        registrar.register(frame(flat(2.0)))
    transforms.add(COLOR, DEPTH, Extrinsics())
    with pytest.raises(RegistrationError, match="without reference_depth/camera_info, expected"):
        registrar.register(frame(flat(2.0), depth_camera=None))
    with pytest.raises(RegistrationError, match="without camera_info, expected"):
        registrar.register(frame(flat(2.0), color_camera=None))
    with pytest.raises(RegistrationError, match="refused: its camera info: got a calibration"):
        registrar.register(frame(flat(2.0, (20, 30))))


def test_registration_that_is_off_hands_the_reference_on_as_it_is():
    given = frame(flat(2.0))
    assert Registrar(RegistrationConfig("none")).register(given) is given.reference


def test_a_loop_of_transforms_does_not_hang():
    transforms = TransformTree()
    registrar = Registrar(RegistrationConfig(), transforms)
    transforms.add("a", DEPTH, Extrinsics())
    transforms.add(DEPTH, "a", Extrinsics())
    with pytest.raises(RegistrationError, match="no transform"):
        registrar.register(frame(flat(2.0)))


@pytest.mark.parametrize(
    "nonsense",
    [
        Extrinsics(rotation_xyzw=(0.0, 0.0, 0.0, 0.0)),
        Extrinsics(rotation_xyzw=(0.0, 0.0, math.nan, 1.0)),
        Extrinsics(rotation_xyzw=(5e-324, 0.0, 0.0, 0.0)),
        Extrinsics(rotation_xyzw=(1e200, 0.0, 0.0, 0.0)),
        Extrinsics((math.inf, 0.0, 0.0)),
    ],
)
def test_a_transform_that_is_none_is_refused_and_the_former_kept(nonsense):
    transforms = TransformTree()
    registrar = Registrar(RegistrationConfig(), transforms)
    transforms.add(COLOR, DEPTH, Extrinsics())
    with pytest.raises(TransformError, match=f"from '{DEPTH}' to '{COLOR}': got translation"):
        transforms.add(COLOR, DEPTH, nonsense)
    np.testing.assert_array_equal(registrar.register(frame(flat(2.0))).depth_m, 2.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"translation_m": (1.0, 2.0)}, "translation_m: got .*, expected 3 finite numbers"),
        ({"translation_m": (1.0, 2.0, math.nan)}, "expected 3 finite"),
        ({"rotation_xyzw": (0.0, 0.0, 0.0, 0.0)}, "expected a unit quaternion"),
        ({"rotation_xyzw": (1e200, 0.0, 0.0, 0.0)}, "expected a unit quaternion"),
        ({"extrinsics": "magic"}, "expected one of tf_static, parameters, none"),
    ],
)
def test_senseless_extrinsics_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        RegistrationConfig(**options)
