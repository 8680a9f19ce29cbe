"""Claims about `fit`, `validate`, `ablate` and `export` with recipes, and what they stand on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.metrics import evaluate_depth
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_training.ablate import RESULT
from gam_depth_training.cli import app
from gam_depth_training.guard import ForgottenError, refuse_forgotten
from gam_depth_training.networks import JointNetwork
from gam_depth_training.objective import ObjectiveOptions
from gam_depth_training.pictures import contact_sheet, depth_picture, number_colours, tensor_picture
from gam_depth_training.prepared import Prepared, PreparedIndex
from gam_depth_training.recipe import Recipe
from gam_depth_training.recipe_file import save_recipe
from gam_depth_training.recipe_module import RecipeModule
from gam_depth_training.recipe_release import export_recipe
from gam_depth_training.start_weights import load_what_fits, read_state
from gam_depth_training.video_data import Source, check_prepared
from gam_depth_training.video_loader import Place, StepSampler, WithoutGaps
from gam_depth_training.video_validation import DepthScore, ReferenceFrames, score_disparity

from .video_runs import clips_of, leave_out_checkpoints, tiny_recipe, write_sequence

RUNNER = CliRunner()
SCORES = {"abs_rel": 0.10, "rmse": 0.40, "d1": 0.90, "miou": 0.50}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is removed at once: checkpoints of the whole training are large."""
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


def _run(*arguments: object) -> tuple[int, str]:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.output.split())


def test_fit_then_validate_on_a_recording_with_depth(folder):
    recipe = folder / "tiny.yaml"
    save_recipe(tiny_recipe(max_steps=1), recipe)
    wall, other = write_sequence(folder / "wall"), write_sequence(folder / "other", seed=1)
    fixed = ("--accelerator", "cpu", "--workers", 0, "--no-progress")
    command = ("fit", "--config", recipe, "--data", wall, "--out", folder / "run", *fixed)
    code, said = _run(*command, "--validation", wall)
    assert code == 1
    assert "got room wall in --data and in --validation" in said
    code, said = _run(*command, "--validation", other)
    assert code == 0, said
    scores = json.loads((folder / "run" / "scores.json").read_text())
    assert scores["frames"] == scores["rooms"]["other"]["frames"] == 8
    assert json.loads((folder / "run" / "data.json").read_text())["recordings"] == ["wall"]
    weights, out = folder / "run" / "weights.pt", folder / "again.json"
    code, said = _run("validate", "--weights", weights, "--data", other, "--json", out)
    assert code == 0, said
    assert json.loads(out.read_text())["abs_rel"] == pytest.approx(scores["abs_rel"])
    _run("validate", "--weights", weights, "--data", other, "--bilinear", "--json", out)
    assert json.loads(out.read_text())["abs_rel"] != pytest.approx(scores["abs_rel"], rel=1e-6)


def test_fit_says_what_a_recipe_lacks(folder):
    recipe = folder / "tiny.yaml"
    save_recipe(tiny_recipe(objective=ObjectiveOptions()), recipe)
    command = ("fit", "--config", recipe, "--out", folder / "run")
    code, said = _run(*command)
    assert code == 1
    assert "got no --data" in said
    code, said = _run(*command, "--data", write_sequence(folder / "wall"))
    assert code == 1
    assert "Manhattan directions, proxy labels; run `gam-depth-train prepare" in said
    assert "--size 64x64" in said
    code, said = _run(*command, "--data", folder / "wall", "--set", "speed=3")
    assert code == 1
    assert "unknown key 'speed'" in said


def test_fit_without_stages_or_shards_keeps_the_supervised_config_apart(folder):
    code, said = _run("fit", "--out", folder / "run")
    assert code == 1
    assert "got no --shards" in said


def test_ablate_prints_and_stores_a_table_with_pictures(folder, monkeypatch):
    leave_out_checkpoints(monkeypatch)
    for name in ("structdepth", "structdepth_mask", "table_iv_none", "table_iv_mask"):
        recipe = tiny_recipe(learning_rate=1e-4 * (1 + len(name)))
        save_recipe(replace(recipe, name=name), folder / f"{name}.yaml")
    wall, other = write_sequence(folder / "wall"), write_sequence(folder / "other", seed=1)
    code, said = _run(
        *("ablate", "--table", "v", "--data", wall, "--validation", other, "--steps", 1),
        *("--seeds", 1, "--recipes", folder, "--out", folder / "out", "--workers", 0),
        *("--accelerator", "cpu", "--no-progress"),
    )
    assert code == 0, said
    assert "StructDepth + mask" in said
    stored = json.loads((folder / "out" / RESULT).read_text())
    assert [row["name"] for row in stored["rows"]][2:] == ["baseline", "baseline + mask"]
    assert cv2.imread(str(folder / "out" / "depths.jpg")).shape[1] == 6 * (192 + 4)


@pytest.mark.parametrize("name", SCORES)
def test_a_finetuned_model_that_lost_more_than_two_per_cent_is_refused(name):
    better = name in ("abs_rel", "rmse")
    for change, refused in ((0.019, False), (0.021, True), (-0.2, False)):
        after = {**SCORES, name: SCORES[name] * (1 + change if better else 1 - change)}
        if refused:
            with pytest.raises(ForgottenError, match=f"{name} .*2.1% worse"):
                refuse_forgotten(SCORES, after, 0.02, Path("w.pt"))
        else:
            assert refuse_forgotten(SCORES, after, 0.02, Path("w.pt"))[name] < 0.02


def test_a_score_that_is_not_a_number_is_refused():
    with pytest.raises(ForgottenError):
        refuse_forgotten(SCORES, {**SCORES, "d1": float("nan")}, 0.02, Path("w.pt"))


def test_export_refuses_weights_that_have_forgotten_the_old_rooms(folder):
    shards = folder / "shards"
    shards.mkdir()
    ramp = np.tile(np.linspace(0.2, 1, 64), (2, 64, 1))
    for index in range(3):
        np.savez(
            shards / f"{index:05d}.npz",
            rgb=np.repeat((255 * ramp)[..., None], 3, axis=3).astype(np.uint8),
            depth_m=(1 + 4 * ramp).astype(np.float16),
            label=(ramp * 3).astype(np.uint8),
        )
    torch.manual_seed(0)
    network = JointNetwork(13).eval()
    torch.save(network.state_dict(), folder / "start.pt")
    # The old one knows that bright is far; the new one has it the other way round.
    with torch.no_grad():
        picture = torch.from_numpy(ramp[:1]).float().expand(1, 3, 64, 64)
        far = network(picture).disparity[0, 0, :, 48:].mean()
        near = network(picture).disparity[0, 0, :, :16].mean()
        worse = -1.0 if far < near else 1.0
        network.disparity_head.conv.weight.mul_(3.0 * worse)
    torch.save(network.state_dict(), folder / "after.pt")
    recipe = Recipe("tuned", size_hw=(64, 64), start=str(folder / "start.pt"))
    with pytest.raises(ForgottenError, match="before finetuning"):
        export_recipe(folder / "after.pt", shards, recipe, folder / "m.onnx", "abc", "2026-01-01")
    assert not (folder / "m.onnx").exists()


def test_processes_share_the_batch_that_one_would_have():
    alone = StepSampler(10, 4, seed=3, place=Place())
    halves = [StepSampler(10, 4, 3, Place(rank=rank, ranks=2)) for rank in range(2)]
    for step in range(5):
        assert halves[0].batch(step) + halves[1].batch(step) == alone.batch(step)
    with pytest.raises(ValueError, match="multiple"):
        StepSampler(10, 3, 3, Place(ranks=2))


def test_an_epoch_shows_no_clip_twice_and_a_restart_goes_on():
    whole = StepSampler(9, 3, seed=0, place=Place())
    epoch = [pair for step in range(3) for pair in whole.batch(step)]
    assert sorted(index for _, index in epoch) == list(range(9))
    assert {pair[0] for pair in epoch} == {0}
    assert next(iter(StepSampler(9, 3, 0, Place(first_step=4)))) == whole.batch(4)
    assert len(StepSampler(2, 5, 0, Place()).batch(0)) == 5


class _Broken:
    """Three clips of which only the last can be read, or none."""

    epoch = 0

    def __init__(self, readable: bool) -> None:
        self.readable = readable

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> object:
        return (self.epoch, index) if self.readable and index == 2 else None


def test_a_lost_clip_is_replaced_and_nothing_but_lost_ones_is_an_error():
    assert WithoutGaps(_Broken(True))[7, 0] == (7, 2)
    with pytest.raises(ValueError, match="3 clips in a row"):
        WithoutGaps(_Broken(False))[0, 0]


def test_a_disparity_scores_as_its_depth_does_by_the_literatures_protocol():
    disparity = torch.linspace(0.02, 0.6, 64).expand(1, 32, 64)
    depth = np.tile(np.linspace(4, 1, 128, dtype=np.float32), (64, 1))
    depth[:5] = np.nan
    large = np.repeat(np.repeat(1 / (0.1 + 9.9 * disparity[0].numpy()), 2, 0), 2, 1)
    assert score_disparity(disparity, depth).d1 == evaluate_depth(depth, large).d1


def test_validation_leaves_out_what_cannot_be_read_and_needs_some_depth(folder):
    recipe = tiny_recipe(offsets=(-1, 0))
    sequence = write_sequence(folder / "wall", frames=4)
    clips = clips_of(recipe, sequence)
    clips[0].target.write_bytes(b"")
    assert len(list(ReferenceFrames(clips))) == len(clips) - 1
    plain = write_sequence(folder / "plain", frames=4, depth=False)
    with pytest.raises(ValueError, match="none with reference depth"):
        ReferenceFrames(clips_of(recipe, plain))
    assert DepthScore().summary() == {}


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (PreparedIndex((32, 64), 13, "x", {}), "prepared for 32x64, expected 64x64"),
        (PreparedIndex((64, 64), 0, "", {}), "got no proxy labels"),
        (PreparedIndex((64, 64), 40, "x", {}), "labels of 40 classes, expected at most 13"),
    ],
)
def test_what_was_prepared_otherwise_than_the_recipe_says_is_refused(tmp_path, index, message):
    index.write(tmp_path)
    recipe = tiny_recipe(objective=ObjectiveOptions())
    with pytest.raises(ValueError, match=message):
        check_prepared(recipe, Prepared(tmp_path))


def test_an_unknown_data_set_or_one_without_a_list_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got data set 'kitti'"):
        Source((tmp_path,), "kitti")
    with pytest.raises(ValueError, match="no split list"):
        Source((tmp_path,), "scannet")


@pytest.mark.parametrize("norm", [False, True])
def test_a_network_is_normalised_as_the_weights_it_starts_from(tmp_path, norm):
    torch.manual_seed(0)
    network = JointNetwork(13, decoder_norm=norm)
    torch.save(network.state_dict(), tmp_path / "w.pt")
    recipe = replace(tiny_recipe(), start=str(tmp_path / "w.pt"))
    module = RecipeModule(recipe, steps_per_epoch=1)
    started = module.network.state_dict()
    assert all(torch.equal(value, started[name]) for name, value in network.state_dict().items())
    other = replace(recipe, network=replace(recipe.network, decoder_norm=not norm))
    with pytest.raises(ValueError, match="leave decoder_norm out"):
        RecipeModule(other, steps_per_epoch=1)


def test_a_model_file_starts_a_training_only_where_its_statistics_stay(tmp_path):
    shipped = default_model_path()
    recipe = replace(tiny_recipe(), start=str(shipped))
    with pytest.raises(ValueError, match="freeze_stem_and_batchnorm=true"):
        RecipeModule(recipe, steps_per_epoch=1)
    module = RecipeModule(replace(recipe, freeze_stem_and_batchnorm=True), steps_per_epoch=1)
    engine = OnnxEngine(shipped, EngineConfig(warmup_runs=0))
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (1, *engine.spec.input_size_hw, 3), np.uint8)
    with torch.no_grad():
        seen = module.network.eval()(torch.from_numpy(picture).permute(0, 3, 1, 2) / 255.0)
    # The file rounds activations to 8 bits too; the network that is trained on does not. Of a file
    # in float test_quantize asks for one part in a thousand.
    np.testing.assert_allclose(engine.run(picture).depth, seen.depth[0, 0], rtol=0.05)
    broken = tmp_path / "other.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ValueError, match="expected a whole ONNX file") as caught:
        read_state(broken)
    assert "\n" not in str(caught.value)


def test_weights_of_other_classes_load_but_for_the_head_and_others_are_refused(tmp_path):
    other = JointNetwork(40)
    missing = load_what_fits(JointNetwork(13), other.state_dict(), Path("w.pt"))
    assert missing == ["semantic_head.conv.bias", "semantic_head.conv.weight"]
    with pytest.raises(ValueError, match="got 0 of"):
        load_what_fits(other, {"a": torch.zeros(1)}, Path("w.pt"))
    (tmp_path / "w.pt").write_text("no weights")
    with pytest.raises(ValueError, match=r"expected weights\.pt") as caught:
        read_state(tmp_path / "w.pt")
    assert "\n" not in str(caught.value)


def test_pictures_show_near_bright_unknown_black_and_numbers_apart():
    drawn = depth_picture(np.array([[1.0, 4.0, np.nan, 0.0]])).astype(int).sum(axis=2)[0]
    assert drawn[0] > drawn[1]
    assert drawn[2] == drawn[3] == 0
    colours = number_colours(np.arange(13)[None])
    assert len({tuple(colour) for colour in colours[0]}) == 13
    assert not number_colours(np.array([[255]])).any()
    assert tensor_picture(torch.ones(3, 4, 6)).shape == (4, 6, 3)
    with pytest.raises(ValueError, match="expected 1×H×W or 3×H×W"):
        tensor_picture(torch.ones(2, 4, 6))
    assert contact_sheet([[colours, colours]], (8, 9)).shape == (12, 26, 3)
