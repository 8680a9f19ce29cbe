"""Bad input on the live graph: one clear line, at most that frame lost, the next one is right."""

from __future__ import annotations

import array

import cv2
import numpy as np
import pytest
from ros_harness import (
    OPTICAL_FRAME,
    SECOND_NS,
    SIZE_HW,
    camera_info,
    compressed_message,
    flat_depth,
    grey,
    image_message,
    pixels,
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


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (unknown_encoding, "yuv9000"),
        (short_data, "100"),
        (zero_size, "0x0"),
        (huge_size_without_data, "60000"),
    ],
)
def test_a_bad_image_costs_one_line_and_one_frame(graph, start, bad, word):
    node = start(parameters=FIXED)
    depths = graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")
    graph.send("/image", bad())
    line = node.wait_for_line("frame lost")
    assert word in line
    assert "expected" in line
    graph.send("/image", image_message(grey(GREY), 2 * SECOND_NS))
    good = graph.next("/gam_depth/depth/image")
    assert messages.stamp_ns(good.header) == 2 * SECOND_NS
    np.testing.assert_allclose(pixels(good), METRES, rtol=1e-5)
    report = graph.diagnostics_after(lambda v: v.get("frames in") == "2", "both frames counted")
    assert (report["frames failed"], report["frames published"]) == ("1", "1")
    assert not depths
    assert len(node.lines("frame lost")) == 1
    assert not node.lines("Traceback")


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0 no jpeg", None])
def test_a_corrupt_jpeg_costs_one_line_and_one_frame(graph, start, data):
    node = start(parameters={**FIXED, "image_transport": "compressed"})
    graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")
    whole = cv2.imencode(".jpg", grey(GREY))[1].tobytes()
    data = whole[:150] if data is None else data
    graph.send("/image/compressed", compressed_message(data, SECOND_NS))
    assert "expected" in node.wait_for_line("frame lost")
    graph.send("/image/compressed", compressed_message(whole, 2 * SECOND_NS))
    good = graph.next("/gam_depth/depth/image")
    assert messages.stamp_ns(good.header) == 2 * SECOND_NS
    np.testing.assert_allclose(pixels(good), METRES, atol=0.04)


@pytest.mark.parametrize(
    ("info", "word"),
    [(CameraInfo(), "calibrate"), (camera_info(size_hw=(480, 640)), "640x480")],
)
def test_unusable_camera_info_is_ignored_with_one_line(graph, start, info, word):
    node = start(parameters=FIXED)
    graph.listen(Image, "/gam_depth/depth/image")
    infos = graph.listen(CameraInfo, "/gam_depth/depth/camera_info")
    graph.wait_for_publisher("/gam_depth/depth/camera_info")
    graph.send("/camera_info", info)
    graph.spin(0.2)
    for count in range(2):
        graph.send("/image", image_message(grey(GREY), (1 + count) * SECOND_NS))
        depth = graph.next("/gam_depth/depth/image")
        np.testing.assert_allclose(pixels(depth), METRES, rtol=1e-5)
    assert word in node.wait_for_line("ignored")
    assert len(node.lines("ignored")) == 1
    assert not infos
    graph.send("/camera_info", camera_info())
    graph.spin(0.2)
    graph.send("/image", image_message(grey(GREY), 5 * SECOND_NS))
    assert graph.next("/gam_depth/depth/camera_info").k[0] == 50.0


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (lambda at: flat_depth(1300, at, frame_id="depth_frame"), "'depth_frame'"),
        (lambda at: messages.to_image(
            np.full((24, 32), 1300, np.uint16), "16UC1", messages.to_header(at, OPTICAL_FRAME)
        ), "32x24"),
        (lambda at: flat_depth(0, at), "0.0%"),
        (lambda at: image_message(grey(1), at), "rgb8"),
    ],
    ids=["other frame", "other size", "all invalid", "no depth encoding"],
)  # fmt: skip
def test_a_bad_reference_costs_one_line_and_no_frame(graph, start, bad, word):
    node = start()
    depths = graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")

    def send(reference, at_ns):
        graph.send("/reference_depth", reference)
        graph.spin(0.05)
        graph.send("/image", image_message(grey(GREY), at_ns))
        return graph.next("/gam_depth/depth/image")

    assert np.isnan(pixels(send(bad(SECOND_NS), SECOND_NS))).all()
    line = node.wait_for_line("reference depth")
    assert word in line
    assert "expected" in line
    send(flat_depth(1300, SECOND_NS + 50_000_000), SECOND_NS + 50_000_000)
    metric = send(flat_depth(1300, SECOND_NS + 100_000_000), SECOND_NS + 100_000_000)
    np.testing.assert_allclose(pixels(metric), 1.3, rtol=1e-4)
    report = graph.diagnostics_after(lambda v: v.get("frames in") == "3", "three frames counted")
    assert (report["frames failed"], report["frames published"]) == ("0", "3")
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
        assert np.isnan(send(10 * SECOND_NS)).all()
        np.testing.assert_allclose(send(10 * SECOND_NS + 100_000_000), 1.3, rtol=1e-4)
    assert len(node.lines("did a bag loop?")) == 1


@pytest.mark.parametrize(
    ("breach", "word"),
    [
        (None, "No such file"),
        ({"truncate_to": 0.5}, "truncated"),
        ({"no_metadata": True}, "metadata"),
        ({"format_version": 99}, "99"),
        ({"omit_output": "sigma"}, "'sigma'"),
        ("text", "not ONNX"),
    ],
    ids=["missing", "truncated", "no metadata", "unknown version", "no sigma", "not ONNX"],
)
def test_a_bad_model_is_refused_at_configure_with_one_line(graph, start, tmp_path, breach, word):
    path = tmp_path / "bad.onnx"
    if breach == "text":
        path.write_text("This is no model.\n" * 50)
    elif breach is not None:
        write_tiny_model(path, SIZE_HW, **breach)
    node = start(active=False, parameters={"model_path": str(path)})
    line = node.wait_for_line("configure:")
    assert word in line
    assert "expected" in line
    assert "[ERROR]" in line
    report = graph.diagnostics_after(lambda v: v["level"] == "2", "an error in diagnostics")
    assert word in report["message"]
    assert not node.lines("Traceback")
    assert node.process.poll() is None
