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


def color(topic: str, encoding: str = "rgb8") -> OutMessage:
    pixels = RGB[..., 0] if encoding.startswith("mono") else RGB
    return serialise(topic, STAMP, image_message(pixels, encoding, STAMP, "camera"))


def depth(topic: str, encoding: str = "16UC1") -> OutMessage:
    return serialise(topic, STAMP, depth_message(DEPTH, encoding, STAMP, "camera"))


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


def test_outputs_of_the_node_are_never_taken_for_its_inputs(tmp_path: Path) -> None:
    messages = [color("/camera/color/image_raw"), depth("/gam_depth/depth/image", "32FC1")]
    write_bag(tmp_path / "bag", messages)
    assert open_recording(tmp_path / "bag").topics["reference_depth"] is None


def test_float_depth_in_metres_is_read_as_such(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", [color("/rgb/image"), depth("/depth/image", "32FC1")])
    frame = next(iter(open_recording(tmp_path / "bag").frames()))
    assert frame.reference is not None
    np.testing.assert_array_equal(frame.reference.depth_m, DEPTH)
