"""The whole node on a live graph: what it publishes for known pictures, pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from ros_harness import (
    OPTICAL_FRAME,
    RELIABLE,
    SECOND_NS,
    SIZE_HW,
    camera_info,
    compressed_message,
    flat_depth,
    grey,
    image_message,
    pixels,
)
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tiny_model import BRIGHT_ID, DARK_ID, SIGMA

from gam_depth_ros import messages
from gam_depth_ros.core.labels import NYU13

# The tiny network sees depth 3 in grey 127.5: 1 + 4 * 102 / 255 = 2.6.
GREY, GREY_DEPTH = 102, 2.6
FIXED = {"scale.source": "fixed", "scale.fixed_value": 2.0}


def test_fixed_scale_gives_metres_sigma_and_source_with_the_stamp_of_the_image(graph, start):
    start(parameters=FIXED)
    for topic in ("depth/image", "depth/uncertainty", "depth/source"):
        graph.listen(Image, f"/gam_depth/{topic}")
        graph.wait_for_publisher(f"/gam_depth/{topic}")
    graph.send("/image", image_message(grey(GREY), 7 * SECOND_NS + 5))

    depth = graph.next("/gam_depth/depth/image")
    assert depth.encoding == "32FC1"
    assert messages.stamp_ns(depth.header) == 7 * SECOND_NS + 5
    assert depth.header.frame_id == OPTICAL_FRAME
    np.testing.assert_allclose(pixels(depth), np.full(SIZE_HW, 2 * GREY_DEPTH), rtol=1e-5)
    sigma = graph.next("/gam_depth/depth/uncertainty")
    assert sigma.header == depth.header
    np.testing.assert_allclose(pixels(sigma), 2 * GREY_DEPTH * SIGMA, rtol=1e-4)
    source = graph.next("/gam_depth/depth/source")
    assert source.encoding == "mono8"
    assert (pixels(source) == 2).all()


def test_depth_as_16uc1_is_millimetres(graph, start):
    start(parameters={**FIXED, "depth_encoding": "16UC1"})
    graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")
    graph.send("/image", image_message(grey(GREY), SECOND_NS))
    depth = graph.next("/gam_depth/depth/image")
    assert depth.encoding == "16UC1"
    assert (pixels(depth) == 5200).all()


def test_mask_confidence_and_colour_follow_the_picture_without_camera_info(graph, start):
    start()
    for topic in ("mask", "confidence", "color"):
        graph.listen(Image, f"/gam_depth/semantics/{topic}")
        graph.wait_for_publisher(f"/gam_depth/semantics/{topic}")
    picture = grey(0)
    picture[:, 32:] = 255
    graph.send("/image", image_message(picture, SECOND_NS))

    labels = np.full(SIZE_HW, DARK_ID)
    labels[:, 32:] = BRIGHT_ID
    assert (pixels(graph.next("/gam_depth/semantics/mask")) == labels).all()
    assert (pixels(graph.next("/gam_depth/semantics/confidence")) == 255).all()
    painted = pixels(graph.next("/gam_depth/semantics/color"))
    assert tuple(painted[0, 0]) == NYU13.palette[DARK_ID]
    assert tuple(painted[0, 63]) == NYU13.palette[BRIGHT_ID]


def test_two_frames_are_nan_and_the_third_has_the_scale_of_the_references(graph, start):
    start()
    depths = graph.listen(Image, "/gam_depth/depth/image")
    sources = graph.listen(Image, "/gam_depth/depth/source")
    graph.wait_for_publisher("/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/source")
    for count in range(3):
        stamp_ns = SECOND_NS + count * 100_000_000
        graph.send("/reference_depth", flat_depth(1300, stamp_ns))
        graph.spin(0.05)
        graph.send("/image", image_message(grey(GREY), stamp_ns))
        graph.spin_until(lambda seen=count: len(depths) > seen and len(sources) > seen, "a frame")
    # The reference says 1.3 m where the network says 2.6: the factor is one half.
    for index in range(2):
        assert np.isnan(pixels(depths[index])).all()
        assert (pixels(sources[index]) == 0).all()
    np.testing.assert_allclose(pixels(depths[2]), 1.3, rtol=1e-4)


def test_points_lie_on_the_rays_of_the_camera_and_carry_colour_label_and_sigma(graph, start):
    start(parameters=FIXED)
    graph.listen(PointCloud2, "/gam_depth/points")
    graph.listen(CameraInfo, "/gam_depth/depth/camera_info")
    graph.wait_for_publisher("/gam_depth/points")
    graph.wait_for_publisher("/gam_depth/depth/camera_info")
    graph.send("/camera_info", camera_info(focal_px=50.0))
    graph.spin(0.3)
    picture = grey(0)
    picture[...] = (10, 102, 194)  # mean 102
    graph.send("/image", image_message(picture, 3 * SECOND_NS))

    cloud = graph.next("/gam_depth/points")
    assert (cloud.height, cloud.width) == SIZE_HW
    assert cloud.row_step == cloud.point_step * cloud.width
    assert [field.name for field in cloud.fields] == ["x", "y", "z", "rgb", "sigma", "label"]
    names = {1: np.int8, 2: np.uint8, 7: np.float32}
    dtype = np.dtype(
        {
            "names": [field.name for field in cloud.fields],
            "formats": [names[field.datatype] for field in cloud.fields],
            "offsets": [field.offset for field in cloud.fields],
            "itemsize": cloud.point_step,
        }
    )
    points = np.frombuffer(cloud.data, dtype).reshape(SIZE_HW)
    # x = (u - 31.5) / 50 * z at the left edge, y = (v - 23.5) / 50 * z at the top edge.
    assert points["z"][5, 9] == pytest.approx(2 * GREY_DEPTH, rel=1e-5)
    assert points["x"][5, 0] == pytest.approx(-31.5 / 50 * 5.2, rel=1e-5)
    assert points["y"][0, 9] == pytest.approx(-23.5 / 50 * 5.2, rel=1e-5)
    assert points["rgb"].view(np.uint32)[0, 0] == 0x0A66C2
    assert points["label"][0, 0] == DARK_ID
    assert points["sigma"][0, 0] == pytest.approx(0.52, rel=1e-4)

    info = graph.next("/gam_depth/depth/camera_info")
    assert info.header == cloud.header
    assert messages.stamp_ns(info.header) == 3 * SECOND_NS
    assert list(info.k) == list(camera_info(focal_px=50.0).k)


def test_compressed_transport_decodes_jpeg(graph, start):
    start(parameters={**FIXED, "image_transport": "compressed"})
    graph.listen(Image, "/gam_depth/depth/image")
    graph.wait_for_publisher("/gam_depth/depth/image")
    data = cv2.imencode(".jpg", grey(GREY))[1].tobytes()
    graph.send("/image/compressed", compressed_message(data, 2 * SECOND_NS))
    depth = graph.next("/gam_depth/depth/image")
    np.testing.assert_allclose(pixels(depth), 5.2, atol=0.04)
    assert messages.stamp_ns(depth.header) == 2 * SECOND_NS


def test_outputs_have_the_size_of_the_image_not_of_the_network(graph, start):
    start(parameters=FIXED)
    graph.listen(Image, "/gam_depth/depth/image", RELIABLE)
    graph.wait_for_publisher("/gam_depth/depth/image")
    graph.send("/image", image_message(grey(GREY, (120, 200)), SECOND_NS))
    depth = pixels(graph.next("/gam_depth/depth/image"))
    assert depth.shape == (120, 200)
    np.testing.assert_allclose(depth, 5.2, rtol=1e-5)
