"""Arrays and calibrations as ROS 2 messages, built with rosbags' classes: no ROS needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.image_codec import encode_depth
from gam_depth_ros.evaluation.bag_writer import OutMessage, serialise
from gam_depth_ros.evaluation.ros_types import CAMERA_INFO, IMAGE, make_header, message_class
from gam_depth_ros.evaluation.sample import Sample
from gam_depth_ros.evaluation.topics import WRITTEN_TOPICS


def image_message(pixels: npt.NDArray[Any], encoding: str, stamp_ns: int, frame_id: str) -> Any:
    """Build a ``sensor_msgs/Image`` without row padding, little-endian.

    Args:
        pixels: H×W or H×W×C, in the dtype of ``encoding``.
        encoding: For example ``rgb8``, ``mono8``, ``32FC1``, ``16UC1``.
        stamp_ns: Header stamp.
        frame_id: Header frame.
    """
    rows = np.ascontiguousarray(pixels)
    height, width = rows.shape[:2]
    return message_class(IMAGE)(
        header=make_header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=rows.nbytes // height,
        data=rows.reshape(-1).view(np.uint8),
    )


def depth_message(
    depth_m: npt.NDArray[np.float32], encoding: str, stamp_ns: int, frame_id: str
) -> Any:
    """Build a depth image: ``32FC1`` metres (NaN unknown) or ``16UC1`` millimetres (0 unknown)."""
    pixels, encoding, _ = encode_depth(depth_m, encoding)
    return image_message(pixels, encoding, stamp_ns, frame_id)


def camera_info_message(intrinsics: Intrinsics, stamp_ns: int, frame_id: str) -> Any:
    """Build a ``sensor_msgs/CameraInfo``: K as calibrated, R the identity, P = [K 0]."""
    k = intrinsics.matrix()
    p = np.hstack([k, np.zeros((3, 1))])
    roi = message_class("sensor_msgs/msg/RegionOfInterest")
    plain = intrinsics.distortion_model == "none"
    return message_class(CAMERA_INFO)(
        header=make_header(stamp_ns, frame_id),
        height=intrinsics.height,
        width=intrinsics.width,
        distortion_model="plumb_bob" if plain else intrinsics.distortion_model,
        d=np.zeros(5) if plain else np.array(intrinsics.distortion, np.float64),
        k=k.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=p.reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=roi(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )


def input_messages(sample: Sample) -> Iterator[OutMessage]:
    """Yield a sample as the messages a camera driver would have sent, and its truth."""
    frame, names, time_ns = sample.frame, WRITTEN_TOPICS, sample.bag_time_ns
    stamp, frame_id = frame.stamp_ns, frame.frame_id
    parts: list[tuple[str | None, Any]] = []
    if frame.intrinsics is not None:
        info = camera_info_message(frame.intrinsics, stamp, frame_id)
        parts.append((names.camera_info, info))
    reference = frame.reference
    if reference is not None:
        # The reference travels first: a live node has it at hand when the image arrives.
        if reference.intrinsics is not None:
            info = camera_info_message(reference.intrinsics, reference.stamp_ns, reference.frame_id)
            parts.append((names.reference_camera_info, info))
        depth = depth_message(reference.depth_m, "16UC1", reference.stamp_ns, reference.frame_id)
        parts.append((names.reference_depth, depth))
    if sample.labels is not None:
        parts.append((names.labels, image_message(sample.labels, "mono8", stamp, frame_id)))
    if sample.exact_depth_m is not None:
        depth = depth_message(sample.exact_depth_m, "32FC1", stamp, frame_id)
        parts.append((names.exact_depth, depth))
    parts.append((names.image, image_message(frame.rgb, "rgb8", stamp, frame_id)))
    for topic, message in parts:
        assert topic is not None
        yield serialise(topic, time_ns, message)
