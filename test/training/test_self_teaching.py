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
from gam_depth_training.networks import JointNetwork
from gam_depth_training.objective import ObjectiveOptions
from gam_depth_training.recipe import Recipe
from gam_depth_training.recipe_file import load_recipe, save_recipe
from gam_depth_training.recipe_module import RecipeModule
from gam_depth_training.release import load_network
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
