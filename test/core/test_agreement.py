"""Boundaries of depth and of labels: the same, shifted, alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.agreement import boundary_agreement, depth_steps, label_boundaries
from gam_depth_ros.core.health_config import AgreementConfig

SIZE_HW = (24, 32)
CONFIG = AgreementConfig(depth_step=0.1, tolerance_px=2, sigma_factor=1.5)


def halves(column: int, left: float, right: float, dtype: type = np.float32) -> np.ndarray:
    """A picture with one value left of a column and another from it on."""
    picture = np.full(SIZE_HW, right, dtype)
    picture[:, :column] = left
    return picture


def test_boundaries_in_the_same_place_agree_wholly():
    found = boundary_agreement(halves(16, 1.0, 2.0), halves(16, 3, 7, np.uint8), CONFIG)
    assert found.score == 1.0
    assert not found.depth_only.any()
    assert not found.label_only.any()


def test_a_shift_within_the_tolerance_agrees_and_one_beyond_does_not():
    # Both sides of a boundary are marked: columns 15 and 16 against 15+s and 16+s.
    depth = halves(16, 1.0, 2.0)
    scores = [
        boundary_agreement(depth, halves(16 + s, 3, 7, np.uint8), CONFIG).score for s in range(6)
    ]
    assert scores == [1.0, 1.0, 1.0, 0.5, 0.0, 0.0]


def test_a_boundary_of_one_alone_is_marked_with_its_surroundings():
    found = boundary_agreement(halves(16, 1.0, 2.0), np.zeros(SIZE_HW, np.uint8), CONFIG)
    assert found.score == 0.0
    expected = np.zeros(SIZE_HW, bool)
    expected[:, 13:19] = True  # columns 15 and 16, two pixels each way
    np.testing.assert_array_equal(found.depth_only, expected)
    assert not found.label_only.any()
    other = boundary_agreement(np.ones(SIZE_HW, np.float32), halves(16, 0, 1, np.uint8), CONFIG)
    np.testing.assert_array_equal(other.label_only, expected)
    assert not other.depth_only.any()
    # Only a boundary of the labels alone widens sigma.
    np.testing.assert_array_equal(other.sigma_factor, np.where(expected, 1.5, 1.0))
    assert (found.sigma_factor == 1.0).all()
    assert other.sigma_factor.dtype == np.float32


def test_without_any_boundary_the_score_is_unknown():
    found = boundary_agreement(np.ones(SIZE_HW, np.float32), np.zeros(SIZE_HW, np.uint8))
    assert math.isnan(found.score)


def test_steps_are_of_ratios_and_a_gentle_slope_has_none():
    slope = np.exp(np.linspace(0, 2, SIZE_HW[1], dtype=np.float32))[None].repeat(SIZE_HW[0], 0)
    assert not depth_steps(slope, 0.1).any()
    assert (depth_steps(slope, 0.05) == 1).all()
    assert depth_steps(halves(16, 1.0, 1.05), 0.1).sum() == 0
    assert depth_steps(halves(16, 10.0, 12.0), 0.1).sum() == 2 * SIZE_HW[0]


def test_unknown_depth_makes_no_step():
    depth = np.ones(SIZE_HW, np.float32)
    depth[5:9, 5:9] = np.nan
    assert not depth_steps(depth, 0.1).any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10.0))
def test_the_scale_of_depth_does_not_matter(seed, factor):
    rng = np.random.default_rng(seed)
    depth = np.exp2(rng.integers(0, 3, SIZE_HW)).astype(np.float32)
    labels = rng.integers(0, 2, SIZE_HW).astype(np.uint8)
    one = boundary_agreement(depth, labels, CONFIG)
    other = boundary_agreement((depth * np.float32(factor)).astype(np.float32), labels, CONFIG)
    assert 0.0 <= one.score <= 1.0
    assert one.score == other.score
    np.testing.assert_array_equal(one.depth_only, other.depth_only)


def test_both_sides_of_a_label_boundary_are_marked():
    marked = label_boundaries(halves(4, 1, 2, np.uint8))
    assert marked.sum() == 2 * SIZE_HW[0]
    assert marked[:, 3:5].all()


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="tolerance_px: got 50"):
        AgreementConfig(tolerance_px=50)
