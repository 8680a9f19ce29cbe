"""Claims about raw image decoding and depth encoding."""

import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gam_depth_ros.core.image_codec import (
    COLOR_ENCODINGS,
    DEPTH_ENCODINGS,
    ImageError,
    decode_color,
    decode_depth,
    decode_mono,
    encode_confidence,
    encode_depth,
)

RED = (200, 30, 60)
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
pictures = sizes.flatmap(lambda hw: hnp.arrays(np.uint8, (*hw, 3)))


def padded(rows: np.ndarray, padding: int) -> tuple[bytes, int]:
    """Lay out H×row-bytes with padding after each row; returns data and step."""
    height = rows.shape[0]
    flat = np.ascontiguousarray(rows).reshape(height, -1).view(np.uint8)
    out = np.full((height, flat.shape[1] + padding), 0xEE, np.uint8)
    out[:, : flat.shape[1]] = flat
    return out.tobytes(), out.shape[1]


def to_encoding(rgb: np.ndarray, encoding: str) -> np.ndarray:
    opaque = np.full((*rgb.shape[:2], 1), 7, np.uint8)
    return {
        "rgb8": rgb,
        "bgr8": rgb[..., ::-1],
        "8UC3": rgb[..., ::-1],
        "rgba8": np.concatenate([rgb, opaque], -1),
        "bgra8": np.concatenate([rgb[..., ::-1], opaque], -1),
        "8UC4": np.concatenate([rgb[..., ::-1], opaque], -1),
    }[encoding]


@given(
    pictures, st.sampled_from(["rgb8", "bgr8", "8UC3", "rgba8", "bgra8", "8UC4"]), st.integers(0, 5)
)
def test_packed_colour_round_trips_with_any_row_padding(rgb, encoding, padding):
    data, step = padded(to_encoding(rgb, encoding), padding)
    decoded = decode_color(data, encoding, rgb.shape[0], rgb.shape[1], step)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, rgb)


def test_rgb8_is_a_view_of_the_message():
    data = array.array("B", range(12))
    decoded = decode_color(data, "rgb8", 2, 2, 6)
    data[0] = 99
    assert decoded[0, 0, 0] == 99
    assert not decoded.flags.writeable


@pytest.mark.parametrize(
    "kind", [bytes, bytearray, memoryview, lambda b: np.frombuffer(b, np.uint8)]
)
def test_any_buffer_is_accepted(kind):
    decoded = decode_color(kind(bytes(range(12))), "bgr8", 2, 2, 6)
    assert decoded[0, 0].tolist() == [2, 1, 0]


def test_grey_becomes_equal_channels():
    decoded = decode_color(bytes([1, 2, 3, 4]), "mono8", 2, 2, 2)
    assert decoded[1, 0].tolist() == [3, 3, 3]
    np.testing.assert_array_equal(decoded, decode_color(bytes([1, 2, 3, 4]), "8UC1", 2, 2, 2))


@pytest.mark.parametrize("is_bigendian", [False, True])
def test_mono16_scales_white_to_white_in_either_byte_order(is_bigendian):
    values = np.array([[0, 257, 65535]], ">u2" if is_bigendian else "<u2")
    decoded = decode_color(values.tobytes(), "mono16", 1, 3, 6, is_bigendian)
    assert decoded[0, :, 0].tolist() == [0, 1, 255]


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy"])
def test_uyvy_is_hand_computed(encoding):
    # U Y V Y; neutral U and V give grey, ITU-R 601 video range: Y 16 is black, 235 white.
    decoded = decode_color(bytes([128, 16, 128, 235]), encoding, 1, 2, 4)
    assert decoded.tolist() == [[[0, 0, 0], [255, 255, 255]]]
    # Pure red is Y 81, U 90, V 240.
    red = decode_color(bytes([90, 81, 240, 81]), encoding, 1, 2, 4)
    np.testing.assert_allclose(red[0, 0], [255, 0, 0], atol=2)


@pytest.mark.parametrize("encoding", ["yuv422_yuy2", "yuyv"])
def test_yuyv_is_hand_computed_and_skips_padding(encoding):
    data, step = padded(np.array([[81, 90, 81, 240]] * 2, np.uint8), 3)
    np.testing.assert_allclose(decode_color(data, encoding, 2, 2, step)[1, 1], [255, 0, 0], atol=2)


def test_yuv_of_odd_width_is_refused():
    with pytest.raises(ImageError, match="got width 3 for uyvy, expected an even one"):
        decode_color(bytes(12), "uyvy", 2, 3, 6)


def mosaic_of(rgb: tuple[int, int, int], pattern: str, side: int = 8) -> np.ndarray:
    """Draw what a sensor with this filter sees of a uniform colour, named as ROS names it."""
    value = dict(zip("rgb", rgb, strict=True))
    image = np.zeros((side, side), np.uint8)
    for index, letter in enumerate(pattern):
        image[index // 2 :: 2, index % 2 :: 2] = value[letter]
    return image


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_names_are_ros_names(pattern):
    mosaic = mosaic_of(RED, pattern)
    data, step = padded(mosaic, 3)
    decoded = decode_color(data, f"bayer_{pattern}8", 8, 8, step)
    assert decoded[2:6, 2:6].reshape(-1, 3).tolist() == [list(RED)] * 16


@pytest.mark.parametrize("is_bigendian", [False, True])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer16_gives_the_8_bit_colour_in_either_byte_order(pattern, is_bigendian):
    mosaic = (mosaic_of(RED, pattern).astype(np.uint16) * 257).astype(
        ">u2" if is_bigendian else "<u2"
    )
    decoded = decode_color(mosaic.tobytes(), f"bayer_{pattern}16", 8, 8, 16, is_bigendian)
    assert decoded[3, 3].tolist() == list(RED)


def test_bayer_without_neighbours_is_refused():
    with pytest.raises(ImageError, match="expected at least 3x3"):
        decode_color(bytes(4), "bayer_rggb8", 2, 2, 2)


@pytest.mark.parametrize("encoding", ["", "rgb9", "16UC1", "32FC1", "bayer_rggb", "bayer_rggb32"])
def test_unknown_colour_encoding_is_refused(encoding):
    with pytest.raises(ImageError, match=f"got encoding '{encoding}', expected one of rgb8, bgr8"):
        decode_color(bytes(100), encoding, 2, 2, 8)


@pytest.mark.parametrize("decode", [decode_color, decode_depth])
@pytest.mark.parametrize("encoding", ["x" * 4000, "rgb\n8", "\x1b[2J"])
def test_whatever_stands_in_an_encoding_the_refusal_is_one_short_line(decode, encoding):
    with pytest.raises(ImageError) as refusal:
        decode(bytes(12), encoding, 2, 2, 6)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize("encoding", COLOR_ENCODINGS)
def test_every_colour_encoding_refuses_bad_sizes_in_one_line(encoding):
    for height, width, step, words in (
        (0, 4, 64, "got size 4x0, expected at least one pixel"),
        (4, 0, 64, "got size 0x4, expected at least one pixel"),
        (4, 4, 1, "got step 1 for 4 pixels"),
        (4, 4, 64, "got 255 bytes of .*, expected 256"),
        (20000, 4, 64, "got size 4x20000, expected sides up to 16384"),
        (16000, 16000, 10**6, "at most 67108864 pixels"),
    ):
        with pytest.raises(ImageError, match=words) as caught:
            decode_color(bytes(255), encoding, height, width, step)
        assert "\n" not in str(caught.value)


def test_longer_data_than_needed_is_fine():
    assert decode_color(bytes(100), "rgb8", 2, 2, 6).shape == (2, 2, 3)


def test_data_that_is_no_buffer_is_refused():
    with pytest.raises(ImageError, match="got data of type list"):
        decode_color([1, 2, 3], "rgb8", 1, 1, 3)


def test_mono_is_a_view_and_other_encodings_are_refused():
    assert decode_mono(bytes([1, 2, 9, 3, 4, 9]), "mono8", 2, 2, 3).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(ImageError, match="got encoding 'rgb8', expected one of mono8"):
        decode_mono(bytes(12), "rgb8", 2, 2, 6)


def test_confidence_is_rounded_to_the_nearest_of_256_steps():
    confidence = np.linspace(0.0, 1.0, 5001, dtype=np.float32).reshape(3, 1667)
    steps = encode_confidence(confidence)
    assert steps.dtype == np.uint8
    assert np.abs(steps - 255.0 * confidence).max() <= 0.5 + 1e-4
    assert encode_confidence(np.array([[-0.1, 1.00001]], np.float32)).tolist() == [[0, 255]]


@pytest.mark.parametrize("is_bigendian", [False, True])
@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
def test_millimetres_become_metres_and_zero_nan(encoding, is_bigendian):
    values = np.array([[0, 1500], [65535, 1]], ">u2" if is_bigendian else "<u2")
    data, step = padded(values, 1)  # an odd step: rows are not aligned
    depth_m = decode_depth(data, encoding, 2, 2, step, is_bigendian)
    assert depth_m.dtype == np.float32
    assert np.isnan(depth_m[0, 0])
    assert depth_m[0, 1] == np.float32(1.5)
    assert depth_m[1].tolist() == pytest.approx([65.535, 0.001])


@pytest.mark.parametrize("is_bigendian", [False, True])
def test_float_depth_keeps_metres_and_turns_the_unusable_into_nan(is_bigendian):
    values = np.array([[1.25, 0.0, -1.0, np.inf, -np.inf, np.nan]], np.float32)
    data, step = padded(values.astype(">f4" if is_bigendian else "<f4"), 2)
    depth_m = decode_depth(data, "32FC1", 1, 6, step, is_bigendian)
    assert depth_m[0, 0] == 1.25
    assert np.isnan(depth_m[0, 1:]).all()
    assert depth_m.dtype.isnative


@pytest.mark.parametrize("encoding", ["rgb8", "64FC1", ""])
def test_unknown_depth_encoding_is_refused(encoding):
    with pytest.raises(ImageError, match=f"got encoding '{encoding}', expected one of 32FC1"):
        decode_depth(bytes(100), encoding, 2, 2, 8)


@pytest.mark.parametrize("encoding", DEPTH_ENCODINGS)
def test_short_depth_data_is_refused(encoding):
    with pytest.raises(ImageError, match=r"got 15 bytes of .*, expected 16"):
        decode_depth(bytes(15), encoding, 2, 2, 8)


@given(sizes.flatmap(lambda hw: hnp.arrays(np.uint16, hw)))
def test_millimetres_round_trip(millimetres):
    height, width = millimetres.shape
    depth_m = decode_depth(millimetres.tobytes(), "16UC1", height, width, 2 * width)
    pixels, encoding, step = encode_depth(depth_m, "16UC1")
    assert (encoding, step, pixels.flags.c_contiguous) == ("16UC1", 2 * width, True)
    np.testing.assert_array_equal(pixels, millimetres)


@given(
    sizes.flatmap(
        lambda hw: hnp.arrays(np.float32, hw, elements=st.floats(0.0078125, 100, width=32))
    )
)
def test_float_depth_round_trips(depth_m):
    height, width = depth_m.shape
    pixels, encoding, step = encode_depth(depth_m)
    assert (encoding, step) == ("32FC1", 4 * width)
    np.testing.assert_array_equal(
        decode_depth(pixels.tobytes(), encoding, height, width, step), depth_m
    )


def test_millimetre_output_saturates_and_writes_unknown_as_zero():
    depth_m = np.array([[np.nan, np.inf, -1.0, 0.0], [1.0004, 1.0006, 65.5351, 100.0]], np.float32)
    pixels, _, _ = encode_depth(depth_m, "16UC1")
    assert pixels.tolist() == [[0, 0, 0, 0], [1000, 1001, 65535, 65535]]


def test_encoding_depth_as_colour_is_refused():
    with pytest.raises(ImageError, match="got encoding 'rgb8' to write"):
        encode_depth(np.ones((2, 2), np.float32), "rgb8")
