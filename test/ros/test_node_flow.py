"""Under load and without listeners: newest frame wins, accounts add up, nothing runs for nobody."""

from __future__ import annotations

import time

import numpy as np
import pytest
from ros_harness import (
    SECOND_NS,
    diagnostic_values,
    flat_depth,
    grey,
    image_message,
    pixels,
)
from sensor_msgs.msg import Image
from tiny_model import write_tiny_model

from gam_depth_ros import messages

GREY, METRES = 102, 5.2
FIXED = {"scale.source": "fixed", "scale.fixed_value": 2.0}
# Nothing may be lost on the way, even on a machine that stalls: then the accounts are exact.
RELIABLE_INPUT = {
    "qos_overrides./image.subscription.reliability": "reliable",
    "qos_overrides./image.subscription.depth": 100,
}


def test_without_a_subscriber_no_stage_runs_and_frames_count_as_idle(graph, start):
    start(parameters=FIXED)
    for count in range(3):
        graph.send("/image", image_message(grey(GREY), (1 + count) * SECOND_NS))
    report = graph.diagnostics_after(
        lambda v: v.get("frames idle (no subscriber)") == "3", "idle frames"
    )
    assert report["frames in"] == report["frames published"] == "0"
    assert not [key for key in report if key.startswith("engine p50")]


def test_thirty_hertz_into_a_slow_engine_drops_the_stale_and_adds_up(graph, start, tmp_path):
    slow = write_tiny_model(tmp_path / "slow.onnx", (2400, 3200))
    start(parameters={**FIXED, **RELIABLE_INPUT, "model_path": str(slow), "engine.threads": 1})
    depths = graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")
    sent = [1 + index for index in range(60)]
    for index in sent:
        graph.send("/image", image_message(grey(GREY), index * SECOND_NS // 30))
        graph.spin(1 / 30)

    def settled(values: dict[str, str]) -> bool:
        done = sum(int(values[f"frames {name}"]) for name in ("published", "dropped", "failed"))
        return values.get("frames in") == str(len(sent)) and done == len(sent)

    report = graph.diagnostics_after(settled, "every frame published or dropped")
    assert report["frames failed"] == "0"
    assert int(report["frames dropped"]) > 0
    assert len(depths) == int(report["frames published"])
    stamps = [messages.stamp_ns(depth.header) for depth in depths]
    assert stamps == sorted(set(stamps))
    # The last frame is never the one that is dropped.
    assert stamps[-1] == sent[-1] * SECOND_NS // 30
    np.testing.assert_allclose(pixels(depths[-1]), METRES, rtol=1e-5)


def test_an_image_waits_for_its_reference_only_while_references_arrive(graph, start):
    start(parameters={"pairing_wait_s": 1.0, "scale.acquire_count": 1})
    graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")

    def seconds_for(stamp_ns, *, late_reference=False):
        started_s = time.monotonic()
        graph.send("/image", image_message(grey(GREY), stamp_ns))
        if late_reference:
            graph.spin(0.1)
            graph.send("/reference_depth", flat_depth(1300, stamp_ns))
        depth = graph.next("/gam_depth/depth/image")
        assert messages.stamp_ns(depth.header) == stamp_ns
        return time.monotonic() - started_s, pixels(depth)

    seconds_for(SECOND_NS)  # the first one also waits for discovery
    assert seconds_for(SECOND_NS + 1)[0] < 0.8
    graph.send("/reference_depth", flat_depth(1300, 2 * SECOND_NS))
    graph.spin(0.1)
    seconds_for(2 * SECOND_NS)
    # The one 0.1 s late comes unexpected; then an image waits that long for its own, and no second.
    waited_s, depth = seconds_for(2 * SECOND_NS + 100_000_000, late_reference=True)
    assert waited_s > 0.09
    np.testing.assert_allclose(depth, 1.3, rtol=1e-4)
    waited_s, depth = seconds_for(2 * SECOND_NS + 200_000_000)
    assert 0.1 < waited_s < 0.8
    np.testing.assert_allclose(depth, 1.3, rtol=1e-4)


@pytest.mark.parametrize(("profile", "warns"), [(None, True), ("given", False)])
def test_large_best_effort_images_without_a_profile_raise_a_warning(
    graph, start, monkeypatch, profile, warns
):
    # The warning reads the environment; a profile by Fast DDS's other file keeps loopback only.
    env = {} if profile else {
        "FASTDDS_DEFAULT_PROFILES_FILE": None,
        "FASTRTPS_DEFAULT_PROFILES_FILE": None,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }  # fmt: skip
    node = start(parameters=FIXED, env=env)
    values = {}

    def look() -> bool:
        for array in graph.received["/diagnostics"]:
            values.update(diagnostic_values(array))
        return bool(values)

    info = messages.CameraInfo(width=640, height=480)
    graph.send("/camera_info", info)
    graph.spin(1.3)
    graph.received["/diagnostics"].clear()
    values.clear()
    graph.spin_until(look, "diagnostics")
    assert (values["level"] == "1") is warns
    assert ("fastdds_large_images.xml" in values["message"]) is warns
    assert bool(node.lines("likely lost")) is warns


def test_reports_every_second_what_it_runs_on(graph, start):
    start()
    report = graph.diagnostics_after(lambda v: "provider" in v, "a report")
    assert report["model"] == "tiny"
    assert report["provider"] == "CPUExecutionProvider"
    assert report["waiting for"] == "images on /image"
    assert 20 < float(report["memory (MB)"]) < 700
