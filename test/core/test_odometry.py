"""Claims about the camera's pose at the time of an image; numbers are computed by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.config import OdometryConfig
from gam_depth_ros.core.odometry import Odometry, OdometryError, Pose, between, slerp
from gam_depth_ros.core.transforms import Extrinsics, TransformTree

MS = 1_000_000
NOTHING = (0.0, 0.0, 0.0, 1.0)
BASE, CAMERA = "base_link", "camera_optical"


def about_z(degrees):
    half = math.radians(degrees) / 2
    return 0.0, 0.0, math.sin(half), math.cos(half)


def pose(stamp_ms, x_m=0.0, degrees=0.0, frame="odom", child=BASE):
    at = Extrinsics((x_m, 0.0, 0.0), about_z(degrees))
    return Pose(stamp_ms * MS, frame, child, at)


def odometry(*poses, transforms=None, **options):
    if transforms is None:
        transforms = TransformTree()
        transforms.add(BASE, CAMERA, Extrinsics())
    buffer = Odometry(OdometryConfig(**options), transforms)
    for one in poses:
        buffer.add(one)
    return buffer


def position(buffer, stamp_ms, camera=CAMERA):
    return buffer.odom_T_camera(stamp_ms * MS, camera)[:3, 3]


def heading(matrix):
    return math.degrees(math.atan2(matrix[1, 0], matrix[0, 0]))


def test_slerp_turns_evenly():
    for share in (0.0, 0.25, 0.5, 1.0):
        assert slerp(NOTHING, about_z(80.0), share) == pytest.approx(about_z(80.0 * share))
    # Beyond the end it goes on, and by a small angle as well as by a large one.
    assert slerp(NOTHING, about_z(80.0), 2.0) == pytest.approx(about_z(160.0))
    assert slerp(NOTHING, about_z(0.5), 2.0) == pytest.approx(about_z(1.0), abs=1e-6)


def test_slerp_goes_the_short_way_round():
    negative = tuple(-value for value in about_z(60.0))  # the same rotation
    assert slerp(NOTHING, negative, 0.5) == pytest.approx(about_z(30.0))
    assert slerp(about_z(170.0), about_z(-170.0), 0.5) == pytest.approx(about_z(180.0), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1.0, 1.0), min_size=8, max_size=8), st.floats(0.0, 1.0))
def test_slerp_is_a_rotation_and_runs_backwards_alike(numbers, share):
    ends = np.array(numbers).reshape(2, 4)
    norms = np.linalg.norm(ends, axis=1, keepdims=True)
    if norms.min() < 0.1:
        return
    start, end = (tuple(row) for row in (ends / norms).tolist())
    if abs(np.dot(start, end)) < 0.01:  # half a turn: both ways are as short
        return
    there, back = slerp(start, end, share), slerp(end, start, 1.0 - share)
    assert np.linalg.norm(there) == pytest.approx(1.0)
    assert abs(np.dot(there, back)) == pytest.approx(1.0, abs=1e-6)


def test_a_pose_between_two_is_a_share_of_the_way():
    start, end = Extrinsics((1.0, 2.0, 3.0)), Extrinsics((2.0, 0.0, 3.0), about_z(40.0))
    quarter = between(start, end, 0.25)
    assert quarter.translation_m == pytest.approx((1.25, 1.5, 3.0))
    assert quarter.rotation_xyzw == pytest.approx(about_z(10.0))


def test_the_pose_at_the_images_stamp_is_interpolated():
    buffer = odometry(pose(100, 0.0, 0.0), pose(200, 0.2, 30.0), pose(300, 0.6, 30.0))
    found = buffer.odom_T_camera(150 * MS, CAMERA)
    assert found[:3, 3] == pytest.approx((0.1, 0.0, 0.0))
    assert heading(found) == pytest.approx(15.0)
    assert position(buffer, 225)[0] == pytest.approx(0.3)
    assert position(buffer, 200)[0] == pytest.approx(0.2)
    assert position(buffer, 300)[0] == pytest.approx(0.6)


def test_a_little_after_the_newest_the_motion_before_goes_on():
    buffer = odometry(pose(100, 0.0, 0.0), pose(200, 0.2, 10.0), pose(300, 0.6, 30.0))
    # 40 ms before the newest it was at 0.44 m and 22 degrees.
    found = buffer.odom_T_camera(340 * MS, CAMERA)
    assert found[0, 3] == pytest.approx(0.76)
    assert heading(found) == pytest.approx(38.0)
    with pytest.raises(OdometryError, match=r"newest pose 0\.150 s before the image, expected"):
        buffer.odom_T_camera(450 * MS, CAMERA)
    strict = odometry(pose(100), pose(200), max_ahead_s=0.0)
    with pytest.raises(OdometryError, match=r"newest pose 0\.001 s before"):
        strict.odom_T_camera(201 * MS, CAMERA)


def test_a_first_pose_before_the_image_is_said_to_lie_before_it():
    buffer = odometry(pose(100))
    with pytest.raises(OdometryError, match=r"newest pose 0\.020 s before the image and"):
        position(buffer, 120)


def test_what_lies_before_the_first_pose_or_in_a_gap_is_not_told():
    buffer = odometry(pose(100), pose(500, 1.0))
    with pytest.raises(OdometryError, match=r"oldest pose 0\.050 s after the image"):
        buffer.odom_T_camera(50 * MS, CAMERA)
    with pytest.raises(OdometryError, match=r"next pose 0\.400 s after the one"):
        buffer.odom_T_camera(300 * MS, CAMERA)
    wide = odometry(pose(100), pose(500, 1.0), max_gap_s=0.5)
    assert position(wide, 300)[0] == pytest.approx(0.5)


def test_without_any_odometry_there_is_nothing_to_say():
    assert odometry().odom_T_camera(100 * MS, CAMERA) is None


def test_the_camera_stands_where_the_static_transforms_say():
    transforms = TransformTree()
    # The camera looks along the base's x axis (REP-103), 0.3 m before it and 0.5 m above.
    transforms.add(BASE, "camera_link", Extrinsics((0.3, 0.0, 0.5)))
    transforms.add(
        "camera_link", CAMERA, Extrinsics(rotation_xyzw=(-0.5, 0.5, -0.5, 0.5))
    )
    buffer = odometry(pose(100, 2.0, 90.0), transforms=transforms)
    found = buffer.odom_T_camera(100 * MS, CAMERA)
    # The robot has turned left: what is 1 m ahead of the camera is 1.3 m along the odometry's y.
    assert found @ (0.0, 0.0, 1.0, 1.0) == pytest.approx((2.0, 1.3, 0.5, 1.0))
    assert found @ (0.0, 1.0, 0.0, 1.0) == pytest.approx((2.0, 0.3, -0.5, 1.0))


def test_odometry_of_the_camera_itself_needs_no_transform():
    buffer = odometry(pose(100, 2.0, child=CAMERA), transforms=TransformTree())
    assert position(buffer, 100)[0] == pytest.approx(2.0)
    assert position(buffer, 100, camera=f"/{CAMERA}")[0] == pytest.approx(2.0)  # as ROS 1 wrote it


def test_a_camera_that_no_transform_joins_is_told_in_one_line():
    buffer = odometry(pose(100), transforms=TransformTree())
    with pytest.raises(OdometryError, match=f"pose of '{BASE}' and no transform from '{CAMERA}'"):
        buffer.odom_T_camera(100 * MS, CAMERA)


@pytest.mark.parametrize(
    "nonsense",
    [
        Pose(150 * MS, "odom", BASE, Extrinsics(rotation_xyzw=(0.0, 0.0, 0.0, 0.0))),
        Pose(150 * MS, "odom", BASE, Extrinsics(rotation_xyzw=(5e-324, 0.0, 0.0, 0.0))),
        Pose(150 * MS, "odom", BASE, Extrinsics(rotation_xyzw=(0.0, 1e200, 0.0, 0.0))),
        Pose(150 * MS, "odom", BASE, Extrinsics((math.nan, 0.0, 0.0))),
        Pose(150 * MS, "odom", BASE, Extrinsics((1e300, 0.0, 0.0))),
        Pose(150 * MS, "odom", "", Extrinsics()),
    ],
)
def test_a_message_that_is_no_pose_is_refused_and_the_others_kept(nonsense):
    buffer = odometry(pose(100), pose(200, 1.0))
    with pytest.raises(OdometryError, match="this pose is not used"):
        buffer.add(nonsense)
    assert position(buffer, 150)[0] == pytest.approx(0.5)


def test_a_quaternion_that_is_not_quite_of_unit_length_is_taken_for_one():
    turned = tuple(1.001 * value for value in about_z(30.0))
    buffer = odometry(Pose(100 * MS, "odom", BASE, Extrinsics(rotation_xyzw=turned)), pose(200))
    found = buffer.odom_T_camera(150 * MS, CAMERA)
    assert heading(found) == pytest.approx(15.0, abs=0.01)
    np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-12)


def test_a_pose_out_of_order_is_left_out_and_a_loop_starts_anew():
    buffer = odometry(pose(5000, 1.0), pose(5100, 2.0), pose(5050, 9.0))
    assert position(buffer, 5050)[0] == pytest.approx(1.5)
    buffer.add(pose(100, 4.0))  # the bag plays again
    assert position(buffer, 100)[0] == pytest.approx(4.0)


def test_another_odometry_starts_anew():
    buffer = odometry(pose(100, 1.0), pose(200, 7.0, frame="map"))
    with pytest.raises(OdometryError, match="oldest pose"):
        buffer.odom_T_camera(150 * MS, CAMERA)
    assert position(buffer, 200)[0] == pytest.approx(7.0)


def test_memory_stays_flat():
    buffer = odometry()
    for index in range(20_000):
        buffer.add(pose(10 * index, 0.01 * index))
    assert len(buffer._poses) <= 700
    assert position(buffer, 199_985)[0] == pytest.approx(199.985)
    busy = odometry()
    for index in range(10_000):
        busy.add(Pose(index * MS // 10, "odom", BASE, Extrinsics()))
    assert len(busy._poses) <= 4096
