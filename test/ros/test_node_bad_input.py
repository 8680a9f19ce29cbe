"""Bad input on the live graph: one clear line, at most that frame lost, the next one is right."""

from __future__ import annotations

import array

import cv2
import numpy as np
from lifecycle_msgs.msg import Transition
from ros_harness import (
    OPTICAL_FRAME,
    SECOND_NS,
    SIZE_HW,
    camera_info,
    change_state,
    compressed_message,
    flat_depth,
    grey,
    image_message,
    pixels,
    set_parameter,
    state,
)
from sensor_msgs.msg import CameraInfo, Image
from tiny_model import write_tiny_model

from gam_depth_ros import messages

GREY, METRES = 102, 5.2
FIXED = {"scale.source": "fixed", "scale.fixed_value": 2.0}


def unknown_encoding():
    message = image_message(grey(GREY), SECOND_NS)
    message.encoding = "yuv9000"
    return message


def short_data():
    message = image_message(grey(GREY), SECOND_NS)
    message.data = array.array("B", bytes(100))
    return message


def zero_size():
    return Image(header=messages.to_header(SECOND_NS, OPTICAL_FRAME), encoding="rgb8")


def huge_size_without_data():
    message = zero_size()
    message.height, message.width, message.step = 60_000, 60_000, 180_000
    return message


def test_each_bad_image_costs_one_line_and_one_frame(graph, start):
    bad = {"yuv9000": unknown_encoding, "100": short_data, "0x0": zero_size,
           "60000": huge_size_without_data}  # fmt: skip
    node = start(parameters=FIXED)
    depths = graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")
    for count, (word, make) in enumerate(bad.items(), start=1):
        graph.send("/image", make())
        graph.spin_until(lambda n=count: len(node.lines("frame lost")) == n, f"line on {word}")
        line = node.lines("frame lost")[-1]
        assert word in line
        assert "expected" in line
        graph.send("/image", image_message(grey(GREY), (1 + count) * SECOND_NS))
        good = graph.next("/gam_depth/depth/image")
        assert messages.stamp_ns(good.header) == (1 + count) * SECOND_NS
        np.testing.assert_allclose(pixels(good), METRES, rtol=1e-5)
    report = graph.diagnostics_after(lambda v: v.get("frames in") == "8", "every frame counted")
    assert (report["frames failed"], report["frames published"]) == ("4", "4")
    assert not depths
    assert not node.lines("Traceback")


def test_each_corrupt_jpeg_costs_its_frame_only(graph, start):
    node = start(parameters={**FIXED, "image_transport": "compressed"})
    graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")
    whole = cv2.imencode(".jpg", grey(GREY))[1].tobytes()
    for count, data in enumerate((b"", b"\xff\xd8\xff\xe0 no jpeg", whole[:150])):
        graph.send("/image/compressed", compressed_message(data, SECOND_NS))
        graph.spin(0.1)
        stamp_ns = (2 + count) * SECOND_NS
        graph.send("/image/compressed", compressed_message(whole, stamp_ns))
        good = graph.next("/gam_depth/depth/image")
        assert messages.stamp_ns(good.header) == stamp_ns
        np.testing.assert_allclose(pixels(good), METRES, atol=0.04)
    report = graph.diagnostics_after(lambda v: v.get("frames in") == "6", "every frame counted")
    assert (report["frames failed"], report["frames published"]) == ("3", "3")
    assert "expected" in node.wait_for_line("frame lost")


def test_unusable_camera_info_is_ignored_with_one_line_each(graph, start):
    node = start(parameters=FIXED)
    graph.listen(Image, "/gam_depth/depth/image")
    infos = graph.listen(CameraInfo, "/gam_depth/depth/camera_info")
    graph.wait_for_publisher("/gam_depth/depth/camera_info")
    for count, info in enumerate((CameraInfo(), camera_info(size_hw=(480, 640)))):
        graph.send("/camera_info", info)
        graph.spin(0.2)
        for half in (0, 1):
            graph.send("/image", image_message(grey(GREY), (1 + 2 * count + half) * SECOND_NS))
            depth = graph.next("/gam_depth/depth/image")
            np.testing.assert_allclose(pixels(depth), METRES, rtol=1e-5)
    assert "calibrate" in node.lines("ignored")[0]
    assert "640x480" in node.lines("ignored")[1]
    assert len(node.lines("ignored")) == 2
    assert not infos
    graph.send("/camera_info", camera_info())
    graph.spin(0.2)
    graph.send("/image", image_message(grey(GREY), 9 * SECOND_NS))
    assert graph.next("/gam_depth/depth/camera_info").k[0] == 50.0


def test_each_bad_reference_costs_one_line_and_no_frame(graph, start):
    def small(at_ns):
        half = np.full((24, 32), 1300, np.uint16)
        return messages.to_image(half, "16UC1", messages.to_header(at_ns, OPTICAL_FRAME))

    bad = {
        "'depth_frame'": lambda at_ns: flat_depth(1300, at_ns, frame_id="depth_frame"),
        "32x24": small,
        "0.0%": lambda at_ns: flat_depth(0, at_ns),
        "rgb8": lambda at_ns: image_message(grey(1), at_ns),
    }
    node = start(parameters={"scale.acquire_count": 1})
    depths = graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")

    def send(reference, at_ns):
        graph.send("/reference_depth", reference)
        graph.spin(0.05)
        graph.send("/image", image_message(grey(GREY), at_ns))
        return pixels(graph.next("/gam_depth/depth/image"))

    for count, (word, make) in enumerate(bad.items(), start=1):
        at_ns = count * 100_000_000
        assert np.isnan(send(make(at_ns), at_ns)).all()
        graph.spin_until(lambda n=count: len(node.lines("reference depth")) == n, word)
        line = node.lines("reference depth")[-1]
        assert word in line
        assert "expected" in line
    send(flat_depth(1300, SECOND_NS), SECOND_NS)
    metric = send(flat_depth(1300, SECOND_NS + 100_000_000), SECOND_NS + 100_000_000)
    np.testing.assert_allclose(metric, 1.3, rtol=1e-4)
    report = graph.diagnostics_after(lambda v: v.get("frames in") == "6", "every frame counted")
    assert (report["frames failed"], report["frames published"]) == ("0", "6")
    assert not depths


def test_stamp_zero_becomes_the_time_of_receipt_and_is_said_once(graph, start):
    node = start(parameters=FIXED)
    graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")
    stamps = []
    for _ in range(3):
        graph.send("/image", image_message(grey(GREY), 0))
        depth = graph.next("/gam_depth/depth/image")
        np.testing.assert_allclose(pixels(depth), METRES, rtol=1e-5)
        stamps.append(messages.stamp_ns(depth.header))
    now_ns = graph.node.get_clock().now().nanoseconds
    assert stamps == sorted(stamps)
    assert all(0 <= now_ns - stamp_ns < 10 * SECOND_NS for stamp_ns in stamps)
    assert len(node.lines("stamp zero")) == 1


def test_stamps_going_back_reset_the_scale_and_the_node_goes_on(graph, start):
    node = start()
    graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")

    def send(at_ns):
        graph.send("/reference_depth", flat_depth(1300, at_ns))
        graph.spin(0.05)
        graph.send("/image", image_message(grey(GREY), at_ns))
        return pixels(graph.next("/gam_depth/depth/image"))

    for _loop in range(2):
        for index in range(2):
            assert np.isnan(send(10 * SECOND_NS + index * 100_000_000)).all()
        np.testing.assert_allclose(send(10 * SECOND_NS + 200_000_000), 1.3, rtol=1e-4)
    assert len(node.lines("did a bag loop?")) == 1


def test_each_bad_model_is_refused_at_configure_and_a_good_one_taken_after(
    graph, start, tmp_path, tiny_model
):
    bad = {"No such file": tmp_path / "missing.onnx", "not ONNX": tmp_path / "text.onnx"}
    bad["not ONNX"].write_text("This is no model.\n" * 50)
    breaches = {
        "truncated": {"truncate_to": 0.5},
        "metadata": {"no_metadata": True},
        "99": {"format_version": 99},
        "'sigma'": {"omit_output": "sigma"},
    }
    for number, (word, breach) in enumerate(breaches.items()):
        bad[word] = write_tiny_model(tmp_path / f"{number}.onnx", SIZE_HW, **breach)
    node = start(active=False, parameters={"autostart": False})
    for count, (word, path) in enumerate(bad.items(), start=1):
        assert set_parameter(graph, "model_path", str(path)).successful
        assert not change_state(graph, Transition.TRANSITION_CONFIGURE)
        graph.spin_until(lambda n=count: len(node.lines("configure:")) == n, f"line on {word}")
        line = node.lines("configure:")[-1]
        assert word in line
        assert "expected" in line
        assert "[ERROR]" in line
        assert state(graph) == "unconfigured"
    report = graph.diagnostics_after(lambda v: "'sigma'" in v["message"], "the reason")
    assert report["level"] == "2"
    assert not node.lines("Traceback")
    assert set_parameter(graph, "model_path", str(tiny_model)).successful
    assert change_state(graph, Transition.TRANSITION_CONFIGURE)
    assert graph.diagnostics_after(lambda v: v["level"] == "0", "health again")["model"] == "tiny"
