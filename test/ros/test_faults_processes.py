"""Processes that die: the camera's, the node's, a listener's; and two nodes of one name."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from ros_harness import (
    REPOSITORY,
    SECOND_NS,
    NodeProcess,
    change_state,
    grey,
    image_message,
    pixels,
    set_parameter,
)
from sensor_msgs.msg import Image
from steady_camera import Camera
from tiny_model import write_tiny_model

from gam_depth_ros import messages

GREY, METRES = 102, 5.2
FIXED = {"scale.source": "fixed", "scale.fixed_value": 2.0}
DEPTH = "/gam_depth/depth/image"
SIZE_HW = (480, 640)  # larger than the middleware's small segments: it goes through shared memory
DRIVER_IMAGE = "/camera/camera/color/image_raw"
DRIVER_PATH = {"PYTHONPATH": f"{REPOSITORY / 'test'}:{REPOSITORY / 'gam_depth_ros'}"}


@pytest.fixture
def driver(tmp_path):
    """Start the stand-in of a RealSense's driver in a process of its own, as often as wanted."""
    running = []

    def run():
        log = tmp_path / f"driver_{len(running)}.log"
        arguments = ("realsense",)
        process = NodeProcess(log, module="fake_drivers", arguments=arguments, env=DRIVER_PATH)
        running.append(process)
        return running[-1]

    yield run
    for process in running:
        process.process.kill()
        process.process.wait()


def accounts(report):
    """Return images in less those with a fate: what is under way."""
    names = ("published", "dropped", "failed")
    return int(report["frames in"]) - sum(int(report[f"frames {name}"]) for name in names)


def test_a_camera_that_is_killed_makes_the_node_stale_until_another_one_publishes(
    graph, start, driver
):
    node = start(
        parameters={**FIXED, "watchdog.stale_s": 1.0},
        remap={"image": DRIVER_IMAGE, "camera_info": "/camera/camera/color/camera_info"},
    )
    depths = graph.listen(Image, DEPTH)
    first = driver()
    graph.spin_until(lambda: len(depths) >= 3, "depth of the first camera", 40.0)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    silent = f"no message on {DRIVER_IMAGE}"  # and not "no message yet": there were images
    report = graph.diagnostics_after(lambda v: silent in v["message"], "stale", 40.0)
    assert report["level"] == "3"
    seen = len(depths)
    driver()
    graph.spin_until(lambda: len(depths) >= seen + 3, "depth of the second camera", 40.0)
    np.testing.assert_allclose(pixels(depths[-1]), METRES, rtol=1e-5)
    graph.received["/diagnostics"].clear()
    report = graph.diagnostics_after(lambda v: v["level"] in "01", "no longer stale", 40.0)
    assert 0 <= accounts(report) <= 2
    assert node.wait_for_line("images arrive again")
    assert not node.lines("Traceback")


def test_a_node_that_is_killed_is_followed_by_one_that_works_at_once(graph, start):
    depths = graph.listen(Image, DEPTH)
    for life in range(3):
        node = start(parameters=FIXED)
        graph.wait_for_publisher(DEPTH)
        seen = len(depths)
        # The probe still knows the one that was killed: what is sent at first may go to nobody.
        camera = graph.node.create_timer(
            0.05,
            lambda life=life: graph.send(
                "/image", image_message(grey(GREY, SIZE_HW), (1 + life) * SECOND_NS)
            ),
        )
        graph.spin_until(lambda seen=seen: len(depths) >= seen + 5, "depth in this life", 40.0)
        graph.node.destroy_timer(camera)
        assert pixels(depths[-1]).shape == SIZE_HW
        np.testing.assert_allclose(pixels(depths[-1]), METRES, rtol=1e-5)
        assert messages.stamp_ns(depths[-1].header) == (1 + life) * SECOND_NS
        assert not node.lines("Traceback")
        node.process.send_signal(signal.SIGKILL)  # in the midst of its work
        node.process.wait()


def test_two_nodes_of_one_name_say_so_and_work_until_one_is_gone(graph, start):
    nodes = [start(parameters=FIXED) for _ in range(2)]
    report = graph.diagnostics_after(lambda v: "are called" in v["message"], "the warning", 40.0)
    assert report["level"] == "1"
    assert "2 nodes are called /gam_depth" in report["message"]
    for node in nodes:
        line = node.wait_for_line("2 nodes are called /gam_depth")
        assert "[WARN]" in line
        assert "expected one" in line
    depths = graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    camera = Camera(graph)
    graph.spin_until(lambda: len(depths) >= 4, "depth", 40.0)
    np.testing.assert_allclose(pixels(depths[-1]), METRES, rtol=1e-5)
    assert nodes[1].stop() == 0
    seen = len(depths)
    graph.spin_until(lambda: len(depths) >= seen + 3, "depth of the one that is left", 40.0)
    assert camera.sent > 0
    graph.received["/diagnostics"].clear()
    graph.diagnostics_after(lambda v: "are called" not in v["message"], "the end", 40.0)
    assert len(nodes[0].lines("2 nodes are called")) == 1


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_a_listener_that_is_slow_or_dies_holds_up_nobody_else(graph, start, tmp_path, end):
    node = start(parameters=FIXED)
    arguments = ("--out", str(tmp_path / "bag"), "--topics", DEPTH)
    listener = start(active=False, module="gam_depth_ros.bag_recorder", arguments=arguments)
    listener.wait_for_line("recording all 1 topics")
    depths = graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)

    def send(second):
        graph.send("/image", image_message(grey(GREY, SIZE_HW), second * SECOND_NS))
        graph.spin_until(
            lambda: depths and messages.stamp_ns(depths[-1].header) == second * SECOND_NS,
            f"depth {second}",
            40.0,
        )

    send(1)
    try:
        listener.process.send_signal(signal.SIGSTOP if end == "stopped" else signal.SIGKILL)
        for second in range(2, 32):  # several times what queues and the shared segment hold
            send(second)
    finally:
        listener.process.send_signal(signal.SIGKILL)
        listener.process.wait()
    assert len(depths) == 31
    np.testing.assert_allclose(pixels(depths[-1]), METRES, rtol=1e-5)
    report = graph.diagnostics_after(lambda v: v["frames published"] == "31", "all of them")
    assert (report["frames in"], report["frames dropped"]) == ("31", "0")
    assert not node.lines("Traceback")


def test_a_model_file_replaced_on_disk_changes_nothing_until_it_is_loaded_again(
    graph, start, tmp_path
):
    path = write_tiny_model(tmp_path / "model.onnx")
    node = start(parameters={**FIXED, "model_path": str(path)})
    graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)

    def depth(second):
        graph.send("/image", image_message(grey(GREY), second * SECOND_NS))
        return pixels(graph.next(DEPTH))

    np.testing.assert_allclose(depth(1), METRES, rtol=1e-5)
    before = graph.diagnostics_after(lambda v: bool(v.get("model sha256")), "the model")
    path.write_bytes(path.read_bytes()[:200])  # half of a copy
    np.testing.assert_allclose(depth(2), METRES, rtol=1e-5)
    write_tiny_model(path, depth_offset=2.0)
    np.testing.assert_allclose(depth(3), METRES, rtol=1e-5)
    path.unlink()
    np.testing.assert_allclose(depth(4), METRES, rtol=1e-5)
    graph.received["/diagnostics"].clear()
    report = graph.diagnostics_after(lambda v: v["frames published"] == "4", "four frames")
    assert report["model sha256"] == before["model sha256"]
    assert report["level"] == "0"

    write_tiny_model(path, depth_offset=2.0)
    for transition in (
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
    ):
        assert change_state(graph, transition)
    graph.wait_for_publisher(DEPTH)
    graph.spin(0.3)
    np.testing.assert_allclose(depth(5), METRES + 2.0, rtol=1e-5)
    assert set_parameter(graph, "scale.fixed_value", 1.0).successful
    assert not node.lines("Traceback")
