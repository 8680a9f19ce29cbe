"""The whole node too slow for its camera: what it gives up, and takes back; and its log of that."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from open_model import open_sides
from ros_harness import (
    REPOSITORY,
    SECOND_NS,
    SIZE_HW,
    camera_info,
    grey,
    image_message,
    pixels,
    set_parameter,
)
from sensor_msgs.msg import Image, PointCloud2
from steady_camera import Camera
from tiny_model import write_tiny_model

FIXED = {"scale.source": "fixed", "scale.fixed_value": 2.0, "engine.threads": 1}
LADDER = {
    "ladder.enabled": True,
    "ladder.rungs": "[cloud_off, half_rate]",
    "ladder.max_drop_share": 0.6,  # slow, the node drops 84 %; a busy machine alone not as many
    "ladder.down_s": 0.5,
    "ladder.up_s": 0.5,
}
DEPTH, POINTS = "/gam_depth/depth/image", "/gam_depth/points"


def first_contact(graph):
    """Let the node know calibration and camera before the camera begins."""
    graph.send("/camera_info", camera_info())
    graph.send("/image", image_message(grey(102), SECOND_NS))


def test_too_slow_it_gives_up_the_cloud_then_half_the_rate_and_takes_both_back(
    graph, start, tmp_path
):
    path = os.pathsep.join(str(REPOSITORY / name) for name in ("test", "gam_depth_ros"))
    env = {"HANGING_NODE": str(tmp_path), "PYTHONPATH": path}
    node = start(parameters={**FIXED, **LADDER}, module="hanging_node", env=env)
    depths, clouds = graph.listen(Image, DEPTH), graph.listen(PointCloud2, POINTS)
    graph.wait_for_publisher(DEPTH)
    graph.wait_for_publisher(POINTS)
    first_contact(graph)
    Camera(graph)
    graph.spin_until(lambda: clouds, "a cloud")

    (tmp_path / "slow").touch()
    graph.diagnostics_after(lambda v: v["given up"] == "cloud_off", "the first rung", 20.0)
    graph.spin(0.3)  # the frame in hand
    seen = len(clouds), len(depths)
    said = graph.diagnostics_after(
        lambda v: v["given up"] == "cloud_off, half_rate", "the second rung", 20.0
    )
    assert said["level"] == "1"
    assert "degraded: no ~/points, every second image (" in said["message"]
    assert "of the images dropped, 60% allowed" in said["message"]
    assert len(clouds) == seen[0]
    assert len(depths) > seen[1]
    thinned = graph.diagnostics_after(
        lambda v: int(v["frames dropped: ladder"]) >= 10, "images left out by the ladder"
    )
    assert int(thinned["frames dropped: newer image"]) > 0

    (tmp_path / "slow").unlink()
    graph.diagnostics_after(lambda v: v["given up"] == "nothing", "nothing given up", 40.0)
    seen = len(clouds), len(depths)
    graph.spin_until(lambda: len(clouds) > seen[0], "clouds again")
    assert len(node.lines("degraded: ")) >= 2
    assert node.lines("nothing is given up now")


def set_temperature(zones, degrees_c):
    """Write what the kernel would; in one step, so that it is never read half."""
    zone = zones / "thermal_zone0"
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "type").write_text("cpu-thermal\n")
    (zone / "new").write_text(f"{degrees_c * 1000:.0f}\n")
    (zone / "new").replace(zone / "temp")


def test_too_hot_it_gives_up_half_the_rate_until_it_is_five_degrees_cooler(graph, start, tmp_path):
    zones = tmp_path / "zones"
    set_temperature(zones, 60)
    hot = {"ladder.rungs": "[half_rate]", "ladder.max_drop_share": 1.0}
    node = start(parameters={**FIXED, **LADDER, **hot, "ladder.thermal_zones": str(zones)})
    graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    temperature = "CPU temperature (°C)"
    said = graph.diagnostics_after(lambda v: v[temperature] == "60", "the temperature")
    assert (said["given up"], said["level"]) == ("nothing", "0")

    set_temperature(zones, 95.25)
    said = graph.diagnostics_after(lambda v: v["given up"] == "half_rate", "the rung")
    assert said["level"] == "1"
    assert "degraded: every second image (CPU at 95 of 90 °C)" in said["message"]
    for index in range(4):
        graph.send("/image", image_message(grey(102), (1 + index) * SECOND_NS))
        graph.spin(0.2)
    graph.diagnostics_after(lambda v: v["frames in"] == "4", "four images")
    said = graph.diagnostics_after(lambda v: v["frames dropped: ladder"] != "0", "those left out")
    assert said["frames dropped: ladder"] == "2"

    set_temperature(zones, 87)  # below its limit, and too near to it
    graph.diagnostics_after(lambda v: v[temperature] == "87", "a degree of cooling")
    graph.spin(2.5)
    assert not node.lines("nothing is given up now")
    set_temperature(zones, 80)
    graph.diagnostics_after(lambda v: v["given up"] == "nothing", "nothing given up")
    assert len(node.lines("degraded: every second image")) == 1

    assert set_parameter(graph, "ladder.thermal_zones", str(tmp_path / "none")).successful
    graph.diagnostics_after(lambda v: v[temperature] == "unknown", "another directory")


def test_a_rung_that_the_model_does_not_have_is_said(graph, start):
    parameters = {**FIXED, **LADDER, "ladder.rungs": "[smaller_input]"}
    node = start(parameters=parameters)
    line = "smaller_input does not exist here: the model's input is fixed at 48x64"
    assert node.wait_for_line(line)
    assert graph.diagnostics_after(lambda v: "given up" in v, "a report")["given up"] == "nothing"


def test_a_model_with_open_sides_runs_at_half_its_input_while_too_slow(graph, start, tmp_path):
    path = os.pathsep.join(str(REPOSITORY / name) for name in ("test", "gam_depth_ros"))
    model = open_sides(write_tiny_model(tmp_path / "open.onnx", SIZE_HW))
    parameters = {**FIXED, **LADDER, "ladder.rungs": "[smaller_input]", "model_path": str(model)}
    env = {"HANGING_NODE": str(tmp_path), "PYTHONPATH": path}
    node = start(parameters=parameters, module="hanging_node", env=env)
    depths = graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    (tmp_path / "slow").touch()
    first_contact(graph)
    Camera(graph)
    graph.diagnostics_after(lambda v: v["given up"] == "smaller_input", "the rung", 20.0)
    node.wait_for_line("input: 24x32")
    seen = len(depths)
    graph.spin_until(lambda: len(depths) > seen + 3, "depth from the smaller input")
    assert pixels(depths[-1]).shape == SIZE_HW
    np.testing.assert_allclose(pixels(depths[-1]), 5.2, rtol=1e-5)


def test_the_ladder_is_off_until_it_is_asked_for_and_refuses_rungs_it_does_not_know(graph, start):
    start(parameters=FIXED)
    said = graph.diagnostics_after(lambda v: "given up" in v, "a report")
    assert said["given up"] == "nothing"
    assert set_parameter(graph, "ladder.enabled", True).successful
    refused = set_parameter(graph, "ladder.rungs", ["cloud_of"])
    assert not refused.successful


def test_the_performance_log_has_a_line_a_second(graph, start, tmp_path):
    path = tmp_path / "performance.jsonl"
    node = start(parameters={**FIXED, "performance_log.path": str(path)})
    graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    first_contact(graph)
    Camera(graph)
    started_s = time.monotonic()
    graph.spin(3.5)
    node.stop()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert 3 <= len(lines) <= time.monotonic() - started_s + 5
    busy = lines[-2]
    assert busy["format"] == "gam_depth performance 1"
    assert busy["model"] == "tiny"
    assert busy["level"] == "OK"
    assert busy["scale"]["state"] == "LOCKED"
    assert busy["scale"]["value"] == 2.0
    assert 0.0 < busy["rate_hz"]["out"] <= 30.0
    p50_ms, p99_ms, most_ms = busy["stage_ms"]["engine"]
    assert 0.0 < p50_ms <= p99_ms <= most_ms
    assert busy["frames"]["in"] >= busy["frames"]["published"] > 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_costs_the_log_and_never_a_frame(graph, start):
    node = start(parameters={**FIXED, "performance_log.path": "/dev/full"})
    depths = graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    first_contact(graph)
    graph.spin_until(lambda: depths, "depth")
    said = graph.diagnostics_after(lambda v: v["level"] == "1", "a warning")
    assert "No space left on device" in said["message"]
    for index in range(20):
        graph.send("/image", image_message(grey(102), (2 + index) * SECOND_NS))
        graph.spin_until(lambda wanted=index + 2: len(depths) == wanted, "every frame's depth")
    graph.spin(1.5)
    assert len(node.lines("No space left on device")) == 1
