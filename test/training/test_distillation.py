"""Claims about the loss of a student: its likelihood, and what its teacher is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gam_depth_training.networks import JointNetwork, JointPrediction
from gam_depth_training.objective import ObjectiveOptions, Terms
from gam_depth_training.self_teaching import Teacher, distillation, self_teaching_terms

TERMS = ObjectiveOptions(
    smoothness=0, normal=0, planar=0, semantic=0.1, semantic_until_epoch=None
)
CLASSES = 4


def _prediction(log_depth: Tensor, log_b: Tensor, logits: Tensor | None = None) -> JointPrediction:
    depth = log_depth.exp()
    if logits is None:
        logits = torch.zeros(len(depth), CLASSES, *depth.shape[2:])
    return JointPrediction(1 / depth, depth, log_b, logits, depth.mean((2, 3)))


def _terms(student: JointPrediction, teacher: JointPrediction, epoch: int = 0) -> Terms:
    target = torch.zeros(len(student.depth), 3, *student.depth.shape[2:])
    return self_teaching_terms(student, teacher, target, TERMS, epoch)


def test_the_likelihood_is_least_where_b_is_the_mean_distance_to_the_teacher():
    generator = torch.Generator().manual_seed(0)
    taught = _prediction(torch.randn(2, 1, 40, 50, generator=generator) * 0.3, torch.zeros(1))
    flat = torch.zeros(2, 1, 40, 50)
    best = taught.depth.log().abs().mean().log()

    def cost(log_b: Tensor) -> float:
        return _terms(_prediction(flat, log_b.expand_as(flat)), taught).scalars["likelihood"].item()

    assert cost(best) == pytest.approx(1 + best.item(), rel=1e-5)
    for step in (0.05, 0.5):
        assert cost(best - step) > cost(best) < cost(best + step)


def test_a_student_learns_b_where_its_teacher_cannot_be_foretold_and_depth_everywhere():
    # The teacher is sure of 2 on the left; on the right it says 3, give or take 20 % in log.
    generator = torch.Generator().manual_seed(0)
    log_depth = torch.zeros(1, 1, 8, 8, requires_grad=True)
    log_b = torch.full((1, 1, 8, 8), -1.0, requires_grad=True)
    optimizer = torch.optim.Adam([log_depth, log_b], lr=0.02)
    for _ in range(400):
        answer = torch.full((16, 1, 8, 8), 2.0).log()
        doubt = 0.2 * torch.randn(16, 1, 8, 4, generator=generator)
        answer[..., 4:] = torch.tensor(3.0).log() + doubt
        student = _prediction(log_depth.expand(16, 1, 8, 8), log_b.expand(16, 1, 8, 8))
        optimizer.zero_grad()
        _terms(student, _prediction(answer, answer)).scalars["likelihood"].backward()
        optimizer.step()
    b, depth = log_b.detach().exp(), log_depth.detach().exp()
    # The mean distance of a normal law from its middle is 0.798 of its deviation.
    assert b[..., 4:].mean().item() == pytest.approx(0.2 * 0.798, rel=0.1)
    assert b[..., :4].max().item() < 0.03
    assert depth[..., 4:].mean().item() == pytest.approx(3.0, rel=0.03)
    assert depth[..., :4].mean().item() == pytest.approx(2.0, rel=0.03)


def test_depth_learns_from_the_likelihood_slower_where_b_is_large():
    log_depth = torch.zeros(1, 1, 2, 2, requires_grad=True)
    log_b = torch.tensor([[[[0.0, 0.0], [0.7, 0.7]]]])
    taught = _prediction(torch.ones(1, 1, 2, 2), torch.zeros(1))
    _terms(_prediction(log_depth, log_b), taught).total.backward()
    slope = log_depth.grad[0, 0]
    torch.testing.assert_close(slope[0], torch.full((2,), -0.25))
    torch.testing.assert_close(slope[1], slope[0] * torch.exp(torch.tensor(-0.7)))


def test_the_semantic_head_is_held_to_the_teachers_scores_until_its_epoch():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, CLASSES, 6, 7, generator=generator)
    assert distillation(scores + 3.0, scores).item() == pytest.approx(0.0, abs=1e-6)
    other = torch.randn(2, CLASSES, 6, 7, generator=generator).requires_grad_()
    chances = scores.softmax(1)
    entropy = -(chances * chances.log()).sum(1).mean()
    crossed = -(chances * other.log_softmax(1)).sum(1).mean()
    assert distillation(other, scores).item() == pytest.approx((crossed - entropy).item(), rel=1e-5)
    flat = torch.zeros(2, 1, 6, 7)
    student, taught = _prediction(flat, flat, other), _prediction(flat, flat, scores)
    terms = _terms(student, taught)
    assert terms.total.item() == pytest.approx(0.1 * terms.scalars["semantic"].item(), rel=1e-5)
    ended = replace(TERMS, semantic_until_epoch=3)
    target = torch.zeros(2, 3, 6, 7)
    for epoch, on in ((2, True), (3, False)):
        found = self_teaching_terms(student, taught, target, ended, epoch)
        assert ("semantic" in found.scalars) == on


def test_a_student_that_answers_as_its_teacher_costs_least():
    torch.manual_seed(0)
    network = JointNetwork(CLASSES).eval()
    teacher = Teacher(network)
    image = torch.rand(1, 3, 64, 64)
    taught = teacher(image)
    assert not taught.depth.requires_grad
    sure = replace(taught, log_b=torch.full_like(taught.log_b, -4.6))
    best = self_teaching_terms(sure, taught, image, TERMS, 0).total.item()
    assert best == pytest.approx(-4.6, abs=1e-4)
    farther = replace(sure, depth=1.05 * sure.depth)
    assert self_teaching_terms(farther, taught, image, TERMS, 0).total.item() > best + 4
