"""Failures are counted by cause, and the worst of each is shown once."""

from __future__ import annotations

import math

import numpy as np

from gam_depth_ros.core.frame import Frame, FrameQuality
from gam_depth_ros.evaluation.failures import (
    BLIND,
    PICTURE,
    SCALE,
    TOO_SURE,
    FailureGallery,
    FrameScores,
    causes_of,
)
from gam_depth_ros.evaluation.observation import Observation
from gam_depth_ros.evaluation.sample import Sample

FINE = FrameScores(abs_rel=0.1, floor_abs_rel=0.3, scale_log_error=0.02, coverage=0.7)


def seen(stamp_s: float = 1.0, conditions: tuple[str, ...] = ()) -> Observation:
    rgb = np.zeros((6, 8, 3), np.uint8)
    sample = Sample(Frame(rgb, int(stamp_s * 1e9), "camera"), 1)
    return Observation(
        sample, None, None, None, None, None, quality=FrameQuality(conditions=conditions)
    )


def test_a_frame_that_is_right_has_no_cause() -> None:
    assert causes_of(seen(), FINE) == {}
    assert causes_of(seen(), FrameScores()) == {}  # nothing known, nothing said


def test_each_cause_is_told_by_its_own_figure() -> None:
    wrong = FrameScores(abs_rel=0.4, floor_abs_rel=0.3, scale_log_error=-0.2, coverage=0.2)
    assert set(causes_of(seen(), wrong)) == {BLIND, SCALE, TOO_SURE}
    off = FrameScores(abs_rel=0.1, floor_abs_rel=0.3, scale_log_error=0.11, coverage=0.7)
    assert list(causes_of(seen(), off)) == [SCALE]


def test_what_is_wrong_with_the_picture_explains_the_rest() -> None:
    wrong = FrameScores(abs_rel=0.4, floor_abs_rel=0.3, scale_log_error=0.2, coverage=0.2)
    assert list(causes_of(seen(conditions=("over_exposed", "noisy")), wrong)) == [
        PICTURE + "over exposed"
    ]


def test_the_commonest_cause_comes_first_and_the_worst_frames_are_kept_apart() -> None:
    gallery = FailureGallery()
    for index in range(40):  # ten a second; the scale is worst at 2.0 s and at 3.5 s
        error = {20: 0.9, 21: 0.8, 35: 0.5}.get(index, 0.2)
        scores = FrameScores(0.1, 0.3, error, 0.7)
        gallery.add(index, seen(0.1 * (1 + index)), None, scores)
    gallery.add(99, seen(50.0), None, FrameScores(0.4, 0.3, 0.0, 0.7))
    summary = gallery.summary()
    assert [(row["cause"], row["frames"]) for row in summary] == [(SCALE, 40), (BLIND, 1)]
    assert [row["of_frames"] for row in summary] == [41, 41]
    kept = gallery.pictures()
    assert [picture.index for picture in kept[SCALE]] == [20, 35]
    assert [picture.index for picture in kept[BLIND]] == [99]
    assert math.isfinite(kept[BLIND][0].abs_rel)


def test_a_cause_is_counted_among_the_frames_with_truth_unless_it_is_the_picture() -> None:
    gallery = FailureGallery()
    gallery.add(0, seen(1.0), None, FrameScores(0.1, 0.3, 0.2, 0.7))
    gallery.add(1, seen(3.0), None, FrameScores())  # no truth: nobody knows its scale's error
    gallery.add(2, seen(5.0, ("dark",)), None, FrameScores())
    gallery.add(3, seen(7.0, ("dark",)), None, FINE)
    counts = {
        row["cause"]: (row["frames"], row["of_frames"], row["with_truth"])
        for row in gallery.summary()
    }
    assert counts == {SCALE: (1, 2, True), f"{PICTURE}dark": (2, 4, False)}
