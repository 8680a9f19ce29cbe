"""Claims about sensor and predicted depth in one image."""

import math

import cv2
import numpy as np
import pytest
from fusion_frames import SIZE, fused_once, fusion, metres, picture, reference, textured, with_hole
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.config import FusionConfig
from gam_depth_ros.core.frame import SOURCE_FUSED, SOURCE_NETWORK, SOURCE_NONE, SOURCE_SENSOR
from gam_depth_ros.core.fused_image import SensorFrame, fused_image
from gam_depth_ros.core.sensor_alignment import Layer
from gam_depth_ros.core.sensor_readings import CELL_PX, Readings

LAWS = settings(max_examples=20, deadline=None)


# Network mode


def test_network_mode_hands_the_inputs_through_without_a_copy():
    depth_m, sigma_m = textured(0), metres(0.2)
    result = fusion("network").update(0, depth_m, sigma_m, reference(metres(1.0)), picture())
    assert result.depth_m is depth_m
    assert result.sigma_m is sigma_m
    assert (result.source == SOURCE_NETWORK).all()


def test_network_mode_is_the_default():
    assert FusionConfig().mode == "network"


@pytest.mark.parametrize("mode", ["fill", "fuse"])
def test_without_a_sensor_the_output_is_the_prediction(mode):
    depth_m, sigma_m = textured(0), metres(0.2)
    result = fusion(mode).update(0, depth_m, sigma_m, None, picture())
    assert result.depth_m is depth_m
    assert result.sigma_m is sigma_m
    assert (result.source == SOURCE_NETWORK).all()


def test_unknown_prediction_without_a_sensor_is_unknown():
    result = fusion().update(0, metres(np.nan), metres(np.nan), None, picture())
    assert np.isnan(result.depth_m).all()
    assert (result.source == SOURCE_NONE).all()


# Laws of the fusion


@LAWS
@given(
    sensor_m=st.floats(0.6, 4.0),
    log_ratio=st.floats(-0.2, 0.2),
    relative_sigma=st.floats(0.1, 0.5),
)
def test_where_both_agree_the_fused_sigma_is_not_larger_than_the_smaller(
    sensor_m, log_ratio, relative_sigma
):
    depth_m = sensor_m * math.exp(log_ratio)
    sigma_m = relative_sigma * depth_m
    result = fused_once(sensor_m, depth_m, sigma_m, gate_sigmas=3.0)
    # Khoshelham's 1.425e-3 z² and half a percent of calibration.
    sensor_sigma = math.hypot(1.425e-3 * sensor_m**2, 0.005 * sensor_m)
    agree = abs(depth_m - sensor_m) <= 3 * math.hypot(sensor_sigma, sigma_m)
    if agree:
        assert (result.source == SOURCE_FUSED).all()
        assert result.sigma_m.max() <= min(sensor_sigma, sigma_m) * (1 + 1e-4)
        assert result.sigma_m.max() > 0


@LAWS
@given(sensor_m=st.floats(0.6, 4.0), ratio=st.floats(1.5, 3.0), nearer=st.booleans())
def test_where_they_disagree_one_is_chosen_and_sigma_grows(sensor_m, ratio, nearer):
    depth_m = sensor_m / ratio if nearer else sensor_m * ratio
    sigma_m = 0.03 * depth_m
    result = fused_once(sensor_m, depth_m, sigma_m)
    sensor_sigma = math.hypot(1.425e-3 * sensor_m**2, 0.005 * sensor_m)
    assert (result.source == SOURCE_SENSOR).all()
    np.testing.assert_allclose(result.depth_m, sensor_m, rtol=1e-5)
    surprise = (sensor_m - depth_m) ** 2 / (sensor_sigma**2 + sigma_m**2)
    expected = sensor_sigma * math.sqrt(1 + surprise)
    np.testing.assert_allclose(result.sigma_m, expected, rtol=1e-3)
    assert result.sigma_m.min() > sensor_sigma


def test_a_reading_less_sure_than_the_prediction_loses_where_they_disagree():
    # 0.2 m of sigma at any depth against 2 cm: the prediction, aligned to its own neighbourhood.
    sensor_m, depth_m = metres(2.0), metres(2.0)
    sensor_m[20:24, 30:34] = 5.0
    result = fused_once(
        sensor_m, depth_m, 0.02, sensor="custom", custom_floor_m=0.2, custom_relative=0.0
    )
    patch = result.source[20:24, 30:34]
    assert (patch == SOURCE_NETWORK).all()
    assert result.depth_m[22, 32] < 3.0
    assert (result.sigma_m[20:24, 30:34] > 0.02).all()


def test_a_sensor_that_is_coarse_by_its_own_model_is_not_refused():
    sensor_m = metres(2.0)
    result = fused_once(sensor_m, sensor_m, 1.0, custom_floor_m=1.0, sensor="custom")
    assert (result.source == SOURCE_FUSED).all()
    np.testing.assert_allclose(result.depth_m, 2.0, rtol=1e-3)


@pytest.mark.parametrize("mode", ["fill", "fuse"])
@LAWS
@given(seed=st.integers(0, 1000), factor=st.sampled_from([0.5, 2.0]))
def test_doubling_the_metre_doubles_the_output(mode, seed, factor):
    """All lengths in another unit: readings, prediction, and the sensor's own coefficients."""
    sensor_m, depth_m = with_hole(textured(seed)), textured(seed + 1)
    unit = {"sensor": "custom", "custom_relative": 0.01}
    once = fused_once(sensor_m, depth_m, 0.1 * depth_m, mode, custom_floor_m=0.01, **unit)
    again = fused_once(
        sensor_m * np.float32(factor),
        depth_m * np.float32(factor),
        0.1 * depth_m * np.float32(factor),
        mode,
        custom_floor_m=0.01 * factor,
        max_range_m=100 * factor,
        **unit,
    )
    np.testing.assert_allclose(again.depth_m, factor * once.depth_m, rtol=1e-4)
    np.testing.assert_allclose(again.sigma_m, factor * once.sigma_m, rtol=2e-3, atol=1e-4)
    assert (again.source == once.source).all()


@LAWS
@given(seed=st.integers(0, 1000))
def test_outputs_are_known_or_none_and_never_half(seed):
    rng = np.random.default_rng(seed)
    sensor_m = np.where(rng.random(SIZE) < 0.5, textured(seed), np.nan).astype(np.float32)
    depth_m = textured(seed + 1)
    depth_m[:, :9] = np.nan
    for mode in ("fill", "fuse"):
        result = fused_once(sensor_m, depth_m, 0.2 * depth_m, mode)
        none = result.source == SOURCE_NONE
        assert (np.isnan(result.depth_m) == none).all()
        assert (np.isnan(result.sigma_m) == none).all()
        assert (none == (np.isnan(depth_m) & np.isnan(sensor_m))).all()
        assert (result.depth_m[~none] > 0).all()
        assert (result.sigma_m[~none] > 0).all()


# Holes


def test_fill_keeps_readings_as_they_are_and_says_so():
    sensor_m = with_hole(textured(1))
    result = fused_once(sensor_m, textured(2), 0.3, mode="fill")
    seen = np.isfinite(sensor_m)
    assert (result.depth_m[seen] == sensor_m[seen]).all()
    assert (result.source[seen] == SOURCE_SENSOR).all()
    assert (result.source[~seen] == SOURCE_NETWORK).all()


@pytest.mark.parametrize("mode", ["fill", "fuse"])
def test_a_hole_takes_the_shape_of_the_prediction_at_the_height_of_its_border(mode):
    truth = textured(3)
    # 40 % too far at the left, 40 % too near at the right: no single scale mends that.
    slope = np.exp(np.linspace(0.4, -0.4, SIZE[1], dtype=np.float32))[None]
    result = fused_once(with_hole(truth), truth * slope, 0.3 * truth, mode)
    hole = result.source == SOURCE_NETWORK
    assert hole.sum() == 16 * 24
    error = np.abs(np.log(result.depth_m[hole] / truth[hole]))
    assert error.max() < 0.1  # the prediction is off by 0.15 on average there, by 0.4 elsewhere
    steps = np.abs(np.diff(np.log(result.depth_m / truth), axis=1))
    assert steps.max() < 0.05


def test_a_wide_hole_is_less_sure_than_a_narrow_one():
    size = (96, 128)
    truth = textured(4, size=size)
    prediction = truth * np.exp(np.linspace(0.5, -0.5, size[1], dtype=np.float32))[None]
    narrow = with_hole(truth, slice(40, 56), slice(60, 68))
    wide = with_hole(truth, slice(8, 88), slice(24, 104))
    sigmas = [
        fused_once(holed, prediction, 0.001 * truth, "fill").sigma_m[48, 64]
        for holed in (narrow, wide)
    ]
    assert sigmas[1] > 1.5 * sigmas[0]


def test_a_hole_keeps_four_fifths_of_the_predictions_sigma():
    truth = textured(4)
    result = fused_once(with_hole(truth), 1.2 * truth, 0.3 * truth, "fill")
    hole = result.source == SOURCE_NETWORK
    ratio = result.sigma_m[hole] / (0.3 * truth[hole])
    # The field's own uncertainty comes on top, and sigma is smooth from cell to cell.
    assert ratio.min() > 0.7
    assert 0.8 < np.median(ratio) < 1.0


@pytest.mark.parametrize("mode", ["fill", "fuse"])
def test_with_an_unknown_scale_readings_come_out_and_holes_stay_empty(mode):
    sensor_m = with_hole(textured(5))
    result = fused_once(sensor_m, np.nan, np.nan, mode)
    seen = np.isfinite(sensor_m)
    assert (result.depth_m[seen] == sensor_m[seen]).all()
    assert (result.source[seen] == SOURCE_SENSOR).all()
    assert np.isfinite(result.sigma_m[seen]).all()
    assert np.isnan(result.depth_m[~seen]).all()
    assert (result.source[~seen] == SOURCE_NONE).all()


@pytest.mark.parametrize("size", [(48, 64), (45, 61), (7, 5), (200, 330)])
def test_any_image_size_works(size):
    truth = textured(6, size=size)
    sensor_m = truth.copy()
    sensor_m[:, size[1] // 3 : size[1] // 2] = np.nan
    result = fused_once(sensor_m, 1.3 * truth, 0.3 * truth, "fill")
    assert result.depth_m.shape == result.sigma_m.shape == result.source.shape == size
    np.testing.assert_allclose(result.depth_m, truth, rtol=2e-3)


def test_readings_out_of_range_are_holes():
    sensor_m = metres(2.0)
    sensor_m[:8], sensor_m[8:16], sensor_m[16:20] = 0.3, 9.0, np.inf
    result = fused_once(sensor_m, 2.0, 0.2, mode="fill")
    assert (result.source[:20] == SOURCE_NETWORK).all()
    assert (result.source[20:] == SOURCE_SENSOR).all()


def _half_seen(far_m, prediction_m):
    """Readings of 1 to 2 m on the left; on the right none, where the prediction says far_m."""
    size = (96, 128)
    sensor_m = metres(np.nan, size)
    sensor_m[:, :64] = np.linspace(1.0, 2.0, 64, dtype=np.float32)
    depth_m = np.where(np.isfinite(sensor_m), sensor_m, prediction_m).astype(np.float32)
    result = fused_once(sensor_m, depth_m, 0.001 * depth_m, "fill")
    np.testing.assert_allclose(result.depth_m[48, 120], far_m, rtol=0.05)
    return result.sigma_m[48, 120] / result.depth_m[48, 120]


def test_a_wide_hole_beyond_the_readings_end_is_less_sure_the_farther_it_is():
    near, end, beyond = (_half_seen(far_m, far_m) for far_m in (1.0, 2.0, 4.0))
    assert near < 0.1
    # The readings end at 2 m: log depth from 0.4 before it counts, up to 0.5.
    assert 0.3 < end < 0.45
    assert 0.45 < beyond < 0.6


@pytest.mark.parametrize("first_row", [0, 10, 27])
@pytest.mark.parametrize("columns", [(0, 1), (3, 6), (29, 42), (61, 64)])
def test_a_hole_is_filled_alike_however_few_pixels_are_worked_out(first_row, columns):
    rng = np.random.default_rng(2)
    height, width = 32, 64
    hole = np.zeros((height, width), np.uint8)
    hole[first_row : first_row + 5, slice(*columns)] = 255
    cells = (height // CELL_PX, width // CELL_PX)
    variance = np.full(cells, 1e-4, np.float32)
    layer = Layer(*(0.5 + rng.random((2, *cells), np.float32)))
    prediction = 0.5 + rng.random((2, height, width), np.float32)
    out, everywhere = (
        fused_image(
            *prediction,
            SensorFrame(
                Readings(np.where(holes == 0, np.float32(2.0), np.float32(0.0)), holes, variance),
                layer,
                None,
                3.0,
                1.0,
            ),
        )
        for holes in (hole, np.full_like(hole, 255))
    )
    inside = hole > 0
    np.testing.assert_array_equal(out.depth_m[inside], everywhere.depth_m[inside])
    np.testing.assert_array_equal(out.sigma_m[inside], everywhere.sigma_m[inside])
    assert ((out.source == SOURCE_NETWORK) == inside).all()
    assert (out.depth_m[~inside] == 2.0).all()


def test_the_bytes_do_not_depend_on_how_many_threads_opencv_has():
    size = (480, 640)
    truth = textured(6, size=size)
    sensor_m = with_hole(truth, slice(100, 300), slice(200, 500))
    before = cv2.getNumThreads()
    answers = []
    try:
        for threads in (1, 2, 3):
            cv2.setNumThreads(threads)
            answers.append(fused_once(sensor_m, 1.3 * truth, 0.3 * truth))
    finally:
        cv2.setNumThreads(before)
    for one in answers[1:]:
        assert one.depth_m.tobytes() == answers[0].depth_m.tobytes()
        assert one.sigma_m.tobytes() == answers[0].sigma_m.tobytes()
        assert one.source.tobytes() == answers[0].source.tobytes()
