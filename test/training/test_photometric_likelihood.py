"""Claims about the learned uncertainty of the photometric error."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gam_depth_training.objective import Objective, Terms

from .objective_inputs import (
    PLAIN,
    SIZE,
    make_batch,
    make_prediction,
    make_views,
    terms_of,
)


def _likelihood(log_b: Tensor, **changes: object) -> Terms:
    options = replace(PLAIN, photometric_likelihood=True, **changes)
    batch = make_batch()
    prediction = replace(make_prediction(), log_b=log_b)
    return Objective(options)(prediction, make_views(batch), batch, 0)


@pytest.mark.parametrize("photometric", ["mean", "gradient_mask", "adaptive_mask", "keypoints"])
def test_the_photometric_likelihood_is_least_where_b_is_each_pixels_error(photometric):
    plain = terms_of(replace(PLAIN, photometric=photometric))
    error = plain.pictures["error"]
    log_b = error.log().requires_grad_()
    best = _likelihood(log_b, photometric=photometric)
    best.total.backward()
    assert log_b.grad.abs().max() < 1e-9
    torch.testing.assert_close(best.pictures["sigma"], error)
    for shift in (-0.3, 0.3):
        other = _likelihood(log_b.detach() + shift, photometric=photometric)
        assert other.scalars["photometric"] > best.scalars["photometric"]


def test_the_photometric_likelihood_with_b_of_one_is_the_plain_error():
    zeros = torch.zeros(2, 1, *SIZE)
    assert _likelihood(zeros).total.item() == pytest.approx(terms_of(PLAIN).total.item())


def test_only_the_photometric_likelihood_teaches_sigma_and_a_small_b_teaches_depth_faster():
    batch, prediction = make_batch(), make_prediction()
    view = (batch.target * 0.5 + 0.1 * prediction.depth).clamp(0, 1)
    slopes = []
    for b in (1.0, 0.1):
        options = replace(PLAIN, photometric_likelihood=True, smoothness=0, semantic=0)
        log_b = torch.full((2, 1, *SIZE), b).log()
        total = Objective(options)(replace(prediction, log_b=log_b), {1: view}, batch, 0).total
        slopes.append(torch.autograd.grad(total, prediction.disparity, retain_graph=True)[0])
    torch.testing.assert_close(slopes[1], 10 * slopes[0])
    log_b = torch.zeros(2, 1, *SIZE, requires_grad=True)
    views = make_views(batch)
    plain = Objective(PLAIN)(replace(prediction, log_b=log_b), views, batch, 0).total
    assert torch.autograd.grad(plain, log_b, allow_unused=True)[0] is None
