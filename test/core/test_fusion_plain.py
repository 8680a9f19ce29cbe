"""The fast fusion against a plain one in float64, which shares nothing and saves nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from fusion_frames import fusion, picture, reference, textured

from gam_depth_ros.core.correction_field import smooth_field
from gam_depth_ros.core.frame import SOURCE_FUSED, SOURCE_NETWORK, SOURCE_SENSOR
from gam_depth_ros.core.fusion_config import FusionConfig
from gam_depth_ros.core.sensor_alignment import align, at_cells
from gam_depth_ros.core.sensor_model import sensor_model
from gam_depth_ros.core.sensor_readings import ReadingModel

SIZE = (120, 160)
CONFIG = FusionConfig(mode="fuse", sensor="kinect")


@pytest.fixture(scope="module")
def frame():
    """Readings with noise, steps, holes and outliers; a prediction that is smooth and off."""
    rng = np.random.default_rng(5)
    sensor_m = textured(1, size=SIZE) * (1 + 0.01 * rng.standard_normal(SIZE).astype(np.float32))
    sensor_m[30:70, 40:90] *= 0.5
    sensor_m[30:75, 30:40] = np.nan
    sensor_m[rng.random(SIZE) < 0.02] *= 3
    sensor_m[rng.random(SIZE) < 0.05] = np.nan
    depth_m = textured(1, size=SIZE) * np.float32(1.15)
    depth_m[30:70, 40:90] *= np.float32(0.55)
    sigma_m = depth_m * np.linspace(0.02, 0.3, SIZE[1], dtype=np.float32)
    rgb = picture(size=SIZE)
    rgb[80:, :50] = 3
    return sensor_m, depth_m, sigma_m, rgb


def around(image, px, gather, outside):
    """Gather the values within ``px`` of each pixel."""
    padded = np.pad(image, px, constant_values=outside)
    window = np.lib.stride_tricks.sliding_window_view(padded, (2 * px + 1, 2 * px + 1))
    return gather(window, axis=(2, 3))


def resized(image, size_hw, method=cv2.INTER_LINEAR):
    return cv2.resize(image, size_hw[::-1], interpolation=method)


def plain_noise(depth_m):
    return (0.005 * depth_m) ** 2 + (1.425e-3 * depth_m**2) ** 2


def plain_variance(sensor_m, rgb):
    """Variance of the readings: noise, relief beyond it, holes and darkness around; half size."""
    half_m = sensor_m[::2, ::2].astype(np.float64)
    seen = (half_m >= 0.4) & (half_m <= 8.0)
    nearest_m = around(np.where(seen, half_m, 8.0), 1, np.min, 8.0)
    farthest_m = around(np.where(seen, half_m, 0.0), 1, np.max, 0.0)
    farthest_m = np.where(farthest_m == 0, 8.0, farthest_m)
    noise = plain_noise(farthest_m)
    relief_m = np.maximum(farthest_m - nearest_m - 3 * np.sqrt(noise), 0)
    quarter_hw = half_m.shape[0] // 2, half_m.shape[1] // 2
    share = resized((~seen).astype(np.float64), quarter_hw, cv2.INTER_AREA)
    share = np.pad(share, 2, mode="reflect")
    share = np.lib.stride_tricks.sliding_window_view(share, (5, 5)).mean(axis=(2, 3))
    grey = rgb[2::4, 2::4, 1].astype(np.float64)
    extreme = np.clip(np.maximum((30 - grey) / 20, (grey - 245) / 7), 0, 1)
    relative = resized((0.1 * share) ** 2 + (0.02 * extreme) ** 2, half_m.shape)
    return noise + (0.8 / 4 * relief_m) ** 2 + relative * farthest_m**2


def test_variance_of_readings_is_that_of_the_plain_formula(frame):
    sensor_m, _, _, rgb = frame
    found = ReadingModel(CONFIG, sensor_model(CONFIG)).read(sensor_m, rgb).variance_m2
    # The share of holes is rounded to a byte, twice.
    np.testing.assert_allclose(np.sqrt(found), np.sqrt(plain_variance(sensor_m, rgb)), rtol=0.02)


def plain_field(values, weights, prior):
    """Push-pull interpolation down to a single cell, whatever the support."""
    levels, sums = [], [weights, weights * values, weights * values**2]
    while True:
        mean, square = (part / np.maximum(sums[0], 1e-6) for part in sums[1:])
        levels.append((mean, np.maximum(square - mean**2, 0), np.minimum(4 * sums[0], 1)))
        height, width = sums[0].shape
        if height == width == 1:
            break
        halved = (height + 1) // 2, (width + 1) // 2
        sums = [resized(part, halved, cv2.INTER_AREA) for part in sums]
    field, variance = np.zeros((1, 1)), np.full((1, 1), prior)
    for mean, spread, support in reversed(levels):
        field, variance = resized(field, mean.shape), resized(variance, mean.shape)
        field = field + support * (mean - field)
        variance = variance + support * (spread - variance)
    return field, variance


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.97])
def test_a_pyramid_that_ends_early_gives_the_field_of_the_whole_one(missing):
    rng = np.random.default_rng(2)
    values = cv2.GaussianBlur(rng.normal(0, 1, (60, 80)), (0, 0), 4)
    weights = (rng.random(values.shape) >= missing).astype(np.float64)
    field, variance = plain_field(values, weights, 0.09)
    found = smooth_field(values.astype(np.float32), weights.astype(np.float32), 0.09)
    np.testing.assert_allclose(found.fine, field, atol=1e-5)
    np.testing.assert_allclose(found.fine_variance, variance, atol=1e-5)


def plain_fusion(frame, readings, alignment):
    """Weigh, average, choose and fill; every quarter-size plane interpolated to half size."""
    sensor_m, depth_m, sigma_m, _ = (image.astype(np.float64) for image in frame)
    half_hw = sensor_m.shape[0] // 2, sensor_m.shape[1] // 2

    def full(half):
        return np.kron(half, np.ones((2, 2)))

    cells_m = at_cells(frame[1], 1)
    opinion = alignment.opinion(cells_m, readings, sensor_model(CONFIG))
    filling = alignment.filling(cells_m, at_cells(frame[2], 1))
    s = full(readings.variance_m2.astype(np.float64))
    p = full(sigma_m[::2, ::2] ** 2)
    q = full(resized(opinion.sigma_m.astype(np.float64), half_hw) ** 2)
    factor = full(resized(opinion.factor.astype(np.float64), half_hw))
    average_m = (sensor_m * q + depth_m * factor * s) / (s + q)
    average_sigma = np.minimum(np.sqrt(s * p / (s + p)), sigma_m)
    agree = np.abs(sensor_m - full(depth_m[::2, ::2])) <= 3 * np.sqrt(s + p)
    sensor_first = s <= sigma_m**2
    surprise = (sensor_m - depth_m) ** 2 / (s + sigma_m**2)
    chosen_m = np.where(
        sensor_first, sensor_m, depth_m * np.kron(opinion.factor, np.ones((4, 4)))
    )
    chosen_sigma = np.sqrt(np.minimum(s, sigma_m**2) * (1 + surprise))
    hole = ~((sensor_m >= 0.4) & (sensor_m <= 8.0))
    filled_m = depth_m * full(resized(filling.factor.astype(np.float64), half_hw))
    filled_sigma = full(resized(filling.sigma_m.astype(np.float64), half_hw))
    choice = np.where(sensor_first, SOURCE_SENSOR, SOURCE_NETWORK)
    return (
        np.where(hole, filled_m, np.where(agree, average_m, chosen_m)),
        np.where(hole, filled_sigma, np.where(agree, average_sigma, chosen_sigma)),
        np.where(hole, SOURCE_NETWORK, np.where(agree, SOURCE_FUSED, choice)),
    )


def test_fused_depth_sigma_and_source_are_those_of_the_plain_rule(frame):
    sensor_m, depth_m, sigma_m, rgb = frame
    result = fusion("fuse").update(0, depth_m, sigma_m, reference(sensor_m), rgb)
    readings = ReadingModel(CONFIG, sensor_model(CONFIG)).read(sensor_m, rgb)
    plain_m, plain_sigma, source = plain_fusion(
        frame, readings, align(readings, at_cells(depth_m, 1))
    )
    assert set(np.unique(source)) == {SOURCE_SENSOR, SOURCE_NETWORK, SOURCE_FUSED}
    same = result.source == source
    assert same.mean() > 0.9999  # rounding at the gate
    np.testing.assert_allclose(result.depth_m[same], plain_m[same], rtol=1e-4)
    np.testing.assert_allclose(result.sigma_m[same], plain_sigma[same], rtol=1e-3)
