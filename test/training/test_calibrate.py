"""Claims about fitting what a model's sigma and confidence are worth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from gam_depth_ros.core.config import UncertaintyConfig
from gam_depth_ros.core.model_calibration import LEVELS, SigmaCalibration
from gam_depth_ros.core.uncertainty_metrics import expected_calibration_error
from gam_depth_training.calibration_fit import (
    conformal_quantile,
    data_name,
    fit_confidence,
    fit_factors,
    fit_sigma,
    isotonic,
    room_weights,
)
from gam_depth_training.calibration_report import (
    ALL_ROOMS,
    METHODS,
    Fitted,
    leave_one_room_out,
    score,
)
from gam_depth_training.label_confidence import LabelledPixels, calibrate_confidence
from gam_depth_training.recorded_errors import FrameErrors


def drawn(
    room: str,
    frames: int = 30,
    *,
    pixels: int = 400,
    factor: float = 1.0,
    p: float = 1.0,
    q: float = 0.0,
    scale_sigma_log: float = 0.03,
    seed: int = 0,
) -> list[FrameErrors]:
    """Frames whose errors are Laplace with 68.3 % within factor·0.1·(sigma/0.3)^p·relative^q."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(frames):
        sigma = rng.uniform(0.05, 0.8, pixels).astype(np.float32)
        relative = np.exp(rng.uniform(-1.0, 1.0, pixels)).astype(np.float32)
        width = factor * 0.1 * (sigma / 0.3) ** p * relative**q
        # The scale errs by one number a frame, as its sigma says.
        error = rng.laplace(0.0, width / 1.149) + rng.normal(0.0, scale_sigma_log)
        truth = relative.copy()
        depth = (truth * np.exp(error)).astype(np.float32)
        flip = rng.uniform(0.0, 0.5, pixels).astype(np.float32)
        found.append(
            FrameErrors(
                room,
                f"{room}_1",
                truth,
                depth,
                sigma,
                relative,
                np.ones_like(sigma),
                flip,
                1.0,
                scale_sigma_log,
            )
        )
    return found


def test_rooms_weigh_the_same_however_many_frames_they_have():
    frames = [*drawn("a", 1), *drawn("b", 3)]
    np.testing.assert_allclose(room_weights(frames), [1 / 2, 1 / 6, 1 / 6, 1 / 6])


def test_the_quantile_is_weighted_and_corrected_for_the_number_of_frames():
    scores = [np.array([1.0, 2.0]), np.array([3.0]), np.array([4.0])]
    # Shares .125, .125, .25, .5; at level .375 with three frames .5 is asked for.
    weights = [0.25, 0.25, 0.5]
    assert conformal_quantile(scores, weights, 0.375) == 3.0
    assert conformal_quantile(scores, weights, 0.376) == 4.0
    assert conformal_quantile(scores, weights, 0.99) == 4.0
    assert conformal_quantile(scores, [1.0, 0.0, 0.0], 0.3) == 1.0


def test_published_intervals_cover_what_they_promise_with_the_scales_part_in_them():
    frames = drawn("a", 60, factor=1.7, scale_sigma_log=0.1)
    factors = fit_factors(frames, lambda frame: frame.sigma)
    fresh = drawn("a", 60, factor=1.7, scale_sigma_log=0.1, seed=1)
    found = score(fresh, Fitted(lambda frame: frame.sigma, factors))
    np.testing.assert_allclose(found.coverage, LEVELS, atol=0.03)


@pytest.mark.parametrize(("p", "q"), [(1.0, 0.0), (0.5, 0.5), (0.0, 0.0)])
def test_the_fit_finds_how_errors_grow_with_sigma_and_range(p, q):
    calibration = fit_sigma(drawn("a", 30, p=p, q=q, scale_sigma_log=0.02), "drawn")
    sigma = np.array([0.1, 0.2, 0.4, 0.8, 0.3, 0.3], np.float32)
    relative = np.array([1.0, 1.0, 1.0, 1.0, 0.5, 2.0], np.float32)
    expected = 0.1 * (sigma / 0.3) ** p * relative**q
    np.testing.assert_allclose(calibration.half_width(sigma, relative), expected, rtol=0.12)
    assert bool(calibration.width) == (p != 1.0)
    assert bool(calibration.range_factor) == (q != 0.0)
    assert calibration.data == "drawn"


def test_tails_heavier_than_a_normal_laws_give_wider_ratios():
    factors = fit_factors(drawn("a", 60, scale_sigma_log=0.01), lambda frame: frame.sigma)
    # A share p of a Laplace law lies within -ln(1 - p) times its scale; 61/60 is the correction.
    of_68, of_90, of_95 = (-math.log(1.0 - level * 61 / 60) for level in LEVELS)
    assert factors.ratio_90 == pytest.approx(of_90 / of_68, rel=0.05)
    assert factors.ratio_95 == pytest.approx(of_95 / of_68, rel=0.05)
    assert factors.ratio_95 > 2.5


def test_too_few_frames_and_a_scale_that_covers_alone_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"got 5 frames .* expected at least 20"):
        fit_sigma(drawn("a", 5), "")
    unsure = [replace(frame, scale_sigma_log=9.0) for frame in drawn("a", 20)]
    with pytest.raises(ValueError, match="got a scale whose sigma alone covers more than"):
        fit_sigma(unsure, "")


# --- confidence


def test_isotonic_pools_what_falls():
    values, weights = np.array([0.1, 0.5, 0.3, 0.9, 0.6]), np.array([1.0, 1.0, 3.0, 1.0, 2.0])
    expected = [0.1, 0.35, 0.35, 0.7, 0.7]
    np.testing.assert_allclose(isotonic(values, weights), expected)


def labelled(count: int, seed: int) -> LabelledPixels:
    """Confidence that is too sure of itself: of those at c, c² are right."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.2, 1.0, count).astype(np.float32)
    return LabelledPixels(confidence, rng.random(count) < confidence**2)


def test_confidence_becomes_the_share_of_right_labels_and_keeps_their_order():
    pixels = labelled(50_000, 0)
    calibration = fit_confidence(pixels.confidence, pixels.right, "drawn")
    assert 4 <= len(calibration.share.at) <= 9
    assert calibration.calibrated(np.array([0.5], np.float32))[0] == pytest.approx(0.25, abs=0.03)
    after = calibration.calibrated(pixels.confidence)
    assert expected_calibration_error(after, pixels.right) < 0.02
    assert (np.diff(after[np.argsort(pixels.confidence)]) >= 0).all()


def test_the_calibration_error_is_of_rooms_that_did_not_fit_the_curve():
    report = calibrate_confidence([labelled(20_000, 0), labelled(20_000, 1)], "two shards")
    assert report.error_before > 0.1
    assert report.error_after < 0.02
    assert (report.pixels, report.calibration.data) == (40_000, "two shards")
    assert report.improves
    with pytest.raises(ValueError, match="got 1 held-out shard, expected two or more"):
        calibrate_confidence([labelled(100, 0)], "")
    with pytest.raises(ValueError, match="the model's confidence says nothing"):
        fit_confidence(np.full(100, 0.5), np.ones(100, bool), "")


def test_a_curve_that_does_not_carry_over_to_other_rooms_is_no_improvement():
    sure, doubtful = labelled(5000, 0), labelled(5000, 1)
    mixed = [
        LabelledPixels(sure.confidence, np.ones(5000, bool)),
        LabelledPixels(doubtful.confidence, np.zeros(5000, bool)),
    ]
    report = calibrate_confidence(mixed, "two shards")
    assert report.error_after > report.error_before
    assert not report.improves


# --- rooms left out


def test_a_room_left_out_is_scored_with_factors_of_the_others():
    frames = [*drawn("a", 25), *drawn("b", 25, seed=1), *drawn("c", 25, factor=0.5, seed=2)]
    of_sigma = {"own": METHODS["network sigma, one factor"]}
    found = leave_one_room_out(frames, of_sigma)["own"]
    assert list(found) == ["a", "b", "c", ALL_ROOMS]
    # Errors of c are half of what a and b teach: they are covered too often, those of a too rarely.
    assert found["c"].coverage[0] > 0.75
    assert found["a"].coverage[0] < 0.66
    assert found[ALL_ROOMS].frames == 75
    assert found[ALL_ROOMS].sharpness == pytest.approx(
        np.mean([found[room].sharpness for room in "abc"])
    )


def test_sigma_that_knows_beats_a_constant_and_chance_at_the_same_coverage():
    frames = [*drawn("a", 25), *drawn("b", 25, seed=1)]
    names = ("constant", "flip", "network sigma, one factor", "calibrated")
    found = leave_one_room_out(frames, {name: METHODS[name] for name in names})
    constant, flip, own, fitted = (found[name][ALL_ROOMS] for name in names)
    assert own.ause["abs_rel"] < 0.8 * constant.ause["abs_rel"]
    assert own.aurg["abs_rel"] > 0.01
    assert abs(flip.aurg["abs_rel"]) < 0.005
    assert own.interval_score < constant.interval_score < flip.interval_score
    assert fitted.interval_score == pytest.approx(own.interval_score, rel=0.05)


def test_following_references_brings_a_strange_room_to_its_coverage():
    strange = drawn("a", 150, factor=1.8, scale_sigma_log=0.05)
    fitted = Fitted(lambda frame: frame.sigma, SigmaCalibration(0.333, 0.667, 0.9))
    plain = score(strange, fitted)
    followed = score(strange, replace(fitted, tracking=UncertaintyConfig()))
    assert plain.coverage[0] < 0.52
    assert abs(followed.coverage[0] - 0.683) < 0.04
    assert abs(followed.coverage[1] - 0.90) < 0.03


def test_one_room_cannot_be_left_out():
    with pytest.raises(ValueError, match=r"got recordings of 1 room .a., expected two or more"):
        leave_one_room_out(drawn("a"))


def test_the_files_name_their_data():
    frames = [*drawn("a", 2), *drawn("b", 1)]
    assert data_name(frames) == "3 frames of 2 rooms: a_1, b_1"
