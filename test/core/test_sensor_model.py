"""Claims about how far a depth sensor is trusted."""

import math

import numpy as np
import pytest

from gam_depth_ros.core.correction_field import smooth_field
from gam_depth_ros.core.fusion_config import FusionConfig
from gam_depth_ros.core.sensor_model import sensor_model
from gam_depth_ros.core.sensor_readings import ReadingModel

SIZE = (48, 64)


def sigma_at(depth_m, sensor, **changes):
    model = sensor_model(FusionConfig(sensor=sensor, **changes))
    return math.sqrt(float(model.variance_m2(np.full((1, 1), depth_m, np.float32))[0, 0]))


def sigma_of(depth_m, rgb=None, **changes):
    """Sigma by cell of a Kinect's depth image."""
    config = FusionConfig(**{"sensor": "kinect"} | changes)
    rgb = np.full((*depth_m.shape, 3), 128, np.uint8) if rgb is None else rgb
    return np.sqrt(ReadingModel(config, sensor_model(config)).read(depth_m, rgb).variance_m2)


def plane(value=2.0):
    return np.full(SIZE, value, np.float32)


def test_kinect_noise_is_that_of_the_published_model():
    # 3.6 cm at 5 m (Khoshelham and Elberink: 4 cm at the maximum range of 5 m), and calibration.
    assert sigma_at(5.0, "kinect") == pytest.approx(math.hypot(0.0356, 0.025), rel=1e-2)


def test_realsense_noise_follows_subpixel_over_focal_and_baseline():
    # 2 m: 4 * 0.08 / (383 * 0.05) = 16.7 mm, and half a percent of calibration.
    assert sigma_at(2.0, "realsense") == pytest.approx(math.hypot(0.01671, 0.01), rel=1e-3)
    far = sigma_at(4.0, "realsense", stereo_baseline_m=0.1)
    assert far == pytest.approx(math.hypot(0.03342, 0.02), rel=1e-3)


def test_a_custom_sensor_adds_its_three_parts_in_quadrature():
    sigma = sigma_at(
        2.0, "custom", custom_floor_m=0.03, custom_relative=0.02, custom_quadratic_per_m=0.03
    )
    assert sigma == pytest.approx(math.sqrt(0.03**2 + 0.04**2 + 0.12**2), rel=1e-5)


def test_a_stated_range_overrides_the_sensors_own():
    model = sensor_model(FusionConfig(sensor="kinect", min_range_m=0.8, max_range_m=4.0))
    assert (model.near_m, model.far_m) == (0.8, 4.0)
    with pytest.raises(ValueError, match=r"min_range_m: got 5\.0, expected less than max_range_m"):
        FusionConfig(min_range_m=5.0, max_range_m=4.0)


def test_on_a_plane_sigma_is_the_sensors_own():
    np.testing.assert_allclose(sigma_of(plane()), sigma_at(2.0, "kinect"), rtol=1e-3)


def test_an_edge_is_distrusted_and_only_the_edge():
    depth_m = plane()
    depth_m[:, 32:] = 3.0
    sigma = sigma_of(depth_m)
    # A step of a metre over the four pixels of a cell, read 0.8 pixels beside.
    assert sigma[6, 7] == pytest.approx(0.2, rel=0.1)
    assert sigma[6, 6] == pytest.approx(sigma_at(2.0, "kinect"), rel=1e-3)
    assert sigma[6, 8] == pytest.approx(sigma_at(3.0, "kinect"), rel=1e-3)


def test_a_slanted_wall_is_distrusted_more_the_steeper_it_is():
    columns = np.arange(SIZE[1], dtype=np.float32)[None]
    gentle, steep = (
        sigma_of(np.repeat(1 + slope * columns, SIZE[0], axis=0).astype(np.float32))[6, 8]
        for slope in (0.01, 0.05)
    )
    assert steep > 1.5 * gentle


def test_readings_next_to_a_hole_are_distrusted():
    depth_m = plane()
    depth_m[16:40, 20:40] = np.nan
    sigma = sigma_of(depth_m)
    assert sigma[6, 4] > 1.5 * sigma_at(2.0, "kinect")
    assert sigma[1, 14] == pytest.approx(sigma_at(2.0, "kinect"), rel=1e-3)


@pytest.mark.parametrize("grey", [0, 255])
def test_black_and_saturated_surfaces_are_distrusted(grey):
    rgb = np.full((*SIZE, 3), 128, np.uint8)
    rgb[:, :20] = grey
    sigma = sigma_of(plane(), rgb, extreme_sigma=0.05)
    own = sigma_at(2.0, "kinect")
    assert sigma[6, 2] == pytest.approx(math.hypot(own, 0.1), rel=1e-3)
    assert sigma[6, 10] == pytest.approx(own, rel=1e-3)


def test_a_lonely_reading_is_hardly_trusted():
    depth_m = np.full(SIZE, np.nan, np.float32)
    depth_m[21, 31] = 2.0
    assert sigma_of(depth_m)[5, 7] > 0.5


# The field between sensor and prediction


def test_the_field_keeps_samples_and_bridges_what_is_between():
    _, columns = np.mgrid[:24, :32].astype(np.float32)
    values = 0.01 * columns
    weights = np.ones_like(values)
    weights[8:16, 12:20] = 0
    field = smooth_field(np.where(weights > 0, values, 0).astype(np.float32), weights, 0.1)
    np.testing.assert_allclose(field.fine[weights > 0], values[weights > 0], atol=1e-6)
    assert np.abs(field.fine - values)[weights == 0].max() < 0.04


def test_the_field_is_less_sure_where_it_bridges_more():
    values = np.random.default_rng(0).normal(0, 0.1, (32, 32)).cumsum(1).astype(np.float32)
    weights = np.ones_like(values)
    weights[:, 8:24] = 0
    field = smooth_field(np.where(weights > 0, values, 0).astype(np.float32), weights, 0.1)
    assert field.fine_variance[16, 16] > 2 * field.fine_variance[16, 8]
    assert field.fine_variance[16, 8] > field.fine_variance[16, 4]


def test_a_field_that_knows_nothing_is_the_prior():
    field = smooth_field(np.zeros((6, 8), np.float32), np.zeros((6, 8), np.float32), 0.09)
    assert (field.fine == 0).all()
    np.testing.assert_allclose(field.fine_variance, 0.09, rtol=1e-4)


def test_a_field_of_doubtful_samples_leans_on_the_prior():
    field = smooth_field(np.ones((8, 8), np.float32), np.full((8, 8), 1e-4, np.float32), 0.09)
    assert np.abs(field.fine).max() < 0.05
