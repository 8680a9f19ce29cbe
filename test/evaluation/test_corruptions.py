"""Fifteen corruptions: what each does to a picture, by its definition."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from gam_depth_ros.evaluation.corruption_blur import (
    blur_by_motion,
    blur_by_zoom,
    defocus,
    disk_kernel,
    frost,
    line_kernel,
)
from gam_depth_ros.evaluation.corruption_coding import (
    compress_jpeg,
    pixelate,
    quantise,
    warp_elastically,
)
from gam_depth_ros.evaluation.corruption_light import brighten, darken, lower_contrast
from gam_depth_ros.evaluation.corruption_noise import (
    add_gaussian,
    add_impulses,
    add_iso,
    add_shot,
)
from gam_depth_ros.evaluation.corruptions import CORRUPTIONS, JPEG_QUALITY, SEVERITIES, corrupt


def scene(height: int = 120, width: int = 160) -> np.ndarray:
    """A picture with smooth shading, edges and fine texture in three different channels."""
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[0:height, 0:width]
    shade = 70 + 90 * columns / width + 30 * np.sin(rows / 9.0)
    rgb = np.stack([shade, 0.8 * shade + 20, 0.6 * shade + 40], axis=-1)
    rgb[height // 4 + 1 : height // 2 + 3, width // 3 : width // 2 + 1] = (200, 60, 40)
    tile = height // 5 + 1  # edges that no grid of large pixels falls on
    rgb[(rows // tile + columns // tile) % 2 == 0] *= 0.8
    return np.clip(rgb + rng.normal(0, 1, rgb.shape), 0, 255).astype(np.uint8)


def psnr_db(picture: np.ndarray, original: np.ndarray) -> float:
    square = np.mean((picture.astype(np.float64) - original) ** 2)
    return float(10 * np.log10(255**2 / max(square, 1e-9)))


def flat(value: int, size: tuple[int, int] = (40, 50)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_there_are_the_fifteen_of_the_benchmark() -> None:
    assert CORRUPTIONS == (
        "bright", "dark", "contrast", "defocus", "glass", "motion", "zoom", "elastic",
        "quantisation", "gaussian", "impulse", "shot", "iso", "pixelate", "jpeg",
    )  # fmt: skip


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_damage_grows_with_severity(name: str) -> None:
    original = scene(480, 640)
    kept = original.copy()
    pictures = [corrupt(original, name, severity, seed=4) for severity in SEVERITIES]
    for picture in pictures:
        assert picture.shape == original.shape
        assert picture.dtype == np.uint8
    np.testing.assert_array_equal(original, kept)
    quality_db = [psnr_db(picture, original) for picture in pictures]
    assert all(worse < better - 0.2 for better, worse in itertools.pairwise(quality_db))
    assert quality_db[0] > 14.0


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_same_seed_gives_the_same_bytes(name: str) -> None:
    np.testing.assert_array_equal(corrupt(scene(), name, 3, 11), corrupt(scene(), name, 3, 11))


@pytest.mark.parametrize(
    "name", ["glass", "motion", "elastic", "gaussian", "impulse", "shot", "iso"]
)
def test_another_seed_gives_another_accident(name: str) -> None:
    assert (corrupt(scene(), name, 3, 11) != corrupt(scene(), name, 3, 12)).any()


@pytest.mark.parametrize(
    "picture",
    [
        brighten(scene(), 0.0),
        darken(scene(), 0.0),
        lower_contrast(scene(), 1.0),
        defocus(scene(), 0.0),
        frost(scene(), 0.0, 0, 3, rng()),
        blur_by_motion(scene(), 0.0, 0.3),
        blur_by_zoom(scene(), 1.0),
        warp_elastically(scene(), 0.0, 5.0, rng()),
        quantise(scene(), 8),
        add_gaussian(scene(), 0.0, rng()),
        add_impulses(scene(), 0.0, rng()),
        pixelate(scene(), 1.0),
    ],
)
def test_nothing_asked_for_changes_nothing(picture: np.ndarray) -> None:
    np.testing.assert_array_equal(picture, scene())


def test_much_light_leaves_little_noise() -> None:
    assert psnr_db(add_shot(scene(), 1e7, rng()), scene()) > 50.0
    assert psnr_db(add_iso(scene(), 1e7, 2.0, rng()), scene()) > 50.0


def test_bright_lifts_the_value_and_keeps_the_hue() -> None:
    # V of (100, 50, 0) is 100; a fifth of full scale more is 151, so every channel times 1.51.
    picture = np.array([[[100, 50, 0], [0, 0, 0], [250, 10, 10]]], np.uint8)
    expected = [[[151, 76, 0], [51, 51, 51], [255, 10, 10]]]
    np.testing.assert_array_equal(brighten(picture, 0.2), expected)


def test_dark_halves_the_linear_light_with_each_stop() -> None:
    # sRGB of half the light: 1.055·0.5^(1/2.4) − 0.055 = 0.7354, of a quarter 0.5371.
    np.testing.assert_array_equal(darken(flat(255), 1.0), flat(188))
    np.testing.assert_array_equal(darken(flat(255), 2.0), flat(137))
    np.testing.assert_array_equal(darken(flat(0), 5.0), flat(0))


def test_contrast_keeps_the_mean_of_each_channel() -> None:
    picture = np.zeros((1, 2, 3), np.uint8)
    picture[0, 0], picture[0, 1] = (100, 50, 0), (200, 50, 40)
    expected = [[[125, 50, 10], [175, 50, 30]]]
    np.testing.assert_array_equal(lower_contrast(picture, 0.5), expected)


def test_blur_kernels_sum_to_one_and_have_their_shape() -> None:
    disk = disk_kernel(3.0)
    assert disk.sum() == pytest.approx(1.0)
    # The share of a full pixel is one over the area of the disk.
    assert disk[3, 3] == pytest.approx(1.0 / (np.pi * 9.0), rel=0.01)
    assert disk[0, 0] == 0.0
    line = line_kernel(4.0, 0.0)
    assert line.sum() == pytest.approx(1.0)
    middle = line.shape[0] // 2
    assert line[middle].sum() == pytest.approx(1.0)
    assert line[middle, middle] == pytest.approx(0.25)
    np.testing.assert_allclose(line_kernel(4.0, np.pi / 2), line.T, atol=1e-6)


def test_blur_leaves_a_flat_picture_flat() -> None:
    for picture in (
        defocus(flat(77), 4.0),
        blur_by_motion(flat(77), 9.0, 1.0),
        blur_by_zoom(flat(77), 1.3),
        frost(flat(77), 1.0, 3, 2, rng()),
        warp_elastically(flat(77), 4.0, 6.0, rng()),
    ):
        np.testing.assert_array_equal(picture, flat(77))


def test_motion_blurs_along_its_direction_only() -> None:
    stripes = np.zeros((40, 40, 3), np.uint8)
    stripes[:, ::2] = 200
    np.testing.assert_array_equal(blur_by_motion(stripes, 8.0, np.pi / 2), stripes)
    across = blur_by_motion(stripes, 8.0, 0.0)
    assert np.ptp(across[20, 10:30, 0]) < 20


def test_zoom_leaves_the_centre_and_moves_the_edge() -> None:
    picture = np.zeros((41, 41, 3), np.uint8)
    picture[18:23, 18:23] = 255
    zoomed = blur_by_zoom(picture, 1.5)
    assert (zoomed[20, 20] == 255).all()
    assert 0 < zoomed[20, 23, 0] < 255


def test_frosted_glass_shows_only_what_is_near() -> None:
    picture = np.zeros((30, 30, 3), np.uint8)
    picture[:, 15:] = 255
    shown = frost(picture, 0.0, 2, 1, rng())
    assert set(np.unique(shown)) == {0, 255}
    np.testing.assert_array_equal(shown[:, :13], picture[:, :13])
    np.testing.assert_array_equal(shown[:, 17:], picture[:, 17:])
    assert (shown[:, 13:17] != picture[:, 13:17]).any()


def test_elastic_displaces_by_the_amplitude_asked_for() -> None:
    # A ramp shows the displacement itself: value = 2·column.
    ramp = np.repeat(np.arange(0, 240, 2, dtype=np.uint8)[None, :, None], 100, axis=0)
    warped = warp_elastically(np.repeat(ramp, 3, axis=2), 3.0, 8.0, rng())
    shift = (warped[..., 0].astype(float) - ramp[..., 0])[:, 15:-15] / 2.0
    assert np.sqrt(np.mean(shift**2)) == pytest.approx(3.0, rel=0.2)


def test_quantisation_rounds_to_the_nearest_level() -> None:
    values = np.array([[[0, 127, 128]], [[42, 43, 255]]], np.uint8)
    np.testing.assert_array_equal(quantise(values, 1), [[[0, 0, 255]], [[0, 0, 255]]])
    np.testing.assert_array_equal(quantise(values, 2), [[[0, 85, 170]], [[0, 85, 255]]])


def test_gaussian_noise_has_the_deviation_asked_for() -> None:
    noise = add_gaussian(flat(128, (200, 200)), 0.1, rng()).astype(float) - 128
    assert np.std(noise) == pytest.approx(25.5, rel=0.02)
    assert np.mean(noise) == pytest.approx(0.0, abs=0.3)


def test_impulses_hit_the_share_asked_for_half_black_half_white() -> None:
    noisy = add_impulses(flat(128, (200, 200)), 0.1, rng())
    assert np.mean(noisy == 0) == pytest.approx(0.05, rel=0.05)
    assert np.mean(noisy == 255) == pytest.approx(0.05, rel=0.05)
    assert np.mean(noisy == 128) == pytest.approx(0.9, rel=0.01)


def test_shot_noise_has_a_variance_equal_to_its_mean() -> None:
    counts = add_shot(flat(102, (200, 200)), 25.5, rng()).astype(float) / 10.0
    assert counts.mean() == pytest.approx(10.2, rel=0.01)
    assert counts.var() == pytest.approx(10.2, rel=0.05)


def test_iso_noise_is_worst_in_the_dark_and_shot_noise_in_the_light() -> None:
    def spread(noisy: np.ndarray) -> float:
        return float(noisy.astype(float).std())

    dark, light = flat(60, (100, 100)), flat(190, (100, 100))
    assert spread(add_iso(dark, 200.0, 2.0, rng())) > spread(add_iso(light, 200.0, 2.0, rng()))
    assert spread(add_shot(dark, 200.0, rng())) < spread(add_shot(light, 200.0, rng()))


def test_pixelate_makes_blocks_of_their_mean() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2, :2] = [[[0], [40]], [[80], [120]]]
    blocks = pixelate(picture, 0.5)
    np.testing.assert_array_equal(blocks[:2, :2], np.full((2, 2, 3), 60))
    np.testing.assert_array_equal(blocks[2:], 0)


def test_jpeg_is_what_the_codec_gives_in_rgb() -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY[1]]
    _, data = cv2.imencode(".jpg", scene()[..., ::-1], options)
    expected = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(compress_jpeg(scene(), JPEG_QUALITY[1]), expected)
    np.testing.assert_array_equal(corrupt(scene(), "jpeg", 2, 0), expected)


def test_a_picture_twice_as_large_looks_alike() -> None:
    small = scene()
    large = cv2.resize(small, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    shrunk = corrupt(large, "defocus", 5, 0).reshape(120, 2, 160, 2, 3).mean(axis=(1, 3))
    assert psnr_db(shrunk, corrupt(small, "defocus", 5, 0)) > 32.0


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (48, 64)])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_small_pictures_survive(name: str, size: tuple[int, int]) -> None:
    assert corrupt(flat(100, size), name, 5, 0).shape == (*size, 3)


def test_mistakes_are_said_in_one_line() -> None:
    with pytest.raises(ValueError, match="got 'fog', expected one of bright, dark"):
        corrupt(scene(), "fog", 1, 0)
    with pytest.raises(ValueError, match="severity: got 6, expected 1 to 5"):
        corrupt(scene(), "dark", 6, 0)
    with pytest.raises(ValueError, match=r"got \(120, 160\) uint8, expected H×W×3 uint8"):
        corrupt(scene()[..., 0], "dark", 1, 0)
