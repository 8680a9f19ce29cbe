"""bag.launch.py under the real launch: played, recorded, scored, and over."""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

PLAYED = {
    "image": "/camera/camera/color/image_raw",
    "camera_info": "/camera/camera/color/camera_info",
    "reference_depth": "/camera/camera/aligned_depth_to_color/image_raw",
    "reference_camera_info": "/camera/camera/aligned_depth_to_color/camera_info",
}


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Thirty instants of a RealSense before a wall, over three seconds."""
    import fake_drivers
    from fake_drivers import Lens
    from rclpy.serialization import serialize_message

    from gam_depth_ros.evaluation.bag_writer import BagWriter, OutMessage

    small = Lens((48, 64), 50.0, (31.5, 23.5))
    driver = replace(fake_drivers.realsense(), color=small, depth_lens=small)
    path = tmp_path / "recording"
    with BagWriter(path) as writer:
        for instant in range(30):
            at_ns = 1_700_000_000_000_000_000 + instant * 100_000_000
            for topic, message in driver.frame(at_ns, 102).items():
                kind = f"sensor_msgs/msg/{type(message).__name__}"
                writer.write(OutMessage(topic, kind, at_ns, serialize_message(message)))
    return path


def run(launch, bag, plain, tmp_path, **options):
    from ros_harness import SIZE_HW
    from tiny_model import write_tiny_model

    model = write_tiny_model(tmp_path / "tiny.onnx", SIZE_HW)
    out = tmp_path / "scored"
    log = launch(
        "bag.launch.py",
        bag=bag,
        out=out,
        camera="realsense",
        model_path=model,
        params_file=plain,
        **options,
    )
    assert launch.processes[-1].wait(90) == 0, log.read_text()
    return log.read_text(), json.loads((out / "report.json").read_text())


def test_own_player_plays_a_bag_in_its_own_time_and_its_outputs_are_scored(
    launch, bag, plain, tmp_path
):
    log, report = run(launch, bag, plain, tmp_path, player="gam_depth", rate="3.0")
    frames = report["frames"]  # a slow machine drops some; none may go without an account
    assert (frames["in"], frames["evaluated"] + frames["dropped"]) == (30, 30), log
    assert frames["evaluated"] > 2
    assert report["depth"]["online_scale"]["abs_rel"] < 0.001


def test_rosbag2s_player_is_told_bag_clock_rate_and_topics(
    launch, bag, plain, tmp_path, monkeypatch
):
    """A stand-in for the ros2 command writes down what it was told and plays with our player."""
    said, folder = tmp_path / "said.json", tmp_path / "bin"
    folder.mkdir()
    command = folder / "ros2"
    command.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        f"open({str(said)!r}, 'w').write(json.dumps(sys.argv[1:]))\n"
        "topics = sys.argv[sys.argv.index('--topics') + 1:]\n"
        f"os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'gam_depth_ros.bag_player',\n"
        "    '--bag', sys.argv[3], '--clock', '--rate', '3.0', '--topics', *topics,\n"
        "    '--subscribers', '2', '--wait-on', '/gam_depth/depth/image'])\n"
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    _, report = run(launch, bag, plain, tmp_path, rate="3.0")
    words = json.loads(said.read_text())
    assert words[:3] == ["bag", "play", str(bag)]
    assert "--clock" in words
    assert words[words.index("--rate") + 1] == "3.0"
    assert set(words[words.index("--topics") + 1 :]) == {
        *PLAYED.values(),
        "/odometry",
        "/tf_static",
    }
    assert report["depth"]["online_scale"]["abs_rel"] < 0.001
