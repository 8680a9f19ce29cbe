"""Claims about the scores of scale, time, fusion and health, on frames made by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from gam_depth_ros.core.config import FusionConfig, TemporalConfig
from gam_depth_ros.core.frame import Frame, FrameQuality, ReferenceDepth, ScaleState
from gam_depth_ros.evaluation.fusion_scoring import ExactFusionScore, FusionScore
from gam_depth_ros.evaluation.health_scoring import HealthScore
from gam_depth_ros.evaluation.observation import Observation
from gam_depth_ros.evaluation.sample import Sample
from gam_depth_ros.evaluation.scale_scoring import ScaleScore
from gam_depth_ros.evaluation.temporal_scoring import WARM_UP, WATCHED, TemporalScore
from gam_depth_ros.evaluation.trust import trust_rows
from gam_depth_ros.evaluation.withholding import withhold_blocks

SIZE_HW = (48, 64)
PERIOD_NS = 33_000_000
RGB = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
ONES = np.ones(SIZE_HW, np.float32)


def observation(index: int, truth_m: np.ndarray = 2 * ONES, **changes: object) -> Observation:
    """Return a frame whose network says 1 everywhere and whose scale is 2 metres per unit."""
    stamp_ns = index * PERIOD_NS
    frame = Frame(RGB, stamp_ns, "camera", reference=ReferenceDepth(truth_m, stamp_ns, "camera"))
    values = {
        "sample": Sample(frame, stamp_ns),
        "depth": ONES,
        "steady_depth": ONES,
        "metric_depth_m": 2 * ONES,
        "sigma_log": 0.1 * ONES,
        "metric_sigma_m": 0.2 * ONES,
        "labels": np.zeros(SIZE_HW, np.uint8),
        "scale_state": ScaleState("LOCKED", "median_reference", 2.0, 0.1, 0.0, "by hand"),
    }
    return Observation(**(values | changes))


def test_a_scale_ten_percent_high_is_off_by_its_logarithm():
    score = ScaleScore()
    seen = observation(1, truth_m=np.float32(2 / 1.1) * ONES)
    score.count(seen)
    assert score.add(2 / 1.1 * ONES, seen) == pytest.approx(math.log(1.1), rel=1e-5)
    found = score.summary()
    assert found["log_error_median"] == pytest.approx(math.log(1.1), rel=1e-5)
    assert found["within_1sigma"] == 1.0  # 0.0953 of a sigma of 0.1
    assert found["states"] == {"LOCKED": 1}


def test_an_error_of_one_and_a_half_sigma_is_within_two_but_not_one():
    score, truth_m = ScaleScore(), np.float32(2 * math.exp(-0.15)) * ONES
    seen = observation(1, truth_m=truth_m)
    score.count(seen)
    score.add(truth_m, seen)
    assert (score.summary()["within_1sigma"], score.summary()["within_2sigma"]) == (0.0, 1.0)


def test_a_scale_that_is_unknown_counts_as_a_state_and_scores_nothing():
    score = ScaleScore()
    unknown = ScaleState("UNKNOWN", "median_reference", math.nan, math.inf, math.inf, "none yet")
    seen = observation(1, scale_state=unknown)
    score.count(seen)
    assert math.isnan(score.add(2 * ONES, seen))
    assert score.summary()["states"] == {"UNKNOWN": 1}
    assert score.summary()["log_error_rms"] is None


def test_holes_filled_from_around_score_better_than_a_prediction_with_a_wrong_scale():
    score = FusionScore(FusionConfig())
    truth_m = np.float32(1.5) * ONES  # the prediction says 2 m
    for index in range(1, 6):
        score.add(truth_m, observation(index, truth_m=truth_m))
    found = score.summary()
    assert found["abs_rel"]["network"] == pytest.approx(1 / 3, rel=1e-4)
    assert found["abs_rel"]["fill"] < 0.02
    assert found["rmse"]["network"] == pytest.approx(0.5, rel=1e-4)
    assert found["d1"]["network"] == 0.0
    assert found["d1"]["fill"] == 1.0
    assert found["frames"] == 5


def test_against_exact_depth_readings_and_holes_are_scored_apart():
    score = ExactFusionScore(FusionConfig())
    exact_m = 2 * ONES
    shown_m = np.float32(2.1) * ONES  # five percent off
    shown_m[:, 40:] = np.nan
    prediction_m = np.float32(1.9) * ONES
    score.add(exact_m, observation(1, truth_m=shown_m, metric_depth_m=prediction_m))
    found = score.summary()
    readings, holes = found["readings"], found["holes"]
    assert readings["abs_rel"]["sensor"] == pytest.approx(0.05, rel=1e-4)
    assert readings["abs_rel"]["fill"] == pytest.approx(0.05, rel=1e-4)
    assert readings["abs_rel"]["network"] == pytest.approx(0.05, rel=1e-4)
    assert "sensor" not in holes["abs_rel"]
    assert holes["abs_rel"]["network"] == pytest.approx(0.05, rel=1e-4)
    # The filling follows the readings around it, which here are wrong.
    assert holes["abs_rel"]["fill"] == pytest.approx(0.05, abs=0.01)
    assert readings["coverage_1sigma"]["network"] == 1.0
    assert ExactFusionScore(FusionConfig()).summary() is None


def test_a_withheld_reading_never_reaches_the_fusion():
    score, truth_m = FusionScore(FusionConfig()), 2 * ONES
    seen = observation(1, truth_m=truth_m)
    score.add(truth_m, seen)
    other = FusionScore(FusionConfig())
    # Another truth in the withheld blocks alone changes the errors, not what was fused.
    _, withheld = withhold_blocks(truth_m, 3, 0.25, 1)
    changed = np.where(withheld, np.float32(4), truth_m).astype(np.float32)
    other.add(changed, observation(1, truth_m=changed))
    assert other.summary()["source_share"] == score.summary()["source_share"]
    assert score.summary()["abs_rel"]["fuse"] == pytest.approx(0.0, abs=1e-3)
    assert other.summary()["abs_rel"]["fuse"] == pytest.approx(0.5, abs=1e-3)


def test_a_still_scene_whose_depth_flickers_by_a_tenth_scores_a_tenth():
    score = TemporalScore(TemporalConfig(mode="off"))
    for index in range(4):
        depth = ONES * np.float32(math.exp(0.1 * (index % 2)))
        score.add(observation(index + 1, depth=depth, steady_depth=ONES))
    found = score.summary()
    assert found["flicker"] == pytest.approx(0.0, abs=1e-6)
    assert found["flicker_network"] == pytest.approx(0.1, rel=1e-3)
    assert found["opw_network"] == pytest.approx(0.1, rel=1e-2)
    assert found["label_change"] == 0.0


def test_without_a_filter_every_step_shows_at_once():
    score = TemporalScore(TemporalConfig(mode="off"))
    for index in range(WARM_UP + WATCHED):
        score.add(observation(index + 1))
    assert set(score.summary()["reaction_frames"].values()) == {1}


def test_a_gap_in_time_is_no_pair():
    score = TemporalScore(TemporalConfig(mode="off"))
    score.add(observation(1))
    score.add(observation(100))
    assert score.summary() is None


def test_health_counts_conditions_and_keeps_the_last_drift():
    score = HealthScore()
    score.add(FrameQuality(agreement=0.5))
    dark = FrameQuality(("dark",), withheld=True, drift={"luminance": 0.4}, drift_line="drift: x")
    score.add(replace(dark, agreement=math.nan))
    found = score.summary()
    assert found["healthy_share"] == 0.5
    assert found["conditions"] == {"dark": 1}
    assert found["withheld_frames"] == 1
    assert found["agreement"] == 0.5
    assert found["drift"] == {"luminance": 0.4}


def test_the_page_has_a_row_for_each_figure_and_none_for_what_is_missing():
    assert trust_rows({}) == []
    score = ScaleScore()
    seen = observation(1)
    score.count(seen)
    score.add(2 * ONES, seen)
    rows = trust_rows({"scale": score.summary()})
    assert [row["name"] for row in rows] == ["states", "off by", "within its sigma, two"]
    assert rows[1]["value"] == "0.0 %"
    exact = {"readings": {"abs_rel": {"sensor": 0.05, "fuse": 0.04}}}
    fusion = {"withheld_share": 0.25, "abs_rel": {"fuse": 0.05}, "exact": exact}
    row = trust_rows({"fusion": fusion})[1]
    assert row["name"] == "readings, exact truth"
    assert row["value"] == "sensor 0.050, fused 0.040"
