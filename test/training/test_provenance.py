"""Claims about what a model file says of where it comes from, and of its terms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gam_depth_ros.core.model_file import default_model_path
from gam_depth_training import recipe_release
from gam_depth_training.provenance import DATA, Provenance, TrainedOn, recipe_provenance
from gam_depth_training.recipe_release import export_recipe

from .video_runs import clips_of, tiny_recipe, write_sequence

ORIGIN = ("abc1234", "2026-01-01")


def test_a_run_is_known_by_its_recordings_names_not_by_where_they_lie(tmp_path):
    folders = [write_sequence(tmp_path / name) for name in ("kitchen_2", "hall_1")]
    trained_on = TrainedOn.of(clips_of(tiny_recipe(), *folders), 256)
    assert trained_on == TrainedOn(("hall_1", "kitchen_2"), 256)
    (tmp_path / DATA).write_text(trained_on.to_json())
    assert TrainedOn.read(tmp_path / DATA) == trained_on
    assert str(tmp_path) not in trained_on.to_json()


def test_of_many_recordings_the_first_are_named_and_the_others_counted():
    many = TrainedOn(tuple(f"room_{index:02d}" for index in range(40)))
    assert many.names().startswith("room_00, room_01, ")
    assert many.names().endswith("room_11 and 28 more")


def test_a_finetuned_model_names_its_start_and_its_recordings_and_claims_no_licence(tmp_path):
    (tmp_path / DATA).write_text(TrainedOn(("hall_1", "kitchen_2"), 256).to_json())
    recipe = replace(tiny_recipe(), start=str(default_model_path()), replay_share=0.25)
    found = recipe_provenance(recipe, tmp_path / "weights.pt", *ORIGIN, licence=None)
    assert found.start.startswith("gam-depth-r18 (")
    assert found.start.endswith(", Apache-2.0)")
    assert found.data == (
        "recordings without labels: hall_1, kitchen_2; 256 synthetic frames replayed"
    )
    assert found.licence == f"unspecified: depends on {found.start}; {found.data}"
    assert found.training()["start"] == found.start
    stated = recipe_provenance(recipe, tmp_path / "weights.pt", *ORIGIN, licence="CC-BY-4.0")
    assert stated.licence == "CC-BY-4.0"


def test_other_weights_are_known_by_name_and_content(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "backbone.pt")
    recipe = replace(tiny_recipe(), imagenet=str(tmp_path / "backbone.pt"))
    found = recipe_provenance(recipe, tmp_path / "weights.pt", *ORIGIN, licence=None)
    assert found.start.startswith("ImageNet weights backbone.pt (")
    assert str(tmp_path) not in found.start
    assert found.data == "recordings without labels: unnamed", "a run of an older release"
    gone = replace(recipe, start=str(tmp_path / "gone.pt"))
    found = recipe_provenance(gone, tmp_path / "weights.pt", *ORIGIN, licence=None)
    assert found.start.endswith("gone.pt (no longer there)")


@pytest.mark.parametrize("text", ["no json", "[]", '{"recordings": 3, "synthetic_frames": 1}'])
def test_a_broken_record_is_refused_in_one_line(tmp_path, text):
    (tmp_path / DATA).write_text(text)
    with pytest.raises(ValueError, match=r"data\.json: got .*expected what") as caught:
        TrainedOn.read(tmp_path / DATA)
    assert "\n" not in str(caught.value)


def test_training_from_scratch_states_no_start():
    assert "start" not in Provenance("m", "c", "d", *ORIGIN).training()


def test_export_carries_the_licence_that_its_user_states(tmp_path, monkeypatch):
    seen: list[Provenance] = []
    monkeypatch.setattr(recipe_release, "load_network", lambda path: None)
    monkeypatch.setattr(recipe_release, "held_out_rooms", lambda folder: None)
    monkeypatch.setattr(
        recipe_release, "write_model", lambda *given: (None, seen.append(given[3]))
    )
    weights, model = tmp_path / "weights.pt", tmp_path / "m.onnx"
    for licence in ("CC0-1.0", None):
        export_recipe(weights, Path("shards"), tiny_recipe(), model, *ORIGIN, licence)
    assert [one.licence for one in seen] == [
        "CC0-1.0",
        "unspecified: depends on recordings without labels: unnamed",
    ]
