"""Perceptions as the messages that the node publishes, and back, with rosbags' classes.

The topics, encodings and invalid values are those of the node; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gam_depth_ros.core.frame import Perception
from gam_depth_ros.core.image_codec import encode_confidence
from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.evaluation.bag_writer import OutMessage, serialise
from gam_depth_ros.evaluation.image_messages import (
    camera_info_message,
    depth_message,
    image_message,
)
from gam_depth_ros.evaluation.ros_types import SCALE_STATUS, make_header, message_class
from gam_depth_ros.evaluation.topics import OUTPUT_NAMESPACE

DEPTH = f"{OUTPUT_NAMESPACE}/depth/image"
DEPTH_INFO = f"{OUTPUT_NAMESPACE}/depth/camera_info"
UNCERTAINTY = f"{OUTPUT_NAMESPACE}/depth/uncertainty"
SOURCE = f"{OUTPUT_NAMESPACE}/depth/source"
MASK = f"{OUTPUT_NAMESPACE}/semantics/mask"
CONFIDENCE = f"{OUTPUT_NAMESPACE}/semantics/confidence"
COLOR = f"{OUTPUT_NAMESPACE}/semantics/color"
SCALE = f"{OUTPUT_NAMESPACE}/scale"
STATUS = f"{OUTPUT_NAMESPACE}/status"


def perception_messages(
    perception: Perception, labels: LabelSet, bag_time_ns: int, camera_info: Any = None
) -> Iterator[OutMessage]:
    """Yield the messages of one perception, all with its stamp and frame.

    Args:
        perception: The result of one frame.
        labels: The model's label set, for the coloured mask.
        bag_time_ns: Receive time to be written.
        camera_info: The image's CameraInfo to be restamped; made from the perception's
            intrinsics if None.
    """
    stamp, frame_id = perception.stamp_ns, perception.frame_id
    confidence = encode_confidence(perception.label_confidence)
    color = labels.colorize(perception.labels)
    parts: list[tuple[str, Any]] = [
        (DEPTH, depth_message(perception.depth_m, "32FC1", stamp, frame_id)),
        (UNCERTAINTY, depth_message(perception.sigma_m, "32FC1", stamp, frame_id)),
        (SOURCE, image_message(perception.source, "mono8", stamp, frame_id)),
        (MASK, image_message(perception.labels, "mono8", stamp, frame_id)),
        (CONFIDENCE, image_message(confidence, "mono8", stamp, frame_id)),
        (COLOR, image_message(color, "rgb8", stamp, frame_id)),
        (SCALE, scale_message(perception, stamp, frame_id)),
    ]
    if camera_info is not None:
        info = replace(camera_info, header=make_header(stamp, frame_id))
        parts.insert(1, (DEPTH_INFO, info))
    elif perception.intrinsics is not None:
        info = camera_info_message(perception.intrinsics, stamp, frame_id)
        parts.insert(1, (DEPTH_INFO, info))
    for topic, message in parts:
        yield serialise(topic, bag_time_ns, message)


def scale_message(perception: Perception, stamp_ns: int, frame_id: str) -> Any:
    """Build a ``gam_depth_msgs/ScaleStatus``; what is unknown is NaN."""
    scale = perception.scale
    kind = message_class(SCALE_STATUS)
    return kind(
        header=make_header(stamp_ns, frame_id),
        state=getattr(kind, scale.state),
        source=scale.source,
        value=_finite_or_nan(scale.value),
        sigma_log=_finite_or_nan(scale.sigma_log),
        age_s=_finite_or_nan(scale.age_s),
        reason=scale.reason,
        interval_90=float(perception.interval_90),
        interval_95=float(perception.interval_95),
    )


def _finite_or_nan(value: float) -> float:
    return float(value) if np.isfinite(value) else float("nan")
