"""Claims about sensor and predicted depth in one image."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.config import FusionConfig
from gam_depth_ros.core.frame import (
    SOURCE_FUSED,
    SOURCE_NETWORK,
    SOURCE_NONE,
    SOURCE_SENSOR,
    ReferenceDepth,
)
from gam_depth_ros.core.sensor_fusion import SensorFusion

SIZE = (48, 64)
FRAME_NS = 33_000_000
SECOND = 1_000_000_000
LAWS = settings(max_examples=20, deadline=None)


def metres(value, size=SIZE):
    return np.full(size, value, np.float32)


def picture(grey=128, size=SIZE):
    return np.full((*size, 3), grey, np.uint8)


def reference(depth_m, stamp_ns=0):
    return ReferenceDepth(depth_m, stamp_ns, "camera")


def fusion(mode="fuse", **changes):
    return SensorFusion(FusionConfig(mode=mode, **{"sensor": "kinect"} | changes))


def fused_once(sensor_m, depth_m, sigma_m, mode="fuse", **changes):
    """Fuse one frame of constant or given arrays."""
    arrays = [metres(v) if np.isscalar(v) else v for v in (sensor_m, depth_m, sigma_m)]
    camera = fusion(mode, **changes)
    return camera.update(
        0, arrays[1], arrays[2], reference(arrays[0]), picture(size=arrays[1].shape)
    )


def textured(seed, low=1.0, high=3.0, size=SIZE):
    """Smooth positive relief that differs by seed."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]] / max(size)
    a, b, c = rng.uniform(0.5, 4, 3)
    wave = 0.5 + 0.25 * (np.sin(a * rows * 3 + b) + np.sin(c * columns * 3))
    return (low + (high - low) * wave).astype(np.float32)


def with_hole(depth_m, rows=slice(16, 32), columns=slice(20, 44)):
    holed = depth_m.copy()
    holed[rows, columns] = np.nan
    return holed


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
def test_any_image_size_works_and_strips_leave_no_seam(size):
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


# Hand-over and taking back


def drive(camera, frames, depth_m, sigma_m, sensor_m, start=0):
    """Run frames in a row; sensor_m is a function of the index."""
    results = []
    for index in range(start, start + frames):
        given = sensor_m(index)
        stamp = index * FRAME_NS
        linked = None if given is None else reference(given, stamp)
        results.append(camera.update(stamp, depth_m, sigma_m, linked, picture(37 * index % 200)))
    return results


def noisy(index, value=2.0):
    rng = np.random.default_rng(index)
    return (metres(value) + rng.normal(0, 0.002, SIZE)).astype(np.float32)


def frozen(index):
    return noisy(5)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda index: None, None),
        (lambda index: metres(np.nan), "got 0.0% of the readings"),
        (lambda index: metres(0.1), "100.0% nearer"),
        (lambda index: noisy(index, 2000.0), "100.0% farther"),
        (frozen, "the same readings again"),
        (lambda index: np.random.default_rng(index).uniform(0.5, 8, SIZE).astype(np.float32),
         "neighbours contradict each other"),
        (lambda index: metres(2.0, (24, 32)), "expected float32 of shape"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["fill", "fuse"])
def test_a_dead_sensor_hands_over_at_the_next_frame(mode, fault, words):
    camera = fusion(mode, blend_time_s=0.0)
    depth_m, sigma_m = metres(2.6), metres(0.5)
    drive(camera, 6, depth_m, sigma_m, noisy)
    (after,) = drive(camera, 1, depth_m, sigma_m, fault, start=6)
    assert (after.source == SOURCE_NETWORK).all()
    assert (after.depth_m == depth_m).all()
    assert (after.sigma_m == sigma_m).all()
    assert len(after.notes) == (words is not None)
    for note in after.notes:
        assert words in note
        assert "\n" not in note


def test_the_same_readings_under_the_same_picture_are_not_frozen():
    camera = fusion("fill")
    for index in range(5):
        result = camera.update(
            index * FRAME_NS, metres(2.0), metres(0.2), reference(metres(2.0)), picture()
        )
        assert result.notes == ()
        assert (result.source == SOURCE_SENSOR).all()


@pytest.mark.parametrize("mode", ["fill", "fuse"])
def test_hand_over_and_taking_back_go_by_small_steps(mode):
    camera = fusion(mode, blend_time_s=0.33)  # ten frames
    depth_m, sigma_m = metres(2.6), metres(0.5)

    def sensor_m(index):
        return None if 10 <= index < 30 else noisy(index)

    results = drive(camera, 50, depth_m, sigma_m, sensor_m)
    level = np.array([math.log(float(np.median(result.depth_m))) for result in results])
    gap = math.log(2.6 / 2.0)
    assert level[9] == pytest.approx(math.log(2.0), abs=0.01)
    assert level[25] == pytest.approx(math.log(2.6), abs=1e-6)
    assert level[45] == pytest.approx(math.log(2.0), abs=0.01)
    assert np.abs(np.diff(level)).max() < 0.12 * gap
    assert (np.diff(level[9:20]) > 0).all()
    assert (np.diff(level[29:39]) < 0).all()
    assert (results[30].source == SOURCE_FUSED).all()


def test_once_faded_the_output_is_the_prediction_itself():
    camera = fusion(blend_time_s=0.33)
    depth_m, sigma_m = metres(2.6), metres(0.5)
    drive(camera, 3, depth_m, sigma_m, noisy)
    results = drive(camera, 11, depth_m, sigma_m, lambda index: None, start=3)
    assert results[8].depth_m is not depth_m
    assert results[10].depth_m is depth_m


def test_on_return_what_is_clearly_nearer_is_let_in_at_once():
    camera = fusion(blend_time_s=1.0)
    depth_m, sigma_m = metres(3.0), metres(0.3)
    drive(camera, 3, depth_m, sigma_m, lambda index: None)
    obstacle = metres(3.1)
    obstacle[10:40, 10:40] = 1.0
    (result,) = drive(camera, 1, depth_m, sigma_m, lambda index: obstacle, start=3)
    np.testing.assert_allclose(result.depth_m[16:34, 16:34], 1.0, atol=0.02)
    assert (result.source[16:34, 16:34] == SOURCE_SENSOR).all()


def test_while_a_way_is_still_to_go_sigma_covers_it():
    camera = fusion("fill", blend_time_s=1.0)
    depth_m, sigma_m = metres(3.0), metres(0.3)
    drive(camera, 3, depth_m, sigma_m, lambda index: None)
    (result,) = drive(camera, 1, depth_m, sigma_m, lambda index: metres(3.5), start=3)
    # 3.3 % of the way: nearly the prediction, with nearly its sigma and a little for the way.
    share = 0.033
    var = (1 - share) * 0.3**2 + share * (1 - share) * 0.5**2
    assert result.sigma_m[24, 32] == pytest.approx(math.sqrt(var), rel=0.01)
    assert result.depth_m[24, 32] == pytest.approx(3.0 * (3.5 / 3.0) ** share, rel=1e-3)


def test_the_first_frame_takes_the_sensor_at_once():
    result = fused_once(2.0, 3.0, 0.6, mode="fill", blend_time_s=5.0)
    assert (result.depth_m == 2.0).all()


def test_stamps_that_go_back_forget_the_sensor():
    camera = fusion(blend_time_s=5.0)
    depth_m, sigma_m = metres(2.6), metres(0.5)
    camera.update(SECOND, depth_m, sigma_m, reference(metres(2.0)), picture())
    assert camera.update(0, depth_m, sigma_m, None, picture()).depth_m is depth_m


def test_reset_forgets_the_sensor():
    camera = fusion(blend_time_s=5.0)
    depth_m, sigma_m = metres(2.6), metres(0.5)
    camera.update(0, depth_m, sigma_m, reference(metres(2.0)), picture())
    camera.reset()
    assert camera.update(FRAME_NS, depth_m, sigma_m, None, picture()).depth_m is depth_m


def test_changing_the_blend_time_keeps_the_sensor_and_changing_the_mode_does_not():
    camera = fusion(blend_time_s=5.0)
    depth_m, sigma_m = metres(2.6), metres(0.5)
    camera.update(0, depth_m, sigma_m, reference(metres(2.0)), picture())
    camera.configure(FusionConfig(mode="fuse", sensor="kinect", blend_time_s=6.0))
    held = camera.update(FRAME_NS, depth_m, sigma_m, None, picture())
    np.testing.assert_allclose(held.depth_m, 2.0, rtol=0.01)
    camera.configure(FusionConfig(mode="fill", sensor="kinect", blend_time_s=6.0))
    assert camera.update(2 * FRAME_NS, depth_m, sigma_m, None, picture()).depth_m is depth_m


def test_the_same_frames_give_the_same_bytes():
    def run():
        return drive(fusion(), 4, textured(7), metres(0.3), noisy)

    for first, second in zip(run(), run(), strict=True):
        assert first.depth_m.tobytes() == second.depth_m.tobytes()
        assert first.sigma_m.tobytes() == second.sigma_m.tobytes()


def test_a_result_is_not_changed_by_later_frames():
    camera = fusion()
    depth_m, sigma_m = textured(7), metres(0.3)
    (first,) = drive(camera, 1, depth_m, sigma_m, noisy)
    before = first.depth_m.tobytes(), first.sigma_m.tobytes(), first.source.tobytes()
    drive(camera, 3, 2 * depth_m, sigma_m, noisy, start=1)
    assert (first.depth_m.tobytes(), first.sigma_m.tobytes(), first.source.tobytes()) == before
