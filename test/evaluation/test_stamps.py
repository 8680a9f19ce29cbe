"""Stamps that are unset, old, or of another clock cost what they must, and are said."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gam_depth_ros.evaluation.bag import OutMessage, open_recording, write_bag
from gam_depth_ros.evaluation.bag_writer import serialise
from gam_depth_ros.evaluation.image_messages import (
    camera_info_message,
    depth_message,
    image_message,
)

IMAGE_TOPIC = "/camera/color/image_raw"


def test_zero_stamps_take_the_receive_time_and_say_so_once(sequence: Path, tmp_path: Path) -> None:
    def unstamp(message: OutMessage) -> OutMessage:
        if message.topic != IMAGE_TOPIC:
            return message
        image = image_message(np.zeros((48, 64, 3), np.uint8), "rgb8", 0, "camera")
        return serialise(IMAGE_TOPIC, message.bag_time_ns, image)

    write_bag(tmp_path / "bag", [unstamp(m) for m in open_recording(sequence).input_messages()])
    recording = open_recording(tmp_path / "bag")
    frames = list(recording.frames())
    assert [f.stamp_ns for f in frames] == [f.stamp_ns for f in open_recording(sequence).frames()]
    assert sum("stamps of zero" in note for note in recording.notes) == 1


def test_reference_on_another_clock_is_said_to_pair_with_no_image(tmp_path: Path) -> None:
    messages = []
    for index in range(3):
        at_ns = 10**12 + index * 10**8
        depth = depth_message(np.full((8, 10), 2.0, np.float32), "16UC1", at_ns // 7, "camera")
        image = image_message(np.zeros((8, 10, 3), np.uint8), "rgb8", at_ns, "camera")
        messages += [serialise("/depth", at_ns, depth), serialise("/rgb", at_ns, image)]
    write_bag(tmp_path / "bag", messages)
    recording = open_recording(tmp_path / "bag")
    assert all(frame.reference is None for frame in recording.frames())
    assert sum("got 3 images, none stamped within 0.02 s" in n for n in recording.notes) == 1


def test_calibration_stamped_long_ago_costs_no_reference(sequence: Path, tmp_path: Path) -> None:
    folder = open_recording(sequence)
    first = next(iter(folder.frames()))
    assert first.intrinsics is not None
    messages = []
    for m in folder.input_messages():
        if m.topic == "/camera/color/camera_info":
            info = camera_info_message(first.intrinsics, 5_000_000_000, first.frame_id)
            # After the depth and before the image.
            messages.append(serialise(m.topic, m.bag_time_ns, info))
        else:
            messages.append(m)
    messages.sort(key=lambda m: (m.bag_time_ns, m.topic == IMAGE_TOPIC, "info" in m.topic))
    write_bag(tmp_path / "bag", messages)
    frames = list(open_recording(tmp_path / "bag").frames())
    assert [f.reference is None for f in frames] == [f.reference is None for f in folder.frames()]
