"""Claims about a student that learns a teacher's depth, and how far it can be foretold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from gam_depth_training.cli import app
from gam_depth_training.colour_jitter import ColourJitter
from gam_depth_training.module import NonFiniteLossError
from gam_depth_training.networks import JointNetwork, JointPrediction
from gam_depth_training.objective import ObjectiveOptions, Terms
from gam_depth_training.recipe import Recipe
from gam_depth_training.recipe_file import load_recipe, save_recipe
from gam_depth_training.recipe_module import RecipeModule
from gam_depth_training.release import load_network
from gam_depth_training.self_teaching import Teacher, distillation, self_teaching_terms
from gam_depth_training.video_batch import VideoBatch, collate
from gam_depth_training.video_data import check_prepared
from gam_depth_training.video_dataset import VideoDataset
from gam_depth_training.video_fit import TrainingData, fit_recipe

from .test_video_fit import Kill, KilledError
from .video_runs import clips_of, options, tiny_recipe, video_dataset, write_sequence

FOLDER = Path(__file__).resolve().parents[2] / "config" / "training"
TERMS = ObjectiveOptions(
    smoothness=0, normal=0, planar=0, semantic=0.1, semantic_until_epoch=None
)
CLASSES = 4


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is removed at once: checkpoints of the whole training are large."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Weights of a teacher that has learnt nothing, which no student minds."""
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("teacher") / "weights.pt"
    torch.save(JointNetwork(13).state_dict(), path)
    yield path
    shutil.rmtree(path.parent, ignore_errors=True)


def _student_recipe(teacher: Path | None, **changes: Any) -> Recipe:
    settings: dict[str, Any] = {
        "method": "self_teaching",
        "teacher": None if teacher is None else str(teacher),
        "objective": TERMS,
        "offsets": (0,),
    }
    return tiny_recipe(**{**settings, **changes})


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


def _batch(folder: Path, recipe: Recipe) -> VideoBatch:
    clips = clips_of(recipe, write_sequence(folder / "wall", frames=3))
    dataset = VideoDataset(clips, recipe.size_hw, jitter=ColourJitter(), seed=3)
    for epoch in range(20):
        dataset.epoch = epoch
        batch = collate([dataset[0], dataset[1]])
        if not torch.equal(batch.target, batch.target_input):
            return batch
    raise AssertionError("no clip was jittered")


def test_the_teacher_sees_the_picture_as_recorded_and_never_changes(folder, teacher_file):
    recipe = _student_recipe(teacher_file)
    module = RecipeModule(recipe, 1)
    batch = _batch(folder, recipe)
    before = {name: value.clone() for name, value in module.teacher.network.state_dict().items()}
    seen: dict[str, Tensor] = {}
    for name, network in (("teacher", module.teacher.network), ("student", module.network)):
        network.register_forward_pre_hook(lambda _, asked, name=name: seen.update({name: asked[0]}))
    module.train()
    optimizer = module.configure_optimizers()["optimizer"]
    module.terms(batch).total.backward()
    optimizer.step()
    assert torch.equal(seen["teacher"], batch.target)
    assert torch.equal(seen["student"], batch.target_input)
    assert not module.teacher.network.training
    assert all(p.grad is None for p in module.teacher.network.parameters())
    after = module.teacher.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    # Every part of the student learns, sigma and semantics too.
    assert all(p.grad is not None for p in module.network.parameters())
    assert module.network.sigma_head.conv.weight.grad.abs().sum() > 0


def test_a_student_carries_neither_its_teacher_nor_pose_networks(teacher_file):
    module = RecipeModule(_student_recipe(teacher_file), 1)
    assert {name.split(".")[0] for name in module.state_dict()} == {"network"}


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


def test_a_broken_teacher_or_student_is_named_with_the_clips(folder, teacher_file):
    recipe = _student_recipe(teacher_file)
    module = RecipeModule(recipe, 1)
    batch = _batch(folder, recipe)
    module.teacher.network.disparity_head.conv.bias.data.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"got teacher's disparity not finite.*wall"):
        module.terms(batch)
    module = RecipeModule(recipe, 1)
    module.network.semantic_head.conv.bias.data.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match="got semantic, total not finite"):
        module.terms(batch)


def test_a_student_killed_and_resumed_has_the_same_weights_and_another_teacher_is_refused(
    folder, teacher_file
):
    recipe = _student_recipe(teacher_file, max_steps=3)
    data = TrainingData(video_dataset(recipe, write_sequence(folder / "wall", frames=5)))
    whole = torch.load(fit_recipe(recipe, data, folder / "whole", options()).weights)
    shutil.rmtree(folder / "whole")
    stopped, run = folder / "stopped", options(checkpoint_every=1)
    with pytest.raises(KilledError):
        fit_recipe(recipe, data, stopped, run, [Kill(2)])
    # The same name, other weights: the student would learn from two.
    kept = teacher_file.read_bytes()
    torch.save(JointNetwork(13).state_dict(), teacher_file)
    with pytest.raises(ValueError, match="got a checkpoint of teacher"):
        fit_recipe(recipe, data, stopped, run)
    teacher_file.write_bytes(kept)
    weights = fit_recipe(recipe, data, stopped, run).weights
    resumed = torch.load(weights)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert load_network(weights).classes == 13


def test_fit_by_the_shipped_recipe_then_compare_its_uncertainty(folder, teacher_file):
    wall, other = write_sequence(folder / "wall", 4), write_sequence(folder / "other", 4, seed=1)
    tiny = [f"--set={change}" for change in ("size_hw=[64,64]", "batch_size=2", "max_steps=2")]
    command = [
        *("fit", "--config", FOLDER / "self_teaching.yaml", *tiny, "--data", wall),
        *("--validation", other, "--out", folder / "run", "--accelerator", "cpu"),
        *("--workers", 0, "--no-progress"),
    ]
    code, said = _run(*command)
    assert code == 1
    assert "got no teacher, expected the weights of a trained network; give --teacher FILE" in said
    code, said = _run(*command, "--teacher", teacher_file)
    assert code == 0, said
    assert json.loads((folder / "run" / "scores.json").read_text())["frames"] == 4
    weights, out, png = folder / "run" / "weights.pt", folder / "u.json", folder / "u.png"
    code, said = _run(
        *("uncertainty", "--weights", weights, "--photometric-weights", teacher_file),
        *("--data", other, "--json", out, "--png", png, "--no-progress"),
    )
    assert code == 0, said
    stored = json.loads(out.read_text())
    assert list(stored) == ["own sigma", "photometric", "flip", "constant"]
    assert len(stored["flip"]["curves"]["rmse"]["by_error"]) == 50
    assert stored["own sigma"]["abs_rel"] == pytest.approx(stored["flip"]["abs_rel"])
    assert png.stat().st_size > 1000
    code, said = _run("uncertainty", "--weights", weights)
    assert code == 1
    assert "got" in said


def _run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.output.split())


def test_the_shipped_recipes_are_what_they_are_called():
    student = load_recipe(FOLDER / "self_teaching.yaml")
    assert (student.method, student.offsets, student.teacher) == ("self_teaching", (0,), None)
    assert student.objective.has_semantic(49)
    check_prepared(student, None)
    photometric = load_recipe(FOLDER / "photometric_likelihood.yaml")
    plain = load_recipe(FOLDER / "gam_depth.yaml")
    likelihood = replace(plain.objective, photometric_likelihood=True)
    assert photometric == replace(plain, name="photometric_likelihood", objective=likelihood)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: teaching", "got method 'teaching', expected one of self_supervised"),
        ("teacher: w.pt", "got teacher w.pt with method self_supervised"),
        ("method: self_teaching", "got smoothness 0.001, normal 0.05"),
        (
            "method: self_teaching\nobjective: {smoothness: 0, normal: 0, planar: 0, "
            "task_weighting: homoscedastic}",
            "got task_weighting homoscedastic",
        ),
        ("offsets: [0]", "expected rising ones with 0"),
    ],
)
def test_a_recipe_that_is_neither_the_one_nor_the_other_gets_one_clear_line(
    tmp_path, text, message
):
    path = tmp_path / "bad.yaml"
    path.write_text(f"name: x\n{text}\n")
    with pytest.raises(ValueError, match=message) as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)


def test_a_teacher_that_does_not_fit_gets_one_clear_line(folder, teacher_file):
    recipe = _student_recipe(teacher_file)
    forty = replace(recipe, network=replace(recipe.network, classes=40))
    with pytest.raises(ValueError, match=r"got a teacher of 13 classes, expected 40"):
        RecipeModule(forty, 1)
    missing = replace(recipe, teacher=str(folder / "none.pt"))
    data = TrainingData(video_dataset(missing, write_sequence(folder / "wall", frames=3)))
    with pytest.raises(ValueError, match="got FileNotFoundError while reading it") as caught:
        fit_recipe(missing, data, folder / "run", options())
    assert "\n" not in str(caught.value)
    save_recipe(recipe, folder / "saved.yaml")
    assert load_recipe(folder / "saved.yaml") == recipe
