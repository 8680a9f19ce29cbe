"""ROS messages <-> Frame and Perception: the only file that knows both.

``gam_depth_msgs`` and ``vision_msgs`` are optional: where they are missing, ``ScaleStatus``,
``PerceptionStatus``, ``ReloadModel``, ``ResetScale`` and ``LabelInfo`` are None and their topics
are off. So is
``/tf_static`` without ``tf2_msgs``, and ``odometry`` without ``nav_msgs``.
"""

from __future__ import annotations

import array
import contextlib
from typing import Any

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from gam_depth_ros.core.camera import CameraError, Intrinsics, organised_cloud
from gam_depth_ros.core.frame import Frame, Perception, ReferenceDepth
from gam_depth_ros.core.image_codec import (
    decode_color,
    decode_compressed_color,
    decode_depth,
    encode_confidence,
    encode_depth,
)
from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.core.odometry import Pose
from gam_depth_ros.core.transforms import Extrinsics

ScaleStatus: Any = None
PerceptionStatus: Any = None
ReloadModel: Any = None
ResetScale: Any = None
LabelInfo: Any = None
VisionClass: Any = None
TFMessage: Any = None
Odometry: Any = None
with contextlib.suppress(ImportError):
    from gam_depth_msgs.msg import PerceptionStatus, ScaleStatus  # noqa: F401
    from gam_depth_msgs.srv import ReloadModel, ResetScale  # noqa: F401
with contextlib.suppress(ImportError):
    from vision_msgs.msg import LabelInfo, VisionClass
with contextlib.suppress(ImportError):
    from tf2_msgs.msg import TFMessage  # noqa: F401
with contextlib.suppress(ImportError):
    from nav_msgs.msg import Odometry  # noqa: F401

NS_PER_S = 1_000_000_000
_FIELD_TYPES = {"f": PointField.FLOAT32, "u1": PointField.UINT8, "u4": PointField.FLOAT32}


def stamp_ns(header: Header) -> int:
    """Return a header's stamp in nanoseconds."""
    return int(header.stamp.sec) * NS_PER_S + int(header.stamp.nanosec)


def to_header(at_ns: int, frame_id: str) -> Header:
    """Build a header from nanoseconds and a frame."""
    return Header(stamp=Time(sec=at_ns // NS_PER_S, nanosec=at_ns % NS_PER_S), frame_id=frame_id)


def to_frame(
    image: Image | CompressedImage,
    at_ns: int,
    intrinsics: Intrinsics | None,
    reference: ReferenceDepth | None,
) -> Frame:
    """Decode an image message into a frame stamped ``at_ns``.

    Calibration of another size than the image is left out of the frame.

    Raises:
        ImageError: The message holds no readable image; one line.
    """
    if isinstance(image, CompressedImage):
        rgb = decode_compressed_color(_bytes(image.data), image.format)
    else:
        rgb = decode_color(
            _bytes(image.data),
            image.encoding,
            image.height,
            image.width,
            image.step,
            bool(image.is_bigendian),
        )
    if intrinsics is not None and (intrinsics.height, intrinsics.width) != rgb.shape[:2]:
        intrinsics = None
    return Frame(rgb, at_ns, image.header.frame_id, intrinsics, reference)


def to_reference(image: Image, at_ns: int, intrinsics: Intrinsics | None) -> ReferenceDepth:
    """Decode a sensor depth image; raises ImageError with one line."""
    depth_m = decode_depth(
        _bytes(image.data),
        image.encoding,
        image.height,
        image.width,
        image.step,
        bool(image.is_bigendian),
    )
    return ReferenceDepth(depth_m, at_ns, image.header.frame_id, intrinsics)


def to_intrinsics(info: CameraInfo, rectified: bool = False) -> Intrinsics:
    """Read a calibration, for the image as it is delivered (binning and ROI applied).

    Args:
        info: The calibration.
        rectified: Whether the image is rectified: then it follows P and has no distortion.

    Raises:
        CameraError: All zero (an uncalibrated camera), malformed or without a size; one line.
    """
    if rectified and not np.any(info.p):
        raise CameraError(
            "camera info: got P all zero, expected that of a rectified image; calibrate the "
            "camera, or set image_rectified to false"
        )
    roi = info.roi
    return Intrinsics.from_camera_info_values(
        info.width,
        info.height,
        info.p.reshape(3, 4)[:, :3].ravel() if rectified else info.k,
        "" if rectified else info.distortion_model,
        () if rectified else info.d,
        binning_xy=(info.binning_x, info.binning_y),
        roi_xywh=(roi.x_offset, roi.y_offset, roi.width, roi.height),
    )


def to_extrinsics(transform: Any) -> Extrinsics:
    """Read a geometry_msgs/Transform: the pose of its child frame in its parent."""
    at, turn = transform.translation, transform.rotation
    return Extrinsics((at.x, at.y, at.z), (turn.x, turn.y, turn.z, turn.w))


def to_pose(message: Any) -> Pose:
    """Read a nav_msgs/Odometry; its twist and covariances are not used."""
    held = message.pose.pose
    at, turn = held.position, held.orientation
    return Pose(
        stamp_ns(message.header),
        message.header.frame_id,
        message.child_frame_id,
        Extrinsics((at.x, at.y, at.z), (turn.x, turn.y, turn.z, turn.w)),
    )


def restamped(info: CameraInfo, head: Header) -> CameraInfo:
    """Return a copy of a calibration message under another header."""
    return CameraInfo(
        header=head,
        height=info.height,
        width=info.width,
        distortion_model=info.distortion_model,
        d=info.d,
        k=info.k,
        r=info.r,
        p=info.p,
        binning_x=info.binning_x,
        binning_y=info.binning_y,
        roi=info.roi,
    )


def to_image(pixels: npt.NDArray[Any], encoding: str, head: Header) -> Image:
    """Wrap an H×W or H×W×C array as an image message in native byte order."""
    pixels = np.ascontiguousarray(pixels)
    message = Image(header=head, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.is_bigendian, message.step = int(not _NATIVE_LITTLE), pixels.strides[0]
    message.data = _payload(pixels)
    return message


def to_depth_image(depth_m: npt.NDArray[np.float32], encoding: str, head: Header) -> Image:
    """Encode metric depth as 32FC1 metres or 16UC1 millimetres."""
    pixels, encoding, _ = encode_depth(depth_m, encoding)
    return to_image(pixels, encoding, head)


def to_confidence_image(confidence: npt.NDArray[np.float32], head: Header) -> Image:
    """Encode a confidence of 0 to 1 as mono8, 0 to 255."""
    return to_image(encode_confidence(confidence), "mono8", head)


def to_points(perception: Perception, rgb: npt.NDArray[np.uint8], head: Header) -> PointCloud2:
    """Build the organised cloud of a perception that has intrinsics."""
    assert perception.intrinsics is not None
    cloud = organised_cloud(
        perception.depth_m, perception.sigma_m, rgb, perception.labels, perception.intrinsics
    )
    assert cloud.dtype.fields is not None
    message = PointCloud2(
        header=head,
        height=cloud.shape[0],
        width=cloud.shape[1],
        fields=[
            PointField(name=name, offset=entry[1], datatype=_datatype(entry[0]), count=1)
            for name, entry in cloud.dtype.fields.items()
        ],
        is_bigendian=not _NATIVE_LITTLE,
        point_step=cloud.dtype.itemsize,
        row_step=cloud.dtype.itemsize * cloud.shape[1],
        is_dense=False,
    )
    message.data = _payload(cloud)
    return message


def to_scale_status(perception: Perception, head: Header) -> Any:
    """Report the scale used for one frame, and what its sigma has to be multiplied by."""
    scale = perception.scale
    return ScaleStatus(
        header=head,
        state=int(getattr(ScaleStatus, scale.state, ScaleStatus.UNKNOWN)),
        source=scale.source,
        value=float(scale.value),
        sigma_log=float(scale.sigma_log) if np.isfinite(scale.sigma_log) else float("nan"),
        age_s=float(scale.age_s) if np.isfinite(scale.age_s) else float("nan"),
        reason=scale.reason,
        interval_90=float(perception.interval_90),
        interval_95=float(perception.interval_95),
    )


def to_label_info(labels: LabelSet, head: Header) -> Any:
    """Name the label ids for consumers of the mask."""
    classes = [
        VisionClass(class_id=index, class_name=name) for index, name in enumerate(labels.names)
    ]
    return LabelInfo(header=head, class_map=classes, threshold=0.0)


def _datatype(dtype: np.dtype[Any]) -> int:
    # rgb is packed into 32 bits and declared FLOAT32: the convention RViz and PCL read.
    return int(_FIELD_TYPES["f" if dtype.kind == "f" else f"{dtype.kind}{dtype.itemsize}"])


def _payload(pixels: npt.NDArray[Any]) -> array.array[int]:
    # rclpy copies an array.array at once but walks any other buffer element by element. Assign it
    # to the field: handed to a message's constructor, it is copied once more.
    data = array.array("B")
    flat = np.ascontiguousarray(pixels).view(np.uint8) if pixels.size else np.empty(0, np.uint8)
    data.frombytes(flat.data.cast("B") if flat.size else b"")
    return data


def _bytes(data: Any) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


_NATIVE_LITTLE = np.dtype(np.uint16).newbyteorder("=").str.startswith("<")
