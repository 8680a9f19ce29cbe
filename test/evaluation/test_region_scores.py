"""Errors by region, class and alignment, reliability, and the intervals: by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gam_depth_ros.core.frame import Frame
from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.evaluation.alignment_scoring import AlignmentScore
from gam_depth_ros.evaluation.frame_pixels import Pixels, Truth
from gam_depth_ros.evaluation.frame_values import MOST_BLOCKS, BlockedSums, FrameValues
from gam_depth_ros.evaluation.observation import Observation
from gam_depth_ros.evaluation.region_scoring import RegionScore, region_masks
from gam_depth_ros.evaluation.sample import Sample
from gam_depth_ros.evaluation.scoring import SegmentationScore, calibration_error

HW = (48, 64)


def seen(depth: np.ndarray, rgb: np.ndarray, labels: np.ndarray | None = None) -> Observation:
    sample = Sample(Frame(rgb, 1, "camera"), 1)
    return Observation(sample, depth.astype(np.float32), None, None, None, labels)


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(90, 160, (*HW, 3)).astype(np.uint8)


def test_dark_bright_and_flat_regions_are_where_they_were_drawn() -> None:
    rgb = noise()
    rgb[:, :16] = np.random.default_rng(1).integers(0, 30, (48, 16, 3))
    rgb[:16, 48:] = 255
    rgb[32:, 40:] = 120
    masks = region_masks(rgb, np.ones(HW, np.float32))
    assert masks["dark"][:, :8].all()
    assert not masks["dark"][:, 8:].any()
    assert masks["reflective"][:8, 24:].all()
    assert not masks["reflective"][16:, :].any()
    assert masks["textureless"][21:, 26:].all()  # away from its rim by half of the window
    assert not masks["textureless"][:, :16].any()
    assert masks["centre"].sum() * 4 == masks["centre"].size
    assert (masks["centre"] ^ masks["border"]).all()


def test_rings_around_holes_of_the_sensor_count_as_reflective() -> None:
    truth = np.ones(HW, np.float32)
    truth[16:32, 16:32] = np.nan
    truth[40, 60] = np.nan  # one lost reading is no hole
    mask = region_masks(noise(), truth)["reflective"]
    assert mask[12, 5]  # three of the halved pixels beside the hole
    assert not mask[12, 3]
    assert not mask[20, 30]


def test_errors_by_region_and_class_are_those_that_were_drawn() -> None:
    truth = np.full(HW, 2.0, np.float32)
    depth = truth.copy()
    depth[:, :16] = 3.0  # a quarter of the picture, half too far
    rgb = noise()
    rgb[:, :16] //= 8
    labels = np.full(HW, 4, np.uint8)
    labels[:, :16] = 11
    score = RegionScore(NYU13)
    for _ in range(3):
        score.add(truth, seen(depth, rgb, labels))
    found = score.summary()
    regions = {row["name"]: row for row in found["by_region"]}
    assert regions["dark"]["abs_rel"] == pytest.approx(0.5)
    assert regions["dark"]["bias"] == pytest.approx(0.5)
    assert regions["dark"]["d1"] == 0.0
    assert regions["dark"]["pixel_share"] == pytest.approx(0.25)
    assert regions["centre"]["abs_rel"] == pytest.approx(0.0, abs=1e-6)
    assert regions["dark"]["frames"] == 3
    classes = {row["name"]: row["abs_rel"] for row in found["by_class"]}
    assert classes == pytest.approx({NYU13.names[4]: 0.0, NYU13.names[11]: 0.5}, abs=1e-6)


def test_one_scale_for_a_sequence_and_raw_errors_are_those_by_hand() -> None:
    # Frame A wants scale 2, B scale 4; the sequence gets 3: errors of 1.5 and 0.75.
    truth = np.full(HW, 2.0, np.float32)
    score = AlignmentScore()
    everywhere = np.arange(truth.size)
    for depth, scale in ((1.0, 2.0), (0.5, 4.0)):
        depths = np.full(truth.size, depth, np.float32)
        score.add(Pixels(Truth(truth.ravel()), depths, everywhere), scale)
    found = score.summary()
    assert found["per_sequence"]["scale"] == 3.0
    assert found["per_sequence"]["abs_rel"] == pytest.approx((0.5 + 0.25) / 2, abs=0.005)
    assert found["per_sequence"]["d1"] == 0.0
    assert found["per_sequence"]["scale_spread_log"] == pytest.approx(math.log(2.0) / 2)
    assert found["raw"]["abs_rel"] == pytest.approx((0.5 + 0.75) / 2, abs=0.005)
    logs = math.log(2.0), math.log(4.0)
    expected = math.sqrt((logs[0] ** 2 + logs[1] ** 2) / 2)
    assert found["raw"]["rmse_log"] == pytest.approx(expected, abs=0.005)
    assert found["raw"]["frames"] == 2


def test_reliability_and_calibration_error_are_those_by_hand() -> None:
    truth = np.full((2, 4), 4, np.uint8)
    predicted = truth.copy()
    predicted[:, :2] = 11  # half are wrong
    confidence = np.full((2, 4), 0.9, np.float32)
    score = SegmentationScore(NYU13)
    score.add(truth, predicted, confidence)
    found = score.summary()
    assert found["ece"] == pytest.approx(0.4)
    assert found["reliability"]["accuracy"] == [0.5]
    assert found["reliability"]["confidence"] == pytest.approx([0.9])
    assert found["confusion"]["pixels"][4][11] == 4
    assert found["confusion"]["pixels"][4][4] == 4
    assert math.isnan(calibration_error(np.zeros((3, 15))))


def test_labels_without_confidence_have_no_calibration() -> None:
    score = SegmentationScore(NYU13)
    score.add(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))
    assert score.summary()["ece"] is None


def test_values_of_frames_give_mean_and_interval() -> None:
    values = FrameValues()
    numbers = np.random.default_rng(0).normal(0.2, 0.05, 200)
    for number in numbers:
        values.add("x", number)
    values.add("x", math.nan)
    values.add("x", None)
    assert values.mean("x") == pytest.approx(numbers.mean())
    assert values.count("x") == 200
    low, high = values.interval("x")
    expected = 1.96 * 0.05 / math.sqrt(200)
    assert (high - low) / 2 == pytest.approx(expected, rel=0.25)
    assert low < 0.2 < high
    assert values.interval("unknown") is None
    assert values.mean("unknown") is None


def test_the_interval_of_a_share_stays_a_share() -> None:
    values = FrameValues(shares=("d1",))
    for number in (1.0, 1.0, 0.9, 1.0, 0.7, 1.0):
        values.add("d1", number)
        values.add("wall/d1", number)
        values.add("other", number)
    assert values.interval("d1")[1] == 1.0
    assert values.interval("other")[1] > 1.0
    assert values.interval("wall/d1")[1] == 1.0


def test_the_interval_of_what_is_never_negative_does_not_reach_below_zero() -> None:
    values = FrameValues(signed=("bias",))
    for number in (0.0, 0.0, 0.3, 0.0, 0.01, 0.0):
        values.add("error", number)
        values.add("wall/bias", number)
    assert values.interval("error")[0] == 0.0
    assert values.interval("wall/bias")[0] < 0.0
    assert values.interval("error")[1] == values.interval("wall/bias")[1]


def test_the_interval_of_a_distance_stays_below_where_it_is_cut() -> None:
    values = FrameValues(most=10.0)
    for value in (10.0, 10.0, 9.0, 10.0, 10.0, 10.0):
        values.add("accuracy_px", value)
    low, high = values.interval("accuracy_px")
    assert 8.0 < low < 9.8
    assert high == 10.0


def test_few_frames_have_no_interval() -> None:
    values = FrameValues()
    for number in (0.1, 0.2, 0.3, 0.4):
        values.add("x", number)
    assert values.interval("x") is None


def test_a_long_recording_gets_the_same_interval_from_stretches() -> None:
    rng = np.random.default_rng(0)
    values = FrameValues()
    for number in rng.normal(0.2, 0.05, 9000):
        values.add("x", number)
    low, high = values.interval("x")
    assert (high - low) / 2 == pytest.approx(1.96 * 0.05 / math.sqrt(9000), rel=0.25)


def test_blocked_sums_keep_the_total_in_constant_memory() -> None:
    sums = BlockedSums((2,))
    for index in range(1000):
        sums.add(np.array([1.0, index % 2]))
    assert sums.total().tolist() == [1000.0, 500.0]
    assert sums._blocks.shape == (MOST_BLOCKS, 2)


def test_interval_of_a_pooled_share_covers_at_its_rate() -> None:
    covered = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        sums = BlockedSums((2,))
        for _ in range(150):
            right = rng.binomial(100, 0.7)
            sums.add(np.array([right, 100.0]))
        low, high = sums.interval(lambda found: float(found[0] / found[1]))
        covered += low <= 0.7 <= high
    assert covered >= 25  # of 30, where 28 or 29 are promised
