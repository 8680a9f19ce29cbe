"""Claims about the loss terms, on numbers computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_training import losses


def _map(values: list[list[float]]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[None, None]


def test_residual_is_zero_for_depth_right_up_to_scale():
    truth = _map([[1.0, 2.0], [4.0, 0.0]])
    residual, offset = losses.log_depth_residual(3 * truth.clamp(min=0.5), truth, truth > 0)
    assert residual.abs().max() < 1e-12
    assert offset.item() == pytest.approx(math.log(3))


@settings(max_examples=25, deadline=None)
@given(factor=st.floats(0.1, 10.0))
def test_scaling_the_prediction_leaves_the_residual(factor):
    depth, truth = _map([[1.0, 2.5, 3.0]]), _map([[1.0, 2.0, 4.0]])
    mask = truth > 0
    plain, _ = losses.log_depth_residual(depth, truth, mask)
    scaled, _ = losses.log_depth_residual(factor * depth, truth, mask)
    torch.testing.assert_close(plain, scaled)


def test_masked_pixels_carry_no_gradient():
    depth = _map([[1.0, 2.0], [3.0, 4.0]]).requires_grad_()
    truth = _map([[1.0, 2.0], [0.0, 3.0]])
    residual, _ = losses.log_depth_residual(depth, truth, truth > 0)
    losses.gradient_matching(residual, truth > 0).backward()
    assert depth.grad[0, 0, 1, 0] == 0


def test_gradient_matching_by_hand():
    # One scale, one row: |0-1| and |1-1| over two pairs; no vertical pair.
    residual = _map([[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    mask = torch.ones_like(residual, dtype=torch.bool)
    assert losses.gradient_matching(residual, mask, scales=1).item() == pytest.approx(0.5)


def test_gradient_matching_passes_gradcheck():
    residual = torch.rand(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(1, 1, 4, 5) > 0.2
    assert torch.autograd.gradcheck(lambda r: losses.gradient_matching(r, mask, 2), residual)


def test_laplace_nll_is_least_where_b_is_the_mean_absolute_residual():
    residual = torch.tensor([0.1, -0.3, 0.2, -0.2], dtype=torch.float64).view(1, 1, 2, 2)
    mask = torch.ones_like(residual, dtype=torch.bool)
    candidates = torch.linspace(0.05, 0.6, 111, dtype=torch.float64)
    scores = [
        losses.laplace_nll(residual, torch.full_like(residual, float(b.log())), mask).item()
        for b in candidates
    ]
    assert candidates[int(torch.tensor(scores).argmin())].item() == pytest.approx(0.2, abs=0.005)


def test_an_empty_mask_gives_zero_and_not_nan():
    depth, truth = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    mask = truth > 0
    residual, offset = losses.log_depth_residual(depth, truth, mask)
    total = losses.gradient_matching(residual, mask) + losses.laplace_nll(residual, depth, mask)
    assert total.item() == 0
    assert offset.item() == 0


def test_cross_entropy_ignores_the_unlabelled():
    logits = torch.zeros(1, 3, 1, 2)
    labels = torch.tensor([[[1, 255]]])
    loss = losses.semantic_cross_entropy(logits, labels, ignore_index=255)
    assert loss.item() == pytest.approx(math.log(3))
    nothing = losses.semantic_cross_entropy(logits, torch.full((1, 1, 2), 255), ignore_index=255)
    assert nothing.item() == 0
