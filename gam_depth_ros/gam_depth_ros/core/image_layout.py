"""How pixels lie in a message's bytes: size, step, endianness. Checked before anything is read."""

from __future__ import annotations

import array
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

PixelData: TypeAlias = "bytes | bytearray | memoryview | array.array[int] | npt.NDArray[Any]"

MAX_SIDE_PX = 16384
"""Longest side of an image."""

MAX_PIXELS = 2**26
"""Most pixels of an image (8192×8192): what is larger is a broken header or an attack."""


class ImageError(ValueError):
    """Image data cannot be used. The message is one line: got, expected, remedy."""


def check_size(height: int, width: int) -> None:
    """Raise ImageError unless an image of this size may be decoded; call before allocating."""
    if height <= 0 or width <= 0:
        raise ImageError(
            f"image: got size {width}x{height}, expected at least one pixel; "
            "check the camera driver"
        )
    if height > MAX_SIDE_PX or width > MAX_SIDE_PX or height * width > MAX_PIXELS:
        raise ImageError(
            f"image: got size {width}x{height}, expected sides up to {MAX_SIDE_PX} and at most "
            f"{MAX_PIXELS} pixels; lower the camera's resolution"
        )


def as_bytes(data: PixelData) -> memoryview:
    """Return the bytes of a message's data without a copy; raises ImageError for a non-buffer."""
    try:
        view: memoryview = memoryview(data)  # type: ignore[arg-type, unused-ignore]
        return view.cast("B")
    except (TypeError, ValueError) as error:
        raise ImageError(
            f"image: got data of type {type(data).__name__} ({error}), expected contiguous bytes; "
            "pass the message's data as it is"
        ) from error


def pixel_view(
    data: PixelData,
    encoding: str,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool,
    dtype: str,
    channels: int,
) -> npt.NDArray[Any]:
    """Look at a message's bytes as an array, without a copy.

    Args:
        data: The message's bytes; more than needed is fine.
        encoding: Its encoding, for the error text.
        height: Rows.
        width: Columns.
        step: Bytes from one row to the next; padding at the end of rows is skipped.
        is_bigendian: Byte order of values longer than a byte.
        dtype: numpy type of a channel without byte order: ``u1``, ``u2`` or ``f4``.
        channels: Values per pixel.

    Returns:
        Read-only H×W (one channel) or H×W×C view, in the data's byte order.

    Raises:
        ImageError: size out of bounds, step shorter than a row, or data shorter than step×height.
    """
    check_size(height, width)
    item = np.dtype(dtype).newbyteorder(">" if is_bigendian else "<")
    row_bytes = width * channels * item.itemsize
    if step < row_bytes:
        raise ImageError(
            f"image: got step {step} for {width} pixels of {encoding}, expected at least "
            f"{row_bytes} bytes; check the camera driver"
        )
    pixels = as_bytes(data)
    if pixels.nbytes < step * height:
        raise ImageError(
            f"image: got {pixels.nbytes} bytes of {encoding}, expected {step * height} "
            f"(step {step} × height {height}); the message was cut short, check the camera driver"
        )
    shape: tuple[int, ...] = (height, width)
    strides: tuple[int, ...] = (step, channels * item.itemsize)
    if channels > 1:
        shape, strides = (*shape, channels), (*strides, item.itemsize)
    view: npt.NDArray[Any] = np.ndarray(shape, item, buffer=pixels, strides=strides)
    view.setflags(write=False)
    return view


def native(view: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values in this machine's byte order, aligned; a copy only where needed."""
    return np.require(view, view.dtype.newbyteorder("="), ["ALIGNED"])
