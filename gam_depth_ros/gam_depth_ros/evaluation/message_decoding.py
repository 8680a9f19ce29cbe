"""Decoded messages, as rosbags gives them, to arrays and calibrations."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.image_codec import (
    decode_color,
    decode_compressed_color,
    decode_compressed_depth,
    decode_depth,
    decode_mono,
)


def intrinsics_of(message: Any, size_hw: tuple[int, int] | None = None) -> Intrinsics:
    """Read a decoded CameraInfo; raises CameraError if it is no calibration.

    Args:
        message: rosbags' CameraInfo.
        size_hw: Size of the image that it came with, to be checked if given.
    """
    roi = message.roi
    return Intrinsics.from_camera_info_values(
        int(message.width),
        int(message.height),
        [float(value) for value in message.k],
        str(message.distortion_model),
        [float(value) for value in message.d],
        image_size_hw=size_hw,
        binning_xy=(int(message.binning_x), int(message.binning_y)),
        roi_xywh=(int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
    )


def color_of(message: Any) -> npt.NDArray[np.uint8]:
    """Return H×W×3 uint8 RGB of an Image or CompressedImage; raises ImageError."""
    if hasattr(message, "format"):
        return decode_compressed_color(message.data, str(message.format))
    return decode_color(*_pixels(message))


def depth_of(message: Any) -> npt.NDArray[np.float32]:
    """Return H×W float32 metres, NaN unknown, of an Image or CompressedImage; raises ImageError."""
    if hasattr(message, "format"):
        return decode_compressed_depth(message.data, str(message.format))
    return decode_depth(*_pixels(message))


def ids_of(message: Any) -> npt.NDArray[np.uint8]:
    """Return H×W uint8 ids of a mono8 Image; raises ImageError."""
    return decode_mono(*_pixels(message))


def _pixels(message: Any) -> tuple[Any, str, int, int, int, bool]:
    """Return data, encoding, height, width, step and byte order of a decoded Image."""
    return (
        message.data,
        str(message.encoding),
        int(message.height),
        int(message.width),
        int(message.step),
        bool(message.is_bigendian),
    )
