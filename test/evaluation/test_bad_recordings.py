"""Whatever is wrong with a recording costs one clear line, and at most what is broken."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from recording_maker import make_sequence, write_ros1
from rosbags.rosbag2 import StoragePlugin, Writer

from gam_depth_ros.evaluation.bag import (
    BagError,
    FrameFailure,
    OutMessage,
    Sample,
    Topics,
    open_recording,
    sequence_to_bag,
    write_bag,
)
from gam_depth_ros.evaluation.bag_writer import serialise
from gam_depth_ros.evaluation.image_messages import (
    image_message,
)
from gam_depth_ros.evaluation.ros_types import make_header, message_class, ros2_types

IMAGE_TOPIC = "/camera/color/image_raw"
DEPTH_TOPIC = "/camera/depth/image_raw"


def images_of(bag: Path) -> int:
    return len(list(open_recording(bag).frames()))


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def long_sequence(path: Path) -> Path:
    """Return a sequence long enough to lose a part of it."""
    return make_sequence(path, frames=15)


def messages_with(
    sequence: Path, change: Callable[[int, OutMessage], OutMessage | None]
) -> list[OutMessage]:
    """Return a sequence's messages with its colour images changed."""
    result, index = [], 0
    for message in open_recording(sequence).input_messages():
        changed: OutMessage | None = message
        if message.topic == IMAGE_TOPIC:
            changed = change(index, message)
            index += 1
        if changed is not None:
            result.append(changed)
    return result


@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
@pytest.mark.parametrize("metadata", [True, False])
def test_truncated_mcap_gives_what_comes_before_the_break(
    tmp_path: Path, share: float, metadata: bool
) -> None:
    sequence_to_bag(long_sequence(tmp_path / "s"), tmp_path / "bag")
    cut(tmp_path / "bag" / "bag.mcap", share)
    if not metadata:
        (tmp_path / "bag" / "metadata.yaml").unlink()
    recording = open_recording(tmp_path / "bag")
    frames = list(recording.frames())
    assert 15 * share - 3 <= len(frames) <= 15
    assert any("truncated" in note and "got" in note for note in recording.notes)


def test_truncated_sqlite3_gives_what_comes_before_the_break(tmp_path: Path) -> None:
    sequence_to_bag(long_sequence(tmp_path / "s"), tmp_path / "bag", "sqlite3")
    cut(tmp_path / "bag" / "bag.db3", 0.6)
    recording = open_recording(tmp_path / "bag")
    assert 5 <= len(list(recording.frames())) < 15
    assert any("truncated" in note for note in recording.notes)


def test_damaged_row_of_sqlite3_is_left_out_with_a_note(sequence: Path, tmp_path: Path) -> None:
    sequence_to_bag(sequence, tmp_path / "bag", "sqlite3")
    with contextlib.closing(sqlite3.connect(tmp_path / "bag" / "bag.db3")) as database:
        database.execute("UPDATE messages SET timestamp = x'00ff' WHERE id = 8")
        database.commit()
    recording = open_recording(tmp_path / "bag")
    assert len(list(recording.frames())) >= 5
    assert any("receive time that is no number" in note for note in recording.notes)


def test_truncated_rosbag1_gives_what_comes_before_the_break(tmp_path: Path) -> None:
    write_ros1(long_sequence(tmp_path / "s"), tmp_path / "old.bag")
    cut(tmp_path / "old.bag", 0.6)
    recording = open_recording(tmp_path / "old.bag")
    assert 5 <= len(list(recording.frames())) < 15
    assert any("truncated" in note for note in recording.notes)


def test_bag_that_ends_before_its_first_message_is_refused_with_a_remedy(tmp_path: Path) -> None:
    sequence_to_bag(make_sequence(tmp_path / "s", frames=2), tmp_path / "bag")
    path = tmp_path / "bag" / "bag.mcap"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BagError, match=r"got a damaged bag .* expected a recording; record"):
        open_recording(tmp_path / "bag")


@pytest.mark.parametrize("name", ["missing", "empty_folder", "text.txt", "garbage.bag"])
def test_what_is_no_recording_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "empty_folder":
        path.mkdir()
    elif name != "missing":
        path.write_text("not a bag")
    with pytest.raises(BagError, match=r"got .* expected") as caught:
        open_recording(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_bag_without_a_colour_image_lists_what_it_has(sequence: Path, tmp_path: Path) -> None:
    messages = [m for m in open_recording(sequence).input_messages() if "depth" in m.topic]
    write_bag(tmp_path / "bag", messages)
    with pytest.raises(BagError, match=r"got the topics /camera/depth.*expected a colour image"):
        open_recording(tmp_path / "bag")


def test_wished_topic_that_is_absent_or_of_another_type_is_refused(
    sequence: Path, tmp_path: Path
) -> None:
    sequence_to_bag(sequence, tmp_path / "bag")
    with pytest.raises(BagError, match=r"got no topic /nowhere, expected it for the image"):
        open_recording(tmp_path / "bag", Topics(image="/nowhere"))
    with pytest.raises(BagError, match=r"of type sensor_msgs/msg/CameraInfo, expected sensor_msgs"):
        open_recording(tmp_path / "bag", Topics(image="/camera/color/camera_info"))


def test_unknown_type_is_refused_where_it_is_asked_for_and_ignored_elsewhere(
    sequence: Path, tmp_path: Path
) -> None:
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        odd = writer.add_connection(
            "/odd", "their_msgs/msg/Odd", msgdef="int32 x", rihs01="RIHS01_0"
        )
        writer.write(odd, 1, b"\x00\x01\x00\x00\x07\x00\x00\x00")
        connections = {}
        for message in open_recording(sequence).input_messages():
            if message.topic not in connections:
                connections[message.topic] = writer.add_connection(
                    message.topic, message.msgtype, typestore=ros2_types()
                )
            writer.write(connections[message.topic], message.bag_time_ns, message.data)
    assert images_of(tmp_path / "bag") == 6
    with pytest.raises(BagError, match="got /odd of type their_msgs/msg/Odd, expected"):
        open_recording(tmp_path / "bag", Topics(image="/odd"))


def test_corrupt_message_costs_its_frame_alone(sequence: Path, tmp_path: Path) -> None:
    messages = messages_with(sequence, lambda i, m: m._replace(data=m.data[:40]) if i == 2 else m)
    write_bag(tmp_path / "bag", messages)
    recording = open_recording(tmp_path / "bag")
    events = list(recording.samples())
    failures = [event for event in events if isinstance(event, FrameFailure)]
    assert len(events) == 6
    assert len(failures) == recording.stats.failed == 1
    assert "got 40 bytes" in failures[0].reason


@pytest.mark.parametrize("kind", ["encoding", "short", "zero", "jpeg"])
def test_unreadable_picture_costs_its_frame_alone(
    sequence: Path, tmp_path: Path, kind: str
) -> None:
    def spoil(index: int, message: OutMessage) -> OutMessage:
        if index != 3:
            return message
        stamp = message.bag_time_ns
        pixels = np.zeros((48, 64, 3), np.uint8)
        image = image_message(pixels, "rgb8", stamp, "camera")
        if kind == "encoding":
            image = image_message(pixels, "nv99", stamp, "camera")
        elif kind == "short":
            image.data = image.data[:100]
        elif kind == "zero":
            image.height = 0
        return serialise(IMAGE_TOPIC, stamp, image)

    as_jpeg = kind == "jpeg"
    messages = compressed(sequence, broken=3) if as_jpeg else messages_with(sequence, spoil)
    write_bag(tmp_path / "bag", messages)
    events = list(open_recording(tmp_path / "bag").samples())
    assert [isinstance(event, FrameFailure) for event in events] == [i == 3 for i in range(6)]
    assert "expected" in events[3].reason


def compressed(sequence: Path, broken: int) -> list[OutMessage]:
    """Return the sequence with JPEG pictures, one of them corrupt."""
    kind = message_class("sensor_msgs/msg/CompressedImage")
    result, index = [], 0
    for message in open_recording(sequence).input_messages():
        if message.topic != IMAGE_TOPIC:
            result.append(message)
            continue
        rgb = np.full((48, 64, 3), 90, np.uint8)
        data = cv2.imencode(".jpg", rgb)[1].reshape(-1)
        if index == broken:
            data = data[:50]
        stamp = message.bag_time_ns
        picture = kind(header=make_header(stamp, "camera"), format="jpeg", data=data)
        result.append(serialise("/camera/color/image_raw/compressed", stamp, picture))
        index += 1
    return result


def test_broken_reference_costs_the_reference_and_not_the_frame(
    sequence: Path, tmp_path: Path
) -> None:
    messages = [
        m._replace(data=m.data[:-500]) if m.topic == DEPTH_TOPIC else m
        for m in open_recording(sequence).input_messages()
    ]
    write_bag(tmp_path / "bag", messages)
    recording = open_recording(tmp_path / "bag", Topics(reference_depth=DEPTH_TOPIC))
    samples = list(recording.samples())
    assert len(samples) == 6
    assert all(isinstance(s, Sample) and s.frame.reference is None for s in samples)
    assert any(DEPTH_TOPIC in note and "expected" in note for note in recording.notes)


def test_camera_info_of_zeros_costs_a_note(sequence: Path, tmp_path: Path) -> None:
    kind = message_class("sensor_msgs/msg/CameraInfo")
    roi = message_class("sensor_msgs/msg/RegionOfInterest")(0, 0, 0, 0, False)
    messages = []
    for m in open_recording(sequence).input_messages():
        if m.topic == "/camera/color/camera_info":
            info = kind(
                make_header(m.bag_time_ns, "camera"), 0, 0, "", np.zeros(0),
                np.zeros(9), np.zeros(9), np.zeros(12), 0, 0, roi,
            )  # fmt: skip
            messages.append(serialise(m.topic, m.bag_time_ns, info))
        else:
            messages.append(m)
    write_bag(tmp_path / "bag", messages)
    samples = list(open_recording(tmp_path / "bag").samples())
    assert all(isinstance(s, Sample) and s.frame.intrinsics is None and s.notes for s in samples)


def test_bag_of_several_files_is_read_through(sequence: Path, tmp_path: Path) -> None:
    sequence_to_bag(sequence, tmp_path / "one")
    late = make_sequence(tmp_path / "late_sequence", frames=2)
    table = (late / "frames.csv").read_text().replace("1000.", "1100.")
    (late / "frames.csv").write_text(table)
    sequence_to_bag(late, tmp_path / "two")
    split = tmp_path / "split"
    split.mkdir()
    shutil.copy(tmp_path / "one" / "one.mcap", split / "split_0.mcap")
    shutil.copy(tmp_path / "two" / "two.mcap", split / "split_1.mcap")
    assert images_of(split) == 8
