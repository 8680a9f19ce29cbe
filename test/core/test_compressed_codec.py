"""Claims about JPEG and PNG decoding."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from gam_depth_ros.core.image_codec import (
    ImageError,
    decode_compressed_color,
    decode_compressed_depth,
)

RED = (200, 30, 60)


def picture(height: int = 24, width: int = 32) -> np.ndarray:
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[:] = RED
    rgb[:, width // 2 :] = (10, 120, 240)
    return rgb


def encoded(suffix: str, pixels: np.ndarray) -> bytes:
    ok, data = cv2.imencode(suffix, pixels)
    assert ok
    return data.tobytes()


def depth_message(millimetres: np.ndarray, a: float = 0.0, b: float = 0.0) -> bytes:
    return struct.pack("<iff", 0, a, b) + encoded(".png", millimetres)


@pytest.mark.parametrize("message_format", ["png", "", "rgb8; png compressed bgr8"])
def test_png_decodes_to_rgb_exactly(message_format):
    rgb = picture()
    data = encoded(".png", np.ascontiguousarray(rgb[..., ::-1]))
    np.testing.assert_array_equal(decode_compressed_color(data, message_format), rgb)


@pytest.mark.parametrize(
    "message_format", ["jpeg", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8"]
)
def test_jpeg_decodes_to_rgb_within_its_loss(message_format):
    rgb = picture()
    decoded = decode_compressed_color(
        encoded(".jpg", np.ascontiguousarray(rgb[..., ::-1])), message_format
    )
    assert np.abs(decoded.astype(int) - rgb)[:, [4, 28]].max() <= 6


def test_jpeg_written_with_swapped_channels_is_swapped_back():
    decoded = decode_compressed_color(encoded(".jpg", picture()), "rgb8; jpeg compressed rgb8")
    np.testing.assert_allclose(decoded[0, 0], RED, atol=6)


def test_grey_jpeg_becomes_equal_channels():
    decoded = decode_compressed_color(encoded(".jpg", np.full((8, 8), 90, np.uint8)), "mono8; jpeg")
    np.testing.assert_array_equal(decoded, np.full((8, 8, 3), 90, np.uint8))


def test_compressed_mosaic_is_developed():
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[0::2, 0::2], mosaic[0::2, 1::2], mosaic[1::2, 0::2], mosaic[1::2, 1::2] = (
        RED[0],
        RED[1],
        RED[1],
        RED[2],
    )
    decoded = decode_compressed_color(encoded(".png", mosaic), "bayer_rggb8; png compressed ")
    assert decoded[4, 4].tolist() == list(RED)


def test_exif_rotation_is_not_applied():
    jpeg = encoded(".jpg", picture(24, 32))
    tiff = b"II*\x00\x08\x00\x00\x00" + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    body = b"Exif\x00\x00" + tiff
    rotated = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(rotated, np.uint8), cv2.IMREAD_COLOR).shape == (32, 24, 3)
    assert decode_compressed_color(rotated, "jpeg").shape == (24, 32, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.98])
def test_truncated_file_is_refused(suffix, kept):
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    data = encoded(suffix, noise)
    with pytest.raises(ImageError, match="truncated or corrupt"):
        decode_compressed_color(data[: int(len(data) * kept)], "jpeg")


def test_corrupt_jpeg_header_is_refused():
    data = bytearray(encoded(".jpg", picture()))
    data[2:40] = bytes(38)
    with pytest.raises(ImageError, match=r"got .* bytes"):
        decode_compressed_color(bytes(data), "jpeg")


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"BM" * 50]
)
def test_bytes_that_are_neither_jpeg_nor_png_are_refused(data):
    with pytest.raises(ImageError, match=r"got .* bytes") as caught:
        decode_compressed_color(data, "jpeg")
    assert "\n" not in str(caught.value)


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(60000, 60000), (16000, 16000), (0, 10)])
def test_decompression_bomb_is_refused_from_its_header(size, monkeypatch):
    def never(*_args):
        raise AssertionError("decompressed before the size was checked")

    monkeypatch.setattr(cv2, "imdecode", never)
    with pytest.raises(ImageError, match=f"got size {size[0]}x{size[1]}"):
        decode_compressed_color(png_claiming(*size), "png")


def test_jpeg_bomb_is_refused_from_its_header(monkeypatch):
    data = bytearray(encoded(".jpg", picture()))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
    with pytest.raises(ImageError, match="got size 60000x60000"):
        decode_compressed_color(bytes(data), "jpeg")


@pytest.mark.parametrize(
    "message_format", ["16UC1; compressedDepth png", "16UC1; compressedDepth", ""]
)
def test_compressed_depth_skips_its_header(message_format):
    millimetres = np.array([[0, 1500], [65535, 700]], np.uint16)
    depth_m = decode_compressed_depth(depth_message(millimetres), message_format)
    np.testing.assert_allclose(depth_m, [[np.nan, 1.5], [65.535, 0.7]], rtol=1e-6)
    bare = decode_compressed_depth(encoded(".png", millimetres), "16UC1; png")
    np.testing.assert_array_equal(bare, depth_m)


def test_compressed_float_depth_undoes_the_inverse_quantisation():
    # depth = A / (value - B): 100 / (60 - 10) = 2 m.
    values = np.array([[0, 60, 10, 5]], np.uint16)
    depth_m = decode_compressed_depth(
        depth_message(values, a=100.0, b=10.0), "32FC1; compressedDepth png"
    )
    np.testing.assert_allclose(depth_m, [[np.nan, 2.0, np.nan, np.nan]])


@pytest.mark.parametrize(
    ("data", "message_format", "words"),
    [
        (bytes(100), "16UC1; compressedDepth rvl", "expected a 16-bit PNG"),
        (b"", "16UC1; compressedDepth png", "got 0 bytes starting with nothing"),
        (
            encoded(".png", np.ones((4, 4), np.uint8)),
            "16UC1; png",
            "expected one channel of 16 bits",
        ),
        (
            encoded(".png", np.ones((4, 4), np.uint16)),
            "32FC1; compressedDepth png",
            "12-byte header",
        ),
        (
            depth_message(np.ones((40, 40), np.uint16))[:60],
            "16UC1; compressedDepth png",
            "truncated",
        ),
    ],
)
def test_bad_compressed_depth_is_refused_in_one_line(data, message_format, words):
    with pytest.raises(ImageError, match=words) as caught:
        decode_compressed_depth(data, message_format)
    assert "\n" not in str(caught.value)
