"""Claims about the gradient magnitude and the masks over it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_training import gradient_mask as masks

ORACLE = Path(__file__).parents[1] / "data" / "oracle" / "gradient_mask.npz"


@pytest.fixture(scope="module")
def official() -> dict[str, np.ndarray]:
    with np.load(ORACLE) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _step(height_levels: int) -> np.ndarray:
    picture = np.zeros((20, 24, 3), np.uint8)
    picture[:, 12:] = height_levels
    return picture


def test_magnitude_with_swapped_weights_is_the_official_one(official):
    magnitude = masks.gradient_magnitude(official["rgb_288x384"], swapped_grey_weights=True)
    assert magnitude.shape == (1, 288, 384)
    assert magnitude.dtype == np.float64
    # Stored rows only. OpenCV's fixed-point grey may differ by a level between its releases.
    difference = np.abs(magnitude[:, ::6] - official["magnitude"])
    assert np.median(difference) < 1e-9
    assert difference.max() < 8


def test_right_grey_weights_see_red_more_than_blue():
    red, blue = np.zeros((2, 20, 24, 3), np.uint8)
    red[:, 12:, 0] = 200
    blue[:, 12:, 2] = 200
    seen = [masks.gradient_magnitude(picture).max() for picture in (red, blue)]
    swapped = [masks.gradient_magnitude(picture, True).max() for picture in (red, blue)]
    assert seen == swapped[::-1]
    # Grey levels are whole numbers: some 5 % of a step of 23.
    assert seen[0] / seen[1] == pytest.approx(0.299 / 0.114, rel=0.1)


def test_step_edges_reach_the_official_magnitudes_and_weights(official):
    for height, peak, weight in official["step_edge"]:
        magnitude = masks.gradient_magnitude(_step(int(height)))
        assert magnitude.max() == pytest.approx(peak)
        assert masks.gradient_aware_mask(magnitude).max() == pytest.approx(weight, abs=1e-9)


def test_mask_curve_is_the_official_one(official):
    curve = masks.gradient_aware_mask(official["curve_m"])
    np.testing.assert_allclose(curve, official["curve_mask"], atol=1e-12)


def test_only_steps_beyond_150_levels_leave_the_floor():
    peaks = {
        step: masks.gradient_aware_mask(masks.gradient_magnitude(_step(step))).max()
        for step in (120, 150, 170)
    }
    assert peaks[120] < 0.101
    assert peaks[150] < 0.3
    assert peaks[170] > 0.9


@pytest.mark.parametrize("mask", [masks.gradient_aware_mask, masks.adaptive_gradient_mask])
def test_arrays_and_tensors_give_the_same_mask(mask):
    magnitude = np.random.default_rng(0).gamma(1.0, 60.0, (3, 1, 31, 17))
    tensor = mask(torch.from_numpy(magnitude))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor.numpy(), mask(magnitude), rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), beta=st.floats(0.0, 1.0), huge=st.floats(0.0, 1e6))
def test_masks_rise_with_the_gradient_between_beta_and_one(seed, beta, huge):
    magnitude = np.sort(np.random.default_rng(seed).gamma(1.0, 100.0, 64)).reshape(1, 8, 8)
    magnitude[0, -1, -1] += huge
    for mask in (masks.gradient_aware_mask, masks.adaptive_gradient_mask):
        weights = mask(magnitude, beta=beta).ravel()
        assert (np.diff(weights) >= 0).all()
        assert weights[0] >= beta - 1e-12
        assert weights[-1] <= 1 + 1e-12


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), contrast=st.floats(0.5, 20.0), share=st.floats(0.5, 0.98))
def test_adaptive_mask_lights_the_same_share_at_any_contrast(seed, contrast, share):
    magnitude = 30 + np.random.default_rng(seed).gamma(1.0, 60.0, (1, 20, 25))
    mask = masks.adaptive_gradient_mask(magnitude, share=share)
    assert (mask > 0.55).mean() == pytest.approx(1 - share, abs=2.1 / 500)
    stretched = masks.adaptive_gradient_mask(contrast * magnitude, share=share)
    np.testing.assert_allclose(stretched, mask, rtol=1e-9)


def test_adaptive_mask_looks_at_each_picture_alone():
    rng = np.random.default_rng(1)
    dim, bright = rng.gamma(1.0, 20.0, (1, 16, 16)), rng.gamma(1.0, 200.0, (1, 16, 16))
    together = masks.adaptive_gradient_mask(np.stack((dim, bright)))
    for mask, magnitude in zip(together, (dim, bright), strict=True):
        np.testing.assert_array_equal(mask, masks.adaptive_gradient_mask(magnitude))


def test_adaptive_mask_of_a_blank_noisy_wall_stays_low():
    noise = np.random.default_rng(2).normal(128, 2, (48, 64, 3)).round().astype(np.uint8)
    mask = masks.adaptive_gradient_mask(masks.gradient_magnitude(noise))
    assert (mask > 0.55).mean() < 0.005


@pytest.mark.parametrize("bad", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3), np.float32)])
def test_other_than_colour_bytes_is_refused(bad):
    with pytest.raises(ValueError, match="expected H×W×3 uint8"):
        masks.gradient_magnitude(bad)
