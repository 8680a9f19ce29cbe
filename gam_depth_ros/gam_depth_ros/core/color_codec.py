"""Raw colour, grey and label images of ``sensor_msgs/Image`` to arrays."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.image_layout import ImageError, PixelData, native, pixel_view

# encoding -> (numpy type, channels, OpenCV conversion to RGB; None: is RGB already)
_PACKED: dict[str, tuple[str, int, int | None]] = {
    "rgb8": ("u1", 3, None),
    "bgr8": ("u1", 3, cv2.COLOR_BGR2RGB),
    "rgba8": ("u1", 4, cv2.COLOR_RGBA2RGB),
    "bgra8": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "mono8": ("u1", 1, cv2.COLOR_GRAY2RGB),
    "mono16": ("u2", 1, cv2.COLOR_GRAY2RGB),
    "8UC1": ("u1", 1, cv2.COLOR_GRAY2RGB),
    # Nothing in these names says the order; OpenCV's own is what writes them in practice.
    "8UC3": ("u1", 3, cv2.COLOR_BGR2RGB),
    "8UC4": ("u1", 4, cv2.COLOR_BGRA2RGB),
}
_YUV: dict[str, int] = {
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
    "yuyv": cv2.COLOR_YUV2RGB_YUY2,
}
# ROS names a mosaic by its first row's first two pixels and the second row's; OpenCV by the pixels
# in the second row, second and third column. RGGB of ROS is therefore BG of OpenCV, and so on.
_MOSAICS: dict[str, int] = {
    "bayer_rggb": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg": cv2.COLOR_BayerGB2RGB,
}
_SMALLEST_MOSAIC = 3
MONO_ENCODINGS = ("mono8", "8UC1")
COLOR_ENCODINGS: tuple[str, ...] = (
    *_PACKED,
    *_YUV,
    *(f"{mosaic}{bits}" for bits in (8, 16) for mosaic in _MOSAICS),
)


def decode_color(
    data: PixelData, encoding: str, height: int, width: int, step: int, is_bigendian: bool = False
) -> npt.NDArray[np.uint8]:
    """Decode a raw colour image.

    Args:
        data: The message's bytes.
        encoding: One of ``COLOR_ENCODINGS``.
        height: Rows.
        width: Columns.
        step: Bytes from one row to the next.
        is_bigendian: Byte order of 16-bit values.

    Returns:
        H×W×3 uint8 RGB; 16-bit values are scaled to 8. For rgb8 a read-only view of ``data``.

    Raises:
        ImageError: unknown encoding, or size, step and data that do not fit together.
    """
    if encoding in _PACKED:
        dtype, channels, code = _PACKED[encoding]
        view = pixel_view(data, encoding, height, width, step, is_bigendian, dtype, channels)
        pixels = to_8bit(view)
        return pixels if code is None else _convert(pixels, code)
    if encoding in _YUV:
        if width % 2:
            raise ImageError(
                f"image: got width {width} for {encoding}, expected an even one (two pixels share "
                "their colour); check the camera driver"
            )
        view = pixel_view(data, encoding, height, width, step, is_bigendian, "u1", 2)
        return _convert(view, _YUV[encoding])
    mosaic = encoding.rstrip("0123456789")
    if encoding in COLOR_ENCODINGS and mosaic in _MOSAICS:
        dtype = "u2" if encoding.endswith("16") else "u1"
        view = pixel_view(data, encoding, height, width, step, is_bigendian, dtype, 1)
        return demosaic(native(view), mosaic)
    raise ImageError(
        f"image: got encoding {encoding!r:.40}, expected one of {', '.join(COLOR_ENCODINGS)}; "
        "set the camera driver's colour format"
    )


def decode_mono(
    data: PixelData,
    encoding: str,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool = False,
) -> npt.NDArray[np.uint8]:
    """Decode an image of one byte per pixel, such as a label mask.

    Returns:
        H×W uint8, a read-only view of ``data``.

    Raises:
        ImageError: another encoding than mono8 or 8UC1, or size, step and data that do not fit.
    """
    if encoding not in MONO_ENCODINGS:
        raise ImageError(
            f"image: got encoding {encoding!r:.40}, expected one of {', '.join(MONO_ENCODINGS)}; "
            "publish the mask with one byte per pixel"
        )
    return pixel_view(data, encoding, height, width, step, is_bigendian, "u1", 1)


def encode_confidence(confidence: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Encode an H×W confidence as mono8: 0 to 1 become 0 to 255, to the nearest."""
    encoded: npt.NDArray[Any] = cv2.convertScaleAbs(np.clip(confidence, 0.0, 1.0), alpha=255.0)
    return encoded.reshape(confidence.shape)


def demosaic(mosaic_image: npt.NDArray[Any], mosaic: str) -> npt.NDArray[np.uint8]:
    """Turn a colour filter mosaic into RGB.

    Args:
        mosaic_image: H×W uint8 or uint16.
        mosaic: ``bayer_rggb``, ``bayer_bggr``, ``bayer_gbrg`` or ``bayer_grbg``.

    Raises:
        ImageError: fewer than three rows or columns: no neighbours to interpolate from.
    """
    height, width = mosaic_image.shape
    if min(height, width) < _SMALLEST_MOSAIC:
        raise ImageError(
            f"image: got size {width}x{height} for {mosaic}, expected at least "
            f"{_SMALLEST_MOSAIC}x{_SMALLEST_MOSAIC}; check the camera driver"
        )
    return to_8bit(_convert(mosaic_image, _MOSAICS[mosaic]))


def to_8bit(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Scale 16-bit values to 8 so that white stays white; 8-bit values pass untouched."""
    if pixels.dtype == np.uint8:
        return pixels
    scaled: npt.NDArray[Any] = cv2.convertScaleAbs(native(pixels), alpha=255.0 / 65535.0)
    return scaled.reshape(pixels.shape)


def _convert(pixels: npt.NDArray[Any], code: int) -> npt.NDArray[Any]:
    converted: npt.NDArray[Any] = cv2.cvtColor(pixels, code)
    return converted
