"""Simulated depth sensors: shadows, quantisation, range, and what they cannot see."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("embreex")

from gam_depth_training.synthetic import (
    semantics,
)
from gam_depth_training.synthetic.depth_noise import (
    KINECT,
    REALSENSE,
    SENSORS,
    sensor_depth,
    to_millimetres,
)


def _step_scene(near=1.0, far=2.0, hw=(120, 160)):
    """A near plane on the right half before a far plane."""
    depth = np.full(hw, far, np.float32)
    depth[:, hw[1] // 2 :] = near
    label = np.full(hw, semantics.WALL, np.uint8)
    return depth, label, np.full((*hw, 3), 128, np.uint8)


@pytest.mark.parametrize("name", sorted(SENSORS))
def test_depth_sensor_leaves_a_shadow_left_of_a_near_object(name):
    sensor = SENSORS[name]
    reading = sensor_depth(sensor, *_step_scene(hw=(60, 640)), np.random.default_rng(0))
    shadow_px = sensor.baseline_m * sensor.focal_ratio * 640 * (1 / 1.0 - 1 / 2.0)
    columns = (reading == 0).mean(0)
    shadow = columns[320 - int(shadow_px) + 1 : 318]
    assert len(shadow) > 10
    assert shadow.mean() > 0.8
    assert columns[330:].mean() < 0.1
    assert columns[30:290].mean() < 0.1


def test_kinect_quantisation_grows_with_the_square_of_depth():
    constant = KINECT.focal_ratio * 640 * KINECT.baseline_m
    for depth_m in (1.0, 3.0):
        depth, label, rgb = _step_scene(depth_m, depth_m)
        reading = sensor_depth(KINECT, depth, label, rgb, np.random.default_rng(0))
        levels = np.unique(reading[reading > 0]).astype(float)
        expected = depth_m**2 / constant * KINECT.step_px * 1000
        assert 2 <= len(levels) <= 9
        np.testing.assert_allclose(np.diff(levels), expected, rtol=0.15, atol=1.1)


@pytest.mark.parametrize("sensor", [KINECT, REALSENSE])
def test_depth_sensor_is_unbiased_in_range_and_silent_outside(sensor):
    depth, label, rgb = _step_scene(1.5, 1.5)
    reading = sensor_depth(sensor, depth, label, rgb, np.random.default_rng(0))
    assert np.median(reading[reading > 0]) == pytest.approx(1500, abs=8)
    assert (reading > 0).mean() > 0.85
    for outside in (0.2, 9.5):
        beyond = sensor_depth(
            sensor, np.full_like(depth, outside), label, rgb, np.random.default_rng(0)
        )
        assert (beyond == 0).mean() > 0.99


def test_windows_and_screens_lose_most_and_some_readings():
    depth, label, rgb = _step_scene(1.5, 1.5)
    for kind, low, high in ((semantics.WINDOW, 0.6, 1.0), (semantics.TV, 0.2, 0.9)):
        reading = sensor_depth(
            KINECT, depth, np.full_like(label, kind), rgb, np.random.default_rng(0)
        )
        assert low < (reading == 0).mean() < high


def test_unknown_depth_becomes_zero_millimetres():
    depth = np.array([[np.nan, 1.2344, 70.0, np.inf]], np.float32)
    assert to_millimetres(depth).tolist() == [[0, 1234, 0, 0]]
