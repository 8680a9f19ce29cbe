"""A camera's stream gone wrong: rates, bursts, jitter, stamps, clocks, formats, and its depth."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from ros_harness import SECOND_NS, camera_info, flat_depth, grey, image_message, pixels
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from gam_depth_ros import messages

GREY, METRES = 102, 5.2
FIXED = {"scale.source": "fixed", "scale.fixed_value": 2.0}
DEPTH = "/gam_depth/depth/image"
MS = 1_000_000
# Nothing may be lost on the way, even on a machine that stalls: then the accounts are exact.
RELIABLE_INPUT = {
    "qos_overrides./image.subscription.reliability": "reliable",
    "qos_overrides./image.subscription.depth": 200,
}


def settled(graph, count):
    """Return the report in which every image has its fate."""

    def met(values):
        names = ("published", "dropped", "failed")
        done = sum(int(values.get(f"frames {name}", 0)) for name in names)
        return values.get("frames in") == str(count) and done == count

    return graph.diagnostics_after(met, f"the fate of {count} images", 40.0)


def stamps(inbox):
    return [messages.stamp_ns(message.header) for message in inbox]


def evenly(rate_hz, count):
    return [index / rate_hz for index in range(count)]


def bursts():
    return [0.5 * burst + 0.001 * index for burst in range(3) for index in range(10)]


def jittery():
    rng = random.Random(7)
    at_s = evenly(30.0, 45)
    return sorted(due_s + rng.uniform(0.0, 0.06) for due_s in at_s)


@pytest.mark.parametrize(
    "beats",
    [evenly(5.0, 10), evenly(30.0, 60), evenly(90.0, 135), bursts(), jittery()],
    ids=["5 Hz", "30 Hz", "90 Hz", "bursts", "jitter"],
)
def test_at_any_rate_every_image_has_its_fate_and_the_newest_is_published(graph, start, beats):
    node = start(parameters={**FIXED, **RELIABLE_INPUT})
    depths = graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    sent_ns = [SECOND_NS + round(beat_s * SECOND_NS) for beat_s in beats]
    graph.send("/image", image_message(grey(GREY), SECOND_NS // 2))
    graph.spin_until(lambda: depths, "depth of the first one")
    started_s = time.monotonic()
    for beat_s, stamp_ns in zip(beats, sent_ns, strict=True):
        graph.spin(started_s + beat_s - time.monotonic())
        graph.send("/image", image_message(grey(GREY), stamp_ns))
    report = settled(graph, len(beats) + 1)
    assert report["frames failed"] == "0"
    published = int(report["frames published"])
    graph.spin_until(lambda: len(depths) == published, "every depth that was published")
    assert report["frames dropped: newer image"] == report["frames dropped"]
    assert stamps(depths) == sorted(set(stamps(depths)))
    assert set(stamps(depths)) <= {SECOND_NS // 2, *sent_ns}
    assert stamps(depths)[-1] == sent_ns[-1]
    np.testing.assert_allclose(pixels(depths[-1]), METRES, rtol=1e-5)
    assert not node.lines("Traceback")


def learnt(graph, at_ns):
    """Send references with their images until the scale is known; return the next stamp."""
    for index in range(10):
        graph.send("/reference_depth", flat_depth(1300, at_ns + index * 100 * MS))
        graph.spin(0.05)
        graph.send("/image", image_message(grey(GREY), at_ns + index * 100 * MS))
        if not np.isnan(pixels(graph.next(DEPTH))).any():
            return at_ns + (index + 1) * 100 * MS
    raise AssertionError("no metric depth after ten references")


def test_an_image_that_was_overtaken_is_dropped_and_costs_no_scale(graph, start):
    node = start()
    graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    at_ns = learnt(graph, 10 * SECOND_NS)
    for index in range(4):
        pair_ns = at_ns + index * 66 * MS
        for stamp_ns in (pair_ns + 33 * MS, pair_ns):  # two have changed places
            graph.send("/image", image_message(grey(GREY), stamp_ns))
            graph.spin(0.2)
        depth = graph.next(DEPTH)
        assert messages.stamp_ns(depth.header) == pair_ns + 33 * MS
        np.testing.assert_allclose(pixels(depth), 1.3, rtol=1e-4)
    assert not graph.received[DEPTH]
    report = graph.diagnostics_after(lambda v: v["frames dropped: late stamp"] == "4", "four late")
    assert report["frames failed"] == "0"
    assert not node.lines("learnt anew")
    assert "expected later ones" in node.lines("[WARN]")[-1]


def test_repeated_stamps_are_each_answered(graph, start):
    start()
    depths = graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    at_ns = learnt(graph, 10 * SECOND_NS)
    for _ in range(3):
        graph.send("/image", image_message(grey(GREY), at_ns))
        depth = graph.next(DEPTH)
        assert messages.stamp_ns(depth.header) == at_ns
        np.testing.assert_allclose(pixels(depth), 1.3, rtol=1e-4)
    assert not depths


def test_a_clock_that_jumps_ahead_makes_the_scale_old_and_it_is_learnt_again(graph, start):
    start()
    graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    at_ns = learnt(graph, 10 * SECOND_NS) + 3600 * SECOND_NS
    graph.send("/image", image_message(grey(GREY), at_ns))
    assert np.isnan(pixels(graph.next(DEPTH))).all()  # an hour old: no scale to be trusted
    report = graph.diagnostics_after(lambda v: v["scale state"] == "LOST", "a lost scale")
    assert report["scale value"] == "nan"
    learnt(graph, at_ns + 100 * MS)


def test_simulated_time_may_loop_and_stand_still(graph, start):
    node = start(parameters={"use_sim_time": True})
    graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)

    def tick(at_ns):
        graph.send("/clock", Clock(clock=messages.to_header(at_ns, "").stamp))

    for _loop in range(3):
        tick(20 * SECOND_NS)
        next_ns = learnt(graph, 20 * SECOND_NS)
        tick(next_ns)
    assert len(node.lines("did a bag loop?")) == 2
    graph.received["/diagnostics"].clear()  # health is reported while simulated time stands still
    report = graph.diagnostics_after(lambda v: v["scale state"] == "LOCKED", "a report")
    assert report["frames failed"] == "0"
    assert not node.lines("Traceback")


def coloured(encoding, size_hw):
    """Return an image of one grey, in an encoding."""
    channels = {"mono8": 0, "rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4}[encoding]
    shape = (*size_hw, channels) if channels else size_hw
    return np.full(shape, GREY, np.uint8)


def test_size_and_encoding_may_change_from_frame_to_frame(graph, start):
    node = start(parameters=FIXED)
    infos = graph.listen(CameraInfo, "/gam_depth/depth/camera_info")
    graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    sizes = ((48, 64), (480, 640), (120, 160), (1080, 1920), (31, 47))
    formats = ("rgb8", "bgr8", "mono8", "bgra8", "rgba8")
    for index in range(15):
        size_hw = sizes[index % 5]
        encoding = formats[(index + index // 5) % 5]
        stamp_ns = (1 + index) * SECOND_NS
        graph.send("/camera_info", camera_info(size_hw, stamp_ns=stamp_ns))
        graph.spin(0.1)
        head = messages.to_header(stamp_ns, "camera_color_optical_frame")
        graph.send("/image", messages.to_image(coloured(encoding, size_hw), encoding, head))
        depth = graph.next(DEPTH)
        assert (messages.stamp_ns(depth.header), pixels(depth).shape) == (stamp_ns, size_hw)
        np.testing.assert_allclose(pixels(depth), METRES, rtol=1e-5)
    graph.spin_until(lambda: infos, "a calibration")
    report = graph.diagnostics_after(lambda v: v["frames published"] == "15", "all of them")
    assert report["frames failed"] == "0"
    assert not node.lines("Traceback")


def test_reference_depth_that_flaps_is_held_over_its_gaps(graph, start):
    node = start()
    graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    at_ns = learnt(graph, 10 * SECOND_NS)
    states = set()
    for index in range(60):
        stamp_ns = at_ns + index * 100 * MS
        if (index // 10) % 2:  # a second there, a second not
            graph.send("/reference_depth", flat_depth(1300, stamp_ns))
            graph.spin(0.02)
        graph.send("/image", image_message(grey(GREY), stamp_ns))
        depth = graph.next(DEPTH)
        assert messages.stamp_ns(depth.header) == stamp_ns
        np.testing.assert_allclose(pixels(depth), 1.3, rtol=1e-3)
        states |= {
            word
            for array in graph.received["/diagnostics"]
            for entry in array.status[0].values
            if entry.key == "scale state"
            for word in (entry.value,)
        }
    assert states <= {"UNKNOWN", "ACQUIRING", "LOCKED", "HOLDING"}
    assert not node.lines("Traceback")
