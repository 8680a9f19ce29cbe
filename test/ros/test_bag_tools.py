"""Player and recorder as processes: what is played is what is recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ros_harness import RELIABLE, SECOND_NS, camera_info, pixels
from sensor_msgs.msg import Image

from gam_depth_ros import messages
from gam_depth_ros.evaluation.bag_writer import serialise, write_bag
from gam_depth_ros.evaluation.ros_types import make_header, message_class
from gam_depth_ros.evaluation.rosbag_reader import open_bag

FRAMES = 8


def write_frames(path: Path) -> None:
    """Write grey images of value 10, 11, ... a tenth of a second apart."""

    def image(index: int):
        stamp_ns = (1 + index) * SECOND_NS // 10
        data = np.full(4 * 6, 10 + index, np.uint8)
        message = message_class("sensor_msgs/msg/Image")(
            make_header(stamp_ns, "camera"), 4, 6, "mono8", 0, 6, data
        )
        return serialise("/gray", stamp_ns, message)

    write_bag(path, [image(index) for index in range(FRAMES)])


def test_played_bytes_arrive_as_recorded_and_can_be_recorded_again(graph, start, tmp_path):
    write_frames(tmp_path / "in")
    inbox = graph.listen(Image, "/renamed", RELIABLE)
    recorder = start(
        active=False,
        module="gam_depth_ros.bag_recorder",
        arguments=("--out", str(tmp_path / "out"), "--topics", "/renamed", "--idle", "1.5"),
    )
    arguments = ("--bag", str(tmp_path / "in"), "--remap", "/gray:=/renamed", "--subscribers", "2")
    player = start(active=False, module="gam_depth_ros.bag_player", arguments=arguments)
    graph.spin_until(lambda: len(inbox) == FRAMES, "every image", 20)
    assert player.process.wait(10) == 0
    assert player.wait_for_line("done: 8 messages played")
    assert recorder.process.wait(15) == 0

    assert [int(pixels(image)[0, 0]) for image in inbox] == list(range(10, 10 + FRAMES))
    assert messages.stamp_ns(inbox[0].header) == SECOND_NS // 10
    again, first = open_bag(tmp_path / "out"), open_bag(tmp_path / "in")
    recorded = list(again.messages({"/renamed"}))
    assert [raw.data for raw in recorded] == [raw.data for raw in first.messages({"/gray"})]
    # Paced by the recording: seven tenths of a second from the first to the last.
    span_s = (recorded[-1].bag_time_ns - recorded[0].bag_time_ns) / SECOND_NS
    assert 0.6 < span_s < 1.5


def test_the_player_says_in_one_line_that_nobody_listens(start, tmp_path):
    write_frames(tmp_path / "in")
    arguments = ("--bag", str(tmp_path / "in"), "--timeout", "0.5")
    player = start(active=False, module="gam_depth_ros.bag_player", arguments=arguments)
    assert player.process.wait(20) == 1
    assert "expected 1; start the node" in player.wait_for_line("subscribers:")
    assert not player.lines("Traceback")


def test_the_player_refuses_what_is_no_recording_with_one_line(start, tmp_path):
    arguments = ("--bag", str(tmp_path / "none"))
    player = start(active=False, module="gam_depth_ros.bag_player", arguments=arguments)
    assert player.process.wait(20) == 1
    assert "expected" in player.wait_for_line("none: got no such file")
    assert not player.lines("Traceback")


def test_the_recorder_keeps_what_it_has_at_sigint(graph, start, tmp_path):
    recorder = start(
        active=False,
        module="gam_depth_ros.bag_recorder",
        arguments=("--out", str(tmp_path / "out"), "--topics", "/camera_info", "/absent"),
    )
    graph.send("/camera_info", camera_info())
    graph.send("/camera_info", camera_info())
    graph.spin(0.5)
    assert recorder.stop() == 0
    assert recorder.wait_for_line("never appeared: /absent")
    recorded = list(open_bag(tmp_path / "out").messages({"/camera_info"}))
    assert len(recorded) == 2
