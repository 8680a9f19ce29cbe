"""Claims about holding labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.label_hysteresis import fade_of, hold_labels


def one(held, held_confidence, label, confidence, *, known=True, fade=0.25, margin=0.1):
    labels, kept = hold_labels(
        np.array([[held]], np.uint8),
        np.array([[held_confidence]], np.float32),
        np.array([[label]], np.uint8),
        np.array([[confidence]], np.float32),
        np.array([[known]]),
        fade,
        margin,
    )
    assert labels.dtype == np.uint8
    assert kept.dtype == np.float32
    return int(labels[0, 0]), pytest.approx(float(kept[0, 0]), abs=1e-6)


def test_an_agreeing_frame_moves_the_confidence_towards_its_own():
    assert one(4, 0.4, 4, 0.8) == (4, 0.5)


def test_a_doubtful_challenger_loses_but_weakens_the_label():
    # What is left for the held label is 1 - 0.6: 0.8 + 0.25 (0.4 - 0.8) = 0.7.
    assert one(4, 0.8, 5, 0.6) == (4, 0.7)


def test_a_challenger_wins_by_more_than_the_margin_only():
    assert one(4, 0.5, 5, 0.55, fade=0.0) == (4, 0.5)
    assert one(4, 0.5, 5, 0.65, fade=0.0) == (5, 0.65)


def test_what_is_not_known_takes_the_frames_label():
    assert one(4, 0.9, 5, 0.1, known=False) == (5, 0.1)


def test_no_confidence_at_all_holds_nothing():
    label, _ = one(4, float("nan"), 5, 0.2)
    assert label == 5


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 1.0), st.floats(0.1, 1.0), st.floats(0.2, 1.0), st.floats(0.0, 0.3))
def test_a_label_seen_for_long_enough_always_wins(held, confidence, fade, margin):
    label, kept = 4, held
    for _ in range(60):
        label, fading = one(label, kept, 5, confidence, fade=fade, margin=margin)
        if label == 5:
            return
        assert fading.expected <= kept + 1e-6
        kept = fading.expected
    # It can only hold on where the challenger's doubt leaves it more than the challenger has.
    assert confidence <= min(held, 1 - confidence) + margin + 1e-3


def test_weight_of_a_frame_grows_with_the_time_since_the_last():
    assert fade_of(0.0, 1.0) == 0.0
    assert fade_of(1.0, 1.0) == pytest.approx(0.632, abs=1e-3)
    assert fade_of(0.01, 0.0) == 1.0
