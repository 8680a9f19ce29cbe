"""Claims about the calibration that a model file carries, and the sigma that follows references."""

from __future__ import annotations

import dataclasses
import json
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_pipeline import plain_pipeline
from tiny_model import SIGMA, tiny_depth, write_tiny_model

from gam_depth_ros.core.config import UncertaintyConfig
from gam_depth_ros.core.coverage_tracking import (
    CoverageTracker,
    IntervalGains,
    coverage_of,
    covered_shares,
    on_grid,
)
from gam_depth_ros.core.frame import Frame, ReferenceDepth, ScaleState
from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_calibration import LEVELS, ConfidenceCalibration, Curve
from gam_depth_ros.core.model_spec import (
    ModelContractError,
    ModelSpec,
    NetworkOutput,
    SigmaCalibration,
)
from gam_depth_ros.core.prediction import calibrated, predict

WIDTH = Curve((0.1, 0.3, 0.9), (0.2, 0.3, 0.5))
RANGE = Curve((0.5, 2.0), (1.0, 2.0))
SHARE = Curve((0.0, 0.5, 1.0), (0.1, 0.4, 0.9))
SIGMA_CALIBRATION = SigmaCalibration(1.5, 3.0, 4.5, "rooms", WIDTH, RANGE)
SPEC = ModelSpec(
    name="drawn",
    input_size_hw=(2, 3),
    labels=NYU13,
    sigma_calibration=SIGMA_CALIBRATION,
    confidence_calibration=ConfidenceCalibration(SHARE, "shards"),
)


def output(sigma: float = 0.2, depth: object = None) -> NetworkOutput:
    return NetworkOutput(
        depth=np.full((2, 3), 2.0, np.float32) if depth is None else np.asarray(depth, np.float32),
        sigma=np.full((2, 3), sigma, np.float32),
        label=np.zeros((2, 3), np.uint8),
        label_confidence=np.full((2, 3), 0.75, np.float32),
    )


def test_a_calibration_round_trips_through_the_model_file():
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC


def test_files_of_earlier_releases_carry_three_factors_and_load_as_they_are():
    data = json.loads(SPEC.to_json())
    data["sigma_calibration"] = {"k68": 0.95, "k90": 1.85, "k95": 2.47, "data": "256 frames"}
    del data["confidence_calibration"]
    spec = ModelSpec.from_json(json.dumps(data))
    assert spec.sigma_calibration == SigmaCalibration(0.95, 1.85, 2.47, "256 frames")
    answer = calibrated(output(), spec)
    np.testing.assert_allclose(answer.sigma, 0.95 * 0.2, rtol=1e-6)
    assert answer.label_confidence[0, 0] == 0.75


def test_a_spec_without_curves_is_written_as_earlier_releases_wrote_it():
    spec = dataclasses.replace(
        SPEC,
        sigma_calibration=SigmaCalibration(1.0, 2.0, 3.0, "x"),
        confidence_calibration=ConfidenceCalibration(),
    )
    data = json.loads(spec.to_json())
    assert data["sigma_calibration"] == {"k68": 1.0, "k90": 2.0, "k95": 3.0, "data": "x"}
    assert "confidence_calibration" not in data


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("sigma_calibration", {"width": {"at": [0.1, 0.2], "value": [0.3, 0.2]}}),
        ("sigma_calibration", {"width": {"at": [0.1, 0.2], "value": [0.0, 0.2]}}),
        ("sigma_calibration", {"width": {"at": [0.2, 0.2], "value": [0.1, 0.2]}}),
        ("sigma_calibration", {"width": {"at": [0.2], "value": [0.1]}}),
        ("sigma_calibration", {"width": {"at": [0.1, 0.2], "value": [0.1]}}),
        ("sigma_calibration", {"width": {"at": [0.1, float("nan")], "value": [0.1, 0.2]}}),
        ("sigma_calibration", {"width": {"at": [0.1, 0.2]}}),
        ("sigma_calibration", {"range_factor": {"at": [0.1, 0.2], "value": [1.0, -1.0]}}),
        ("confidence_calibration", {"share": {"at": [0.0, 1.0], "value": [0.5, 1.5]}}),
        ("confidence_calibration", {"share": {"at": [0.0, 1.0], "value": [0.9, 0.5]}}),
        ("confidence_calibration", {"data": "x", "share": 3}),
    ],
)
def test_a_senseless_curve_is_refused_with_one_line(field, change):
    data = json.loads(SPEC.to_json())
    data[field] |= change
    with pytest.raises(ModelContractError, match="while reading it") as caught:
        ModelSpec.from_json(json.dumps(data))
    assert "\n" not in str(caught.value)


def test_half_width_is_the_product_of_factor_width_and_range():
    # Median depth 2: relative ranges 0.5, 1 and 2, whose factors are 1, 4/3 and 2.
    depth = [[1.0, 2.0, 2.0], [2.0, 4.0, 4.0]]
    half = calibrated(output(0.2, depth), SPEC).sigma
    assert half.dtype == np.float32
    # Width at 0.2: half-way from 0.2 to 0.3.
    expected = 1.5 * 0.25 * np.array([[1.0, 4 / 3, 4 / 3], [4 / 3, 2.0, 2.0]])
    np.testing.assert_allclose(half, expected, rtol=1e-3)
    wider = calibrated(output(0.2, depth), SPEC, sigma_gain=2.0).sigma
    np.testing.assert_allclose(wider, 2 * half, rtol=1e-6)


@given(st.floats(0.05, 20.0))
@settings(max_examples=20, deadline=None)
def test_half_width_does_not_depend_on_the_scale_of_depth(scale):
    depth = np.linspace(1.0, 3.0, 6).reshape(2, 3)
    one = calibrated(output(0.2, depth), SPEC).sigma
    other = calibrated(output(0.2, scale * depth), SPEC).sigma
    np.testing.assert_allclose(one, other, rtol=1e-3)


@given(st.lists(st.floats(-1.0, 12.0), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_a_curve_is_linear_between_its_knots_and_constant_beyond(values):
    exact = np.interp(values, WIDTH.at, WIDTH.value)
    np.testing.assert_allclose(WIDTH(np.array(values, np.float32)), exact, atol=1e-4)


@given(st.lists(st.floats(0.0, 5.0), min_size=2, max_size=6))
@settings(max_examples=30, deadline=None)
def test_the_width_keeps_the_order_of_pixels(sigmas):
    ordered = np.sort(np.array(sigmas, np.float32))
    assert (np.diff(WIDTH(ordered)) >= 0).all()


def test_confidence_becomes_the_share_of_right_labels_and_depth_and_labels_stay():
    given_output = output()
    answer = calibrated(given_output, SPEC)
    np.testing.assert_allclose(answer.label_confidence, 0.65, rtol=1e-3)
    assert answer.depth is given_output.depth
    assert answer.label is given_output.label
    assert predict(answer, (4, 6)).label_confidence[3, 5] == pytest.approx(0.65, rel=1e-3)


# --- sigma that follows references


def tracker(**options: float) -> CoverageTracker:
    return CoverageTracker(UncertaintyConfig(**options))


def test_gains_move_by_the_rate_times_what_was_missing():
    steered = tracker(tracking_rate=0.5)
    steered.update(1, np.array([0.483, 0.9, 1.0]))
    gains = steered.gains(2)
    assert gains.sigma == pytest.approx(math.exp(0.5 * 0.2))
    assert gains.ratio_90 == pytest.approx(1.0)
    assert gains.ratio_95 == pytest.approx(math.exp(-0.5 * 0.046))


def test_a_frame_serves_only_frames_stamped_later():
    steered = tracker()
    steered.gains(5)
    steered.update(5, np.zeros(3))
    assert steered.gains(5) == IntervalGains()
    assert steered.gains(6).sigma > 1.0


def test_gains_stop_at_the_limit_and_a_rate_of_zero_keeps_the_file():
    steered = tracker(tracking_limit=1.5)
    for stamp in range(200):
        steered.gains(stamp)
        steered.update(stamp, np.zeros(3))
    assert steered.gains(200).sigma == pytest.approx(1.5)
    steered.configure(UncertaintyConfig(tracking_limit=1.2))
    assert steered.gains(201).sigma == pytest.approx(1.2)
    steered.configure(UncertaintyConfig(tracking_rate=0.0))
    assert steered.gains(202) == IntervalGains()


def test_stamps_that_go_back_and_unknown_coverage_teach_nothing():
    steered = tracker()
    steered.update(1, np.array([0.0, np.nan, np.nan]))
    assert steered.gains(2).ratio_90 == 1.0
    assert steered.gains(1) == IntervalGains()


@pytest.mark.parametrize("spread", [0.5, 0.8, 1.6])
def test_coverage_approaches_the_nominal_one_where_the_calibration_is_off(spread):
    # Laplace errors of another spread than sigma says, and tails that no file knew of.
    rng = np.random.default_rng(0)
    steered, calibration, shares = tracker(), SigmaCalibration(), []
    for stamp in range(600):
        gains = steered.gains(stamp)
        covered = covered_shares(
            rng.laplace(0, spread, 400), np.full(400, gains.sigma), gains.intervals(calibration)
        )
        steered.update(stamp, covered)
        shares.append(covered)
    np.testing.assert_allclose(np.mean(shares[100:], axis=0), LEVELS, atol=0.01)


def test_intervals_never_cross():
    gains = IntervalGains(1.0, 0.5, 0.4)
    assert gains.intervals(SigmaCalibration(1.0, 1.5, 2.0)) == (1.0, 1.0)
    assert IntervalGains(1.0, 1.0, 0.5).intervals(SigmaCalibration(1.0, 1.5, 2.0)) == (1.5, 1.5)


def test_covered_shares_are_counted_by_hand_and_need_enough_readings():
    log_error = np.concatenate([np.full(50, 0.1), np.full(30, -0.3), np.full(20, 0.6), [np.nan]])
    shares = covered_shares(log_error, np.full(101, 0.2), (2.0, 3.0))
    np.testing.assert_allclose(shares, [0.5, 0.8, 1.0])
    assert np.isnan(covered_shares(log_error[:99], np.full(99, 0.2), (2.0, 3.0))).all()


@pytest.mark.parametrize("size_hw", [(20, 30), (240, 360)])
def test_coverage_of_a_frame_takes_its_own_scale_and_the_scales_sigma(size_hw):
    scale = ScaleState("LOCKED", "median_reference", 2.0, 0.4, 0.1, "")
    seen = NetworkOutput(
        depth=np.full(size_hw, 1.0, np.float32),
        sigma=np.full(size_hw, 0.3, np.float32),
        label=np.zeros(size_hw, np.uint8),
        label_confidence=np.ones(size_hw, np.float32),
    )
    # sqrt(0.3² + 0.4²) = 0.5: a reference off by exp(0.49) is covered, by exp(0.51) is not.
    reference_m = np.full((40, 60), 2.0 * math.exp(0.49), np.float32)
    reference_m[20:] = 2.0 * math.exp(0.51)
    reference_m[:, 30:] = 0.0
    shares = coverage_of(reference_m, seen, scale, (0.1, 10.0), (2.0, 3.0))
    np.testing.assert_allclose(shares, [0.5, 1.0, 1.0])


def test_a_grid_picks_the_pixel_at_the_centre_of_each_cell():
    image = np.arange(24, dtype=np.float32).reshape(4, 6)
    assert on_grid(image, (2, 3)).tolist() == [[7.0, 9.0, 11.0], [19.0, 21.0, 23.0]]
    assert on_grid(image, (4, 6)).tolist() == image.tolist()


# --- in the pipeline

RGB = np.broadcast_to(np.linspace(40, 200, 64).astype(np.uint8)[:, None], (48, 64, 3))


def frame(index: int, noise: float) -> Frame:
    # Smooth, since a reference that jumps from pixel to pixel is refused as noise.
    grid = np.random.default_rng(index).normal(0.0, noise, (6, 8))
    depth_m = 2.0 * tiny_depth(RGB) * np.exp(cv2.resize(grid, (64, 48)))
    reference = ReferenceDepth(depth_m.astype(np.float32), index * 10**8, "camera")
    return Frame(RGB, index * 10**8, "camera", None, reference)


def last_of(model, rate: float, frames: int = 80):
    """The last of some frames whose errors are far wider than the file says."""
    pipeline = plain_pipeline(model, uncertainty=UncertaintyConfig(tracking_rate=rate))
    first = pipeline.process(frame(1, 0.8))
    for index in range(2, frames):
        last = pipeline.process(frame(index, 0.8))
    return pipeline, first, last


def test_the_pipeline_publishes_the_files_intervals_until_references_say_otherwise(tmp_path):
    calibration = SigmaCalibration(1.5, 3.0, 4.5, "drawn")
    model = write_tiny_model(tmp_path / "m.onnx", calibration=calibration)
    pipeline, first, last = last_of(model, rate=0.1)
    assert (first.interval_90, first.interval_95) == (2.0, 3.0)
    assert np.median(first.network_sigma_log) == pytest.approx(1.5 * SIGMA, rel=1e-5)
    gain = last.network_sigma_log / first.network_sigma_log
    assert 1.2 < np.median(gain) < 2.0001
    pipeline.reset()
    again = pipeline.process(frame(1, 0.8))
    assert again.network_sigma_log.tobytes() == first.network_sigma_log.tobytes()


def test_a_pipeline_told_not_to_track_keeps_the_files_sigma(tmp_path):
    _, first, last = last_of(write_tiny_model(tmp_path / "m.onnx"), rate=0.0, frames=8)
    assert np.median(last.network_sigma_log) == np.median(first.network_sigma_log)
    assert last.interval_90 == first.interval_90
