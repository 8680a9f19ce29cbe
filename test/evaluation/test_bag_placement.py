"""Bags of two cameras that stand apart, and of a robot that tells its pose: values by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plain_pipeline import plain_pipeline
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.config import RegistrationConfig
from gam_depth_ros.evaluation.bag import OutMessage, Topics, open_recording, write_bag
from gam_depth_ros.evaluation.bag_writer import serialise
from gam_depth_ros.evaluation.evaluate import evaluate
from gam_depth_ros.evaluation.image_messages import (
    camera_info_message,
    depth_message,
    image_message,
)
from gam_depth_ros.evaluation.replay import replay
from gam_depth_ros.evaluation.ros_types import make_header, message_class
from gam_depth_ros.evaluation.sample import Sample

SIZE_HW = (48, 64)
CAMERA = Intrinsics(64, 48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
COLOR, DEPTH, LINK = "color_optical", "depth_optical", "camera_link"
START_NS, FRAME_NS = 10_000_000_000, 100_000_000
FRAMES = 6
WALL_M, AHEAD_M = 2.0, 0.5
OPTICAL = (-0.5, 0.5, -0.5, 0.5)


def stamp_of(index: int) -> int:
    return START_NS + index * FRAME_NS


def transforms(*entries: tuple[str, str, tuple[float, ...], tuple[float, ...]]) -> OutMessage:
    kinds = [
        message_class(f"geometry_msgs/msg/{name}")
        for name in ("TransformStamped", "Transform", "Vector3", "Quaternion")
    ]
    stamped, transform, vector, quaternion = kinds
    message = message_class("tf2_msgs/msg/TFMessage")(
        transforms=[
            stamped(
                header=make_header(0, parent),
                child_frame_id=child,
                transform=transform(translation=vector(*at), rotation=quaternion(*turn)),
            )
            for parent, child, at, turn in entries
        ]
    )
    return serialise("/tf_static", START_NS - FRAME_NS, message)


def odometry(stamp_ns: int, x_m: float, child: str = LINK) -> OutMessage:
    names = ("Pose", "Point", "Quaternion", "PoseWithCovariance", "Vector3", "Twist")
    pose, point, quaternion, with_covariance, vector, twist = (
        message_class(f"geometry_msgs/msg/{name}") for name in names
    )
    still = twist(linear=vector(0.0, 0.0, 0.0), angular=vector(0.0, 0.0, 0.0))
    message = message_class("nav_msgs/msg/Odometry")(
        header=make_header(stamp_ns, "odom"),
        child_frame_id=child,
        pose=with_covariance(
            pose=pose(position=point(x_m, 0.0, 0.0), orientation=quaternion(0.0, 0.0, 0.0, 1.0)),
            covariance=np.zeros(36),
        ),
        twist=message_class("geometry_msgs/msg/TwistWithCovariance")(
            twist=still, covariance=np.zeros(36)
        ),
    )
    return serialise("/odom", stamp_ns, message)


def images(index: int) -> list[OutMessage]:
    """Return the messages of an instant: a wall 2 m before the depth camera, a grey picture."""
    stamp = stamp_of(index)
    wall = np.full(SIZE_HW, WALL_M, np.float32)
    parts: list[tuple[str, Any]] = [
        ("/camera/color/camera_info", camera_info_message(CAMERA, stamp, COLOR)),
        ("/camera/depth/camera_info", camera_info_message(CAMERA, stamp, DEPTH)),
        ("/camera/depth/image_raw", depth_message(wall, "16UC1", stamp, DEPTH)),
        ("/camera/color/image_raw", image_message(grey(), "rgb8", stamp, COLOR)),
    ]
    return [serialise(topic, stamp, message) for topic, message in parts]


def grey() -> np.ndarray:
    return np.full((*SIZE_HW, 3), 102, np.uint8)


# The depth camera stands 0.5 m before the colour camera, along the link's x axis.
STANDING = transforms(
    (LINK, COLOR, (0.0, 0.0, 0.0), OPTICAL), (f"/{LINK}", DEPTH, (AHEAD_M, 0.0, 0.0), OPTICAL)
)


@pytest.fixture
def two_cameras(tmp_path: Path) -> Path:
    shots = [message for index in range(FRAMES) for message in images(index)]
    write_bag(tmp_path / "two", [STANDING, *shots])
    return tmp_path / "two"


def samples(bag: Path, **options: Any) -> list[Sample]:
    return [s for s in open_recording(bag, **options).samples() if isinstance(s, Sample)]


def test_depth_from_elsewhere_is_seen_from_the_colour_camera(two_cameras: Path) -> None:
    for sample in samples(two_cameras):
        reference = sample.frame.reference
        assert reference is not None
        assert not sample.notes
        assert reference.frame_id == COLOR
        # 2 m from the depth camera are 2.5 m from the colour camera, on four fifths of its picture.
        np.testing.assert_allclose(reference.depth_m[24, 32], WALL_M + AHEAD_M)
        known = np.isfinite(reference.depth_m)
        np.testing.assert_allclose(reference.depth_m[known], WALL_M + AHEAD_M)
        assert 0.8 * 64 - 1 <= known.any(axis=0).sum() <= 0.8 * 64 + 1
        assert 0.8 * 48 - 1 <= known.any(axis=1).sum() <= 0.8 * 48 + 1


def test_evaluation_learns_the_scale_from_depth_that_it_registered(
    two_cameras: Path, model: Path
) -> None:
    report = evaluate(open_recording(two_cameras), plain_pipeline(model)).report
    assert report["frames"]["evaluated"] == FRAMES
    assert report["depth"]["online_scale"]["abs_rel"] == pytest.approx(0.0, abs=1e-4)
    # The tiny model sees 2.6 for this grey.
    assert report["series"][-1]["scale"] == pytest.approx((WALL_M + AHEAD_M) / 2.6, rel=1e-4)
    assert "tf static /tf_static" in report["notes"][0]


def test_without_its_place_the_depth_is_left_out_with_the_nodes_own_words(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", images(0))
    (sample,) = samples(tmp_path / "bag")
    assert sample.frame.reference is None
    (note,) = sample.notes
    assert f"got frame '{DEPTH}' and no transform from it to '{COLOR}' on /tf_static" in note


def test_extrinsics_may_be_given_instead(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", images(0))
    pose = RegistrationConfig("parameters", translation_m=(0.0, 0.0, 1.0))
    (sample,) = samples(tmp_path / "bag", registration=pose)
    assert sample.frame.reference is not None
    assert np.nanmax(sample.frame.reference.depth_m) == pytest.approx(WALL_M + 1.0)


def test_transforms_told_at_the_end_of_a_bag_hold_from_its_start(tmp_path: Path) -> None:
    late = STANDING._replace(bag_time_ns=stamp_of(FRAMES))
    write_bag(tmp_path / "bag", [*images(0), *images(1), late])
    assert all(sample.frame.reference is not None for sample in samples(tmp_path / "bag"))


def test_frames_carry_the_cameras_pose_at_their_stamp(tmp_path: Path) -> None:
    # 1 m/s along x; poses 40 ms apart, none at the stamp of an image, the last 70 ms before one.
    first_ns = START_NS - 30_000_000
    poses = [odometry(first_ns + step * 40_000_000, 0.04 * step) for step in range(9)]
    shots = [message for index in range(4) for message in images(index)]
    messages = sorted([STANDING, *poses, *shots], key=lambda message: message.bag_time_ns)
    write_bag(tmp_path / "bag", messages)
    assert open_recording(tmp_path / "bag").topics["odometry"] == "/odom"
    found = [sample.frame.odom_T_camera for sample in samples(tmp_path / "bag")]
    for index, pose in enumerate(found):
        assert pose is not None
        np.testing.assert_allclose(pose[:3, 3], (0.03 + 0.1 * index, 0.0, 0.0), atol=1e-9)
        # The camera's z, ahead, is the link's x.
        np.testing.assert_allclose(pose[:3, 2], (1.0, 0.0, 0.0), atol=1e-12)


def test_odometry_that_tells_nothing_is_remarked_once(tmp_path: Path) -> None:
    poses = [odometry(stamp_of(index), 0.0, child="elsewhere") for index in range(3)]
    shots = [message for index in range(3) for message in images(index)]
    write_bag(tmp_path / "bag", [STANDING, *poses, *shots])
    recording = open_recording(tmp_path / "bag")
    assert all(frame.odom_T_camera is None for frame in recording.frames())
    told = [note for note in recording.notes if note.startswith("odometry: got the pose of")]
    assert len(told) == 1


def test_of_several_odometries_only_a_usual_or_a_wished_one_is_read(tmp_path: Path) -> None:
    others = [
        odometry(START_NS, 0.0)._replace(topic=name) for name in ("/wheel/odom", "/visual/odom")
    ]
    write_bag(tmp_path / "bag", [*others, *images(0)])
    assert open_recording(tmp_path / "bag").topics["odometry"] is None
    wished = open_recording(tmp_path / "bag", Topics(odometry="/visual/odom"))
    assert wished.topics["odometry"] == "/visual/odom"
    write_bag(tmp_path / "usual", [*others, odometry(START_NS, 0.0), *images(0)])
    assert open_recording(tmp_path / "usual").topics["odometry"] == "/odom"


def test_a_replay_keeps_transforms_and_odometry_for_who_plays_it(
    two_cameras: Path, model: Path, tmp_path: Path
) -> None:
    replay(open_recording(two_cameras), plain_pipeline(model), tmp_path / "out")
    again = samples(tmp_path / "out")
    for one, other in zip(samples(two_cameras), again, strict=True):
        assert one.frame.reference is not None
        assert other.frame.reference is not None
        np.testing.assert_array_equal(one.frame.reference.depth_m, other.frame.reference.depth_m)
    with Reader(tmp_path / "out") as reader:
        (found,) = [c for c in reader.connections if c.topic == "/tf_static"]
    (offered,) = found.ext.offered_qos_profiles
    assert offered.durability == QosDurability.TRANSIENT_LOCAL
