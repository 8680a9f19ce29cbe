"""Topics are found by type, encoding and name, and said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gam_depth_ros.evaluation.bag import open_recording, write_bag
from gam_depth_ros.evaluation.bag_writer import OutMessage, serialise
from gam_depth_ros.evaluation.image_messages import depth_message, image_message

STAMP = 10**9
RGB = np.full((8, 10, 3), 100, np.uint8)
DEPTH = np.full((8, 10), 2.0, np.float32)


def color(topic: str, encoding: str = "rgb8", frame_id: str = "camera") -> OutMessage:
    pixels = RGB[..., 0] if encoding.startswith("mono") else RGB
    return serialise(topic, STAMP, image_message(pixels, encoding, STAMP, frame_id))


def depth(topic: str, encoding: str = "16UC1", frame_id: str = "camera") -> OutMessage:
    return serialise(topic, STAMP, depth_message(DEPTH, encoding, STAMP, frame_id))


@pytest.mark.parametrize(
    ("image", "reference", "others"),
    [
        (
            "/camera/camera/color/image_raw",
            "/camera/camera/aligned_depth_to_color/image_raw",
            [
                depth("/camera/camera/depth/image_rect_raw"),
                color("/camera/camera/infra1/image_rect_raw", "mono8"),
            ],
        ),
        ("/rgb/image_raw", "/depth_to_rgb/image_raw", [depth("/depth/image_raw")]),
        ("/kinect2/qhd/image_color_rect", "/kinect2/qhd/image_depth_rect", []),
        (
            "/camera/color/image_raw",
            "/camera/depth/image_raw",
            [color("/gam_depth/semantics/color")],
        ),
    ],
)
def test_driver_topics_are_recognised(
    tmp_path: Path, image: str, reference: str, others: list[OutMessage]
) -> None:
    write_bag(tmp_path / "bag", [*others, depth(reference), color(image)])
    recording = open_recording(tmp_path / "bag")
    assert recording.topics["image"] == image
    assert recording.topics["reference_depth"] == reference
    assert image in recording.notes[0]
    frame = next(iter(recording.frames()))
    assert frame.reference is not None
    np.testing.assert_array_equal(frame.reference.depth_m, DEPTH)


@pytest.mark.parametrize(
    ("image", "reference", "other_camera"),
    [
        # The other camera has no depth.
        ("/rear_cam/color/image_raw", "/rear_cam/depth/image_raw", ["/front/color/image_raw"]),
        # The other camera's depth has the shorter, or the better, name.
        ("/front/color/image_raw", "/front/depth/rect", ["/rear/image", "/rear/depth"]),
        (
            "/left/color/image_raw",
            "/left/depth/image_raw",
            ["/right/color/image_raw", "/right/aligned_depth_to_color/image_raw"],
        ),
    ],
)
def test_image_and_depth_are_of_one_camera_and_the_others_are_named(
    tmp_path: Path, image: str, reference: str, other_camera: list[str]
) -> None:
    messages = [color(image, frame_id="a"), depth(reference, frame_id="a")]
    for name in other_camera:
        make = depth if "depth" in name else color
        messages.append(make(name, frame_id="b"))
    write_bag(tmp_path / "bag", messages)
    recording = open_recording(tmp_path / "bag")
    assert recording.topics["image"] == image
    assert recording.topics["reference_depth"] == reference
    assert f"not read: {', '.join(sorted(other_camera))}" in recording.notes[0]


def test_without_frames_the_names_tell_which_depth_is_the_images(tmp_path: Path) -> None:
    names = ("/left/depth/image_raw", "/right/aligned_depth_to_color/image_raw")
    messages = [color("/left/color/image_raw", frame_id="")]
    write_bag(tmp_path / "bag", [*messages, *(depth(name, frame_id="") for name in names)])
    assert open_recording(tmp_path / "bag").topics["reference_depth"] == names[0]


def test_infrared_of_sixteen_bits_is_not_taken_for_depth(tmp_path: Path) -> None:
    infrared = [depth("/ir/image_raw"), depth("/confidence/image")]
    write_bag(tmp_path / "bag", [*infrared, color("/rgb/image_raw")])
    assert open_recording(tmp_path / "bag").topics["reference_depth"] is None
    write_bag(tmp_path / "with", [*infrared, color("/rgb/image_raw"), depth("/tof_of_unit/image")])
    assert open_recording(tmp_path / "with").topics["reference_depth"] == "/tof_of_unit/image"


def test_a_colour_overlay_is_not_taken_for_true_labels(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", [color("/seg/labels/overlay"), color("/rgb/image_raw")])
    assert open_recording(tmp_path / "bag").topics["labels"] is None


def test_outputs_of_the_node_are_never_taken_for_its_inputs(tmp_path: Path) -> None:
    messages = [color("/camera/color/image_raw"), depth("/gam_depth/depth/image", "32FC1")]
    write_bag(tmp_path / "bag", messages)
    assert open_recording(tmp_path / "bag").topics["reference_depth"] is None


def test_float_depth_in_metres_is_read_as_such(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", [color("/rgb/image"), depth("/depth/image", "32FC1")])
    frame = next(iter(open_recording(tmp_path / "bag").frames()))
    assert frame.reference is not None
    np.testing.assert_array_equal(frame.reference.depth_m, DEPTH)
