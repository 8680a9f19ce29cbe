"""Claims about a training's data: whose frames validate, what is no score, which labels fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from gam_depth_training import video_fit
from gam_depth_training.cli import app
from gam_depth_training.evaluation_frames import EvaluationFrame
from gam_depth_training.objective import ObjectiveOptions
from gam_depth_training.prepared import Prepared, PreparedIndex
from gam_depth_training.quirks import OfficialQuirks
from gam_depth_training.recipe import NetworkOptions
from gam_depth_training.recipe_file import save_recipe
from gam_depth_training.video_data import check_prepared
from gam_depth_training.video_validation import DepthScore

from .dataset_files import nyu_line, write_list
from .video_runs import SIZE_HW, tiny_recipe, write_sequence


def _run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.output.split())


def test_raw_nyuv2_trains_while_another_data_set_validates(tmp_path, monkeypatch):
    seen: list[video_fit.TrainingData] = []

    def remember(recipe, data, out, options):
        seen.append(data)
        return video_fit.FitResult(out / "weights.pt", {})

    monkeypatch.setattr(video_fit, "fit_recipe", remember)
    recipe, split = tmp_path / "tiny.yaml", tmp_path / "train.txt"
    save_recipe(tiny_recipe(), recipe)
    write_list(split, nyu_line(tmp_path / "nyu", "office_0003"))
    other = write_sequence(tmp_path / "other")
    command = ("fit", "--config", recipe, "--dataset", "nyuv2", "--data", tmp_path / "nyu")
    command += ("--split", split, "--validation", other, "--out", tmp_path / "run")
    code, said = _run(*command, "--validation-split", split)
    assert code == 1
    assert "depth is not registered" in said
    code, said = _run(*command, "--validation-dataset", "sequences")
    assert code == 0, said
    assert [clip.group for clip in seen[0].clips.clips] == ["office_0003"]
    assert {clip.group for clip in seen[0].validation.clips} == {"other"}


def test_a_disparity_that_is_partly_nan_is_not_scored_by_the_rest():
    frame = EvaluationFrame(
        "hall/000003", "hall", np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), np.float32)
    )
    disparity = torch.full((1, 1, 8, 8), 0.1)
    disparity[..., 0, 0] = torch.nan
    with pytest.raises(ValueError, match="frame hall/000003: got a disparity that is not finite"):
        DepthScore().add(disparity, frame)


def test_the_wall_quirk_wants_labels_of_which_0_is_the_wall(tmp_path):
    quirks = OfficialQuirks(ignored_wall_class=True)
    recipe = tiny_recipe(
        network=NetworkOptions(classes=40), objective=ObjectiveOptions(quirks=quirks)
    )
    PreparedIndex(SIZE_HW, 40, "a segmenter", {}).write(tmp_path)
    check_prepared(recipe, Prepared(tmp_path))
    PreparedIndex(SIZE_HW, 13, "the model", {}).write(tmp_path)
    with pytest.raises(ValueError, match="got labels of 13 classes, expected NYU-40's"):
        check_prepared(recipe, Prepared(tmp_path))
