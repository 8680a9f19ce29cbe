"""JPEG and PNG images of ``sensor_msgs/CompressedImage`` to arrays.

The size is read from the header and bounded before the picture is decompressed, so a small file
cannot claim gigabytes. What the bytes are is told from the bytes, not from ``format``.
"""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.color_codec import COLOR_ENCODINGS, demosaic
from gam_depth_ros.core.depth_codec import clean_metres, metres_of_millimetres
from gam_depth_ros.core.image_layout import ImageError, PixelData, as_bytes, check_size

_JPEG_MAGIC, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_MOST_PNG_CHUNKS = 100_000
_JPEG_SCAN, _MOST_JPEG_SCANS = b"\xff\xda", 32  # a progressive file has about ten
_PNG_SIZE_AT = 16
_DEPTH_HEADER = struct.Struct("<iff")  # compressed_depth_image_transport::ConfigHeader
# Every start-of-frame marker; C4, C8 and CC are other things.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MARKERS_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD8)))


def decode_compressed_color(data: PixelData, message_format: str = "") -> npt.NDArray[np.uint8]:
    """Decode a compressed colour image.

    Args:
        data: A JPEG or PNG file's bytes.
        message_format: The message's format, for example ``jpeg``, ``png`` or
            ``rgb8; jpeg compressed bgr8``: says what the camera's encoding was (a Bayer mosaic is
            developed) and whether the file holds its channels swapped (``compressed rgb8``).

    Returns:
        H×W×3 uint8 RGB, as stored: an EXIF rotation is not applied.

    Raises:
        ImageError: not JPEG or PNG, too large, truncated or corrupt.
    """
    content = as_bytes(data)
    original, _, transport = message_format.partition(";")
    mosaic = original.strip().rstrip("0123456789")
    if mosaic.startswith("bayer_") and original.strip() in COLOR_ENCODINGS:
        pixels = _decompress(content, cv2.IMREAD_UNCHANGED)
        if pixels.ndim == 2:
            return demosaic(pixels, mosaic)
    bgr = _decompress(content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if "compressed rgb" in transport:
        # Written by OpenCV from RGB as if it were BGR: reading swaps it back.
        return bgr
    rgb: npt.NDArray[Any] = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb


def decode_compressed_depth(data: PixelData, message_format: str = "") -> npt.NDArray[np.float32]:
    """Decode a compressed depth image.

    Args:
        data: What compressedDepth publishes (12 bytes of header, then a 16-bit PNG), or a plain
            16-bit PNG of millimetres.
        message_format: The message's format, for example ``16UC1; compressedDepth png``. 32FC1
            means quantised inverse depth, undone with the factors in the header.

    Returns:
        H×W float32 metres; NaN where there is no reading.

    Raises:
        ImageError: RVL or another compression, not a 16-bit grey PNG, too large, truncated or
            corrupt.
    """
    content = as_bytes(data)
    header_bytes = 0
    if bytes(content[: len(_PNG_MAGIC)]) != _PNG_MAGIC:
        header_bytes = _DEPTH_HEADER.size
    png = content[header_bytes:]
    if "rvl" in message_format.lower() or bytes(png[: len(_PNG_MAGIC)]) != _PNG_MAGIC:
        raise ImageError(
            f"compressed depth: got {_signature(content)} with format '{message_format}', expected "
            "a 16-bit PNG; set the publisher's compressedDepth format to png"
        )
    pixels = _decompress(png, cv2.IMREAD_UNCHANGED)
    if pixels.ndim != 2 or pixels.dtype != np.uint16:
        raise ImageError(
            f"compressed depth: got a PNG {pixels.shape} {pixels.dtype}, expected one channel of "
            "16 bits; publish depth with compressedDepth"
        )
    if message_format.strip().startswith("32FC1"):
        return _undo_inverse_depth(pixels, content, header_bytes)
    return metres_of_millimetres(pixels)


def _undo_inverse_depth(
    pixels: npt.NDArray[Any], content: memoryview, header_bytes: int
) -> npt.NDArray[np.float32]:
    """Return depth = A / (value - B), with A and B from the header; 0 is no reading."""
    if not header_bytes:
        raise ImageError(
            "compressed depth: got a bare PNG for 32FC1, expected the 12-byte header of "
            "compressedDepth before it; publish depth with compressedDepth"
        )
    _, factor, offset = _DEPTH_HEADER.unpack(content[:header_bytes])
    with np.errstate(divide="ignore", invalid="ignore"):
        depth_m = np.float32(factor) / (pixels.astype(np.float32) - np.float32(offset))
    depth_m[pixels == 0] = np.nan
    return clean_metres(depth_m)


def decode_picture(data: PixelData, flags: int) -> npt.NDArray[Any]:
    """Decode the bytes of a JPEG or PNG file as OpenCV's ``imdecode`` would, but for its bounds.

    Args:
        data: The file's bytes.
        flags: ``cv2.IMREAD_COLOR``, ``cv2.IMREAD_UNCHANGED``, ...

    Raises:
        ImageError: not JPEG or PNG, too large, truncated or corrupt.
    """
    return _decompress(as_bytes(data), flags)


def _decompress(content: memoryview, flags: int) -> npt.NDArray[Any]:
    """Check the header and the end of a JPEG or PNG, then decode it."""
    data = np.frombuffer(content, np.uint8)
    if bytes(content[:3]) == _JPEG_MAGIC:
        height, width = _jpeg_size_hw(content)
        whole = _jpeg_is_whole(bytes(content))
    elif bytes(content[: len(_PNG_MAGIC)]) == _PNG_MAGIC and len(content) >= _PNG_SIZE_AT + 8:
        width, height = struct.unpack(">II", content[_PNG_SIZE_AT : _PNG_SIZE_AT + 8])
        whole = _png_is_whole(content)
    else:
        raise ImageError(
            f"compressed image: got {_signature(content)}, expected a JPEG or PNG file; "
            "set the publisher's compression format"
        )
    check_size(height, width)
    pixels: npt.NDArray[Any] | None = None
    if whole:
        try:
            pixels = cv2.imdecode(data, flags)
        except cv2.error:
            pixels = None
    if pixels is None or pixels.shape[:2] != (height, width):
        raise ImageError(
            f"compressed image: got {len(content)} bytes that do not decode to {width}x{height}, "
            "expected a whole file; it is truncated or corrupt, check the network or the recording"
        )
    return pixels


def _png_is_whole(content: memoryview) -> bool:
    """Whether every chunk lies within the data, up to IEND.

    OpenCV reserves and clears what a chunk claims before it looks at what there is: a hundred bytes
    that claim four gigabytes would hold the process for half a minute.
    """
    at, end = len(_PNG_MAGIC), len(content)
    for _ in range(_MOST_PNG_CHUNKS):
        if at + 12 > end:
            return False
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        at += 12 + length
        if kind == b"IEND":
            return bool(at <= end)
    return False


def _jpeg_is_whole(content: bytes) -> bool:
    """Whether a JPEG has its end, and no more scans than a picture needs.

    Each scan goes over the whole picture: thirty bytes more would cost a tenth of a second each.
    """
    return content.rfind(_JPEG_END) > 0 and content.count(_JPEG_SCAN) <= _MOST_JPEG_SCANS


def _jpeg_size_hw(content: memoryview) -> tuple[int, int]:
    """Return height and width from a JPEG's start-of-frame segment."""
    at, end = 2, len(content)
    while at + 9 <= end and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF or marker in _MARKERS_WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _START_OF_FRAME:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return height, width
        at += 2 + int(struct.unpack(">H", content[at + 2 : at + 4])[0])
    raise ImageError(
        f"compressed image: got a JPEG of {end} bytes without a frame header, expected a whole "
        "file; it is truncated or corrupt, check the network or the recording"
    )


def _signature(content: memoryview) -> str:
    """Describe bytes that were not recognised."""
    return f"{len(content)} bytes starting {bytes(content[:4]).hex() or 'with nothing'}"
