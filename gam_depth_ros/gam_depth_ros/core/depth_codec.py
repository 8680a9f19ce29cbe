"""Depth images of ``sensor_msgs/Image`` to metres and back (REP-117, REP-118)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.image_layout import ImageError, PixelData, native, pixel_view

DEPTH_ENCODINGS = ("32FC1", "16UC1", "mono16")
OUTPUT_DEPTH_ENCODINGS = ("32FC1", "16UC1")
_MILLIMETRES = np.float32(1000.0)
_LARGEST_MM = 65535


def decode_depth(
    data: PixelData, encoding: str, height: int, width: int, step: int, is_bigendian: bool = False
) -> npt.NDArray[np.float32]:
    """Decode a depth image.

    Args:
        data: The message's bytes.
        encoding: 32FC1 (metres), or 16UC1 or mono16 (millimetres, 0 invalid).
        height: Rows.
        width: Columns.
        step: Bytes from one row to the next.
        is_bigendian: Byte order of the values.

    Returns:
        H×W float32 metres, a new array; NaN where there is no reading (0, negative, infinite).

    Raises:
        ImageError: unknown encoding, or size, step and data that do not fit together.
    """
    if encoding not in DEPTH_ENCODINGS:
        raise ImageError(
            f"depth image: got encoding {encoding!r:.40}, expected one of "
            f"{', '.join(DEPTH_ENCODINGS)};"
            " set the camera driver's depth format"
        )
    dtype = "f4" if encoding == "32FC1" else "u2"
    view = native(pixel_view(data, encoding, height, width, step, is_bigendian, dtype, 1))
    return clean_metres(view) if encoding == "32FC1" else metres_of_millimetres(view)


def metres_of_millimetres(millimetres: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Turn uint16 millimetres into float32 metres; 0 becomes NaN."""
    depth_m = millimetres.astype(np.float32)
    depth_m /= _MILLIMETRES
    depth_m[millimetres == 0] = np.nan
    return depth_m


def clean_metres(depth_m: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a copy with NaN for everything that is not finite and above zero."""
    cleaned = np.array(depth_m, np.float32, order="C")
    cleaned[~((cleaned > 0) & (cleaned < np.inf))] = np.nan
    return cleaned


def encode_depth(
    depth_m: npt.NDArray[np.float32], encoding: str = "32FC1"
) -> tuple[npt.NDArray[Any], str, int]:
    """Encode a depth image, little-endian, without row padding.

    Args:
        depth_m: H×W float32 metres; not finite or not positive where unknown.
        encoding: 32FC1 (metres, unknown stays as it is) or 16UC1 (millimetres to the nearest,
            0 unknown, beyond 65.535 m saturated).

    Returns:
        The C-contiguous pixels, the encoding, and the step in bytes.

    Raises:
        ImageError: another encoding.
    """
    if encoding not in OUTPUT_DEPTH_ENCODINGS:
        raise ImageError(
            f"depth image: got encoding '{encoding}' to write, expected one of "
            f"{', '.join(OUTPUT_DEPTH_ENCODINGS)}; change the depth encoding parameter"
        )
    pixels: npt.NDArray[Any]
    if encoding == "32FC1":
        pixels = np.ascontiguousarray(depth_m, dtype="<f4")
    else:
        known = (depth_m > 0) & (depth_m < np.inf)
        millimetres = np.where(known, depth_m, 0.0) * _MILLIMETRES
        np.rint(millimetres, out=millimetres)
        pixels = np.minimum(millimetres, _LARGEST_MM).astype("<u2", order="C")
    return pixels, encoding, pixels.shape[1] * pixels.itemsize
