"""Claims about what says whether an uncertainty is good."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gam_depth_ros.core.uncertainty_metrics import METRICS
from gam_depth_training import uncertainty_scores
from gam_depth_training.evaluation_frames import EvaluationFrame
from gam_depth_training.sparsification_figure import draw_sparsification
from gam_depth_training.uncertainty import (
    compare_uncertainty,
    constant_uncertainty,
    flip_uncertainty,
)
from gam_depth_training.uncertainty_scores import (
    Pixels,
    UncertaintyScore,
    conformal_factor,
    covered,
    mean_interval_score,
)

CLIP_M = (0.1, 10.0)


def _pixels(count: int = 4000, seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(1.0, 4.0, count)
    spread = rng.uniform(0.01, 0.3, count)
    return Pixels(truth, truth * np.exp(rng.laplace(0.0, spread)), spread)


def _widened(pixels: Pixels, factor: float) -> Pixels:
    return Pixels(pixels.truth_m, pixels.depth_m, factor * pixels.sigma_log)


def test_a_constant_gains_nothing_though_errors_grow_down_the_picture():
    truth = np.full((120, 160), 2.0)
    depth = truth * (1.0 + np.linspace(-0.3, 0.5, 120)[:, None])
    score = UncertaintyScore()
    score.add(truth, depth, np.full_like(depth, 0.1))
    figures = score.summary()
    assert abs(figures["aurg_abs_rel"]) < 0.02 * figures["abs_rel"]


def test_an_honest_sigma_covers_what_it_promises_and_any_factor_on_it_is_undone():
    fitted, held_out = [_pixels(seed=1)], [_pixels(seed=2), _pixels(seed=3)]
    factor = conformal_factor(fitted)
    # The spread is Laplace's b: 68.3 % lie within 1.149 b.
    assert factor == pytest.approx(-math.log(1 - 0.683), rel=0.04)
    assert covered(held_out, factor) == pytest.approx(0.683, abs=0.02)
    wider = [_widened(pixels, 7.0) for pixels in fitted]
    assert conformal_factor(wider) == pytest.approx(factor / 7)
    assert math.isnan(conformal_factor([]))
    assert math.isnan(covered([], 1.0))


def test_of_two_that_cover_the_same_the_interval_score_tells_the_one_that_knows():
    scores = {"knows": UncertaintyScore(), "constant": UncertaintyScore()}
    for seed in range(6):
        pixels = _pixels(seed=seed)
        for name, score in scores.items():
            sigma = pixels.sigma_log if name == "knows" else np.full(4000, 0.1)
            pictures = (pixels.truth_m, pixels.depth_m, sigma)
            score.add(*(values.reshape(50, 80) for values in pictures))
    knows, constant = (score.summary() for score in scores.values())
    assert knows["coverage"] == pytest.approx(constant["coverage"], abs=0.03)
    assert knows["abs_rel"] == pytest.approx(constant["abs_rel"])
    assert knows["ause_abs_rel"] < 0.7 * constant["ause_abs_rel"]
    assert knows["interval_score"] < 0.95 * constant["interval_score"]


def test_the_interval_score_is_the_width_and_what_lies_outside():
    pixels = Pixels(np.ones(2), np.exp(np.array([0.1, -0.5])), np.array([0.1, 0.1]))
    # Half-widths of 0.2; the second truth lies 0.3 outside, which costs 2/(1 - 0.5) times as much.
    assert mean_interval_score([pixels], 2.0, level=0.5) == pytest.approx((0.4 + 0.4 + 4 * 0.3) / 2)
    assert math.isnan(mean_interval_score([], 1.0))


def test_the_factor_comes_from_the_first_half_of_each_room_and_coverage_from_the_second():
    score = UncertaintyScore()
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 3, (30, 40))
    for room in ("a", "b"):
        for spread in (0.01, 0.01, 0.1, 0.1):
            depth = truth * np.exp(rng.laplace(0.0, spread, truth.shape))
            score.add(truth, depth, np.full_like(truth, 0.01), room)
    figures = score.summary()
    assert figures["factor"] == pytest.approx(1.149, rel=0.1)
    # Ten times the spread: 1 - exp(-0.1149) lie within the same interval.
    assert figures["coverage"] == pytest.approx(0.1085, abs=0.03)
    assert score.count == 8


def test_pictures_without_depth_count_nothing_and_one_alone_has_no_coverage():
    score = UncertaintyScore()
    nothing = np.full((4, 5), np.nan)
    score.add(nothing, np.ones((4, 5)), np.ones((4, 5)))
    assert score.summary() == {}
    truth = np.linspace(1, 2, 20).reshape(4, 5)
    truth[0, 0] = 0.0
    score.add(truth, 3 * truth + 0.01, np.ones((4, 5)))
    figures = score.summary()
    # The scale is taken out; the unknown pixel is not looked at.
    assert figures["abs_rel"] < 0.01
    assert math.isnan(figures["coverage"])


def test_at_most_so_many_pixels_are_ranked(monkeypatch):
    monkeypatch.setattr(uncertainty_scores, "PIXELS", 60)
    truth = np.random.default_rng(0).uniform(1, 2, (20, 30))
    pixels = uncertainty_scores.aligned_pixels(
        truth, truth, truth, CLIP_M, np.random.default_rng(0)
    )
    assert len(pixels.truth_m) == len(np.unique(pixels.truth_m)) == 60


class _Columns(nn.Module):
    """Depth that grows with brightness, and, where lopsided, to the right whatever it sees."""

    def __init__(self, lopsided: bool) -> None:
        super().__init__()
        self.lopsided = lopsided

    def forward(self, image: Tensor) -> SimpleNamespace:
        slope = torch.linspace(0.0, 1.0, image.shape[-1]) if self.lopsided else 0.0
        return SimpleNamespace(depth=torch.exp(image.mean(1, keepdim=True) + slope))


def test_mirrored_depth_agrees_unless_the_network_knows_left_from_right():
    image = torch.rand(2, 3, 6, 9, generator=torch.Generator().manual_seed(0))
    depth, sigma = flip_uncertainty(_Columns(lopsided=False), image)
    torch.testing.assert_close(depth, torch.exp(image.mean(1, keepdim=True)))
    assert sigma.abs().max() < 1e-6
    _, sigma = flip_uncertainty(_Columns(lopsided=True), image)
    across = torch.linspace(0.0, 1.0, 9)
    expected = (across - across.flip(0)).abs().expand(2, 1, 6, 9)
    torch.testing.assert_close(sigma, expected, atol=1e-6, rtol=0)


def test_methods_are_compared_on_the_same_pixels_and_drawn(tmp_path):
    rng = np.random.default_rng(0)
    frames = [
        EvaluationFrame(
            str(index),
            "room",
            rng.integers(0, 255, (32, 48, 3)).astype(np.uint8),
            rng.uniform(1, 3, (64, 96)).astype(np.float32),
        )
        for index in range(4)
    ]
    network = _Columns(lopsided=True)
    methods = {
        "flip": lambda image: flip_uncertainty(network, image),
        "constant": lambda image: constant_uncertainty(network, image),
    }
    scores = compare_uncertainty(methods, frames, (32, 48))
    assert [score.count for score in scores.values()] == [4, 4]
    flip, constant = (score.summary() for score in scores.values())
    for metric in METRICS:
        assert flip[metric] == pytest.approx(constant[metric], rel=1e-12)
    assert flip["ause_abs_rel"] != constant["ause_abs_rel"]
    draw_sparsification(scores, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[1:4] == b"PNG"
