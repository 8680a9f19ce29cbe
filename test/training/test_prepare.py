from __future__ import annotations

import json
from contextlib import nullcontext

import cv2
import numpy as np
import pytest
from moving_room import HEIGHT, WIDTH, view, walk, write_sequence
from tiny_model import write_tiny_model
from typer.testing import CliRunner

from gam_depth_training.cli import app
from gam_depth_training.gradient_mask import gradient_magnitude
from gam_depth_training.label_sources import FileLabels, SegmenterLabels
from gam_depth_training.prepare import prepare
from gam_depth_training.prepared import Prepared, labels_file, target_file
from gam_depth_training.recipe_file import load_recipe
from gam_depth_training.sequences import read_sequence_folder
from gam_depth_training.video_batch import IGNORED_LABEL
from gam_depth_training.video_data import check_prepared
from gam_depth_training.video_dataset import VideoDataset

SIZE_HW = (96, 128)


class HalfSure:
    """Labels everything 4, sure on the left half only."""

    name = "half sure"
    classes = 13

    def __init__(self, digest="1"):
        self.digest = digest
        self.calls = 0

    def __call__(self, rgb):
        self.calls += 1
        confidence = np.full(rgb.shape[:2], 0.9, np.float32)
        confidence[:, rgb.shape[1] // 2 :] = 0.2
        return np.full(rgb.shape[:2], 4, np.uint8), confidence


@pytest.fixture
def clips(tmp_path):
    return read_sequence_folder(write_sequence(tmp_path / "walk", walk(4)), offsets=(0,))


def renewed(clips):
    """The same clips, their targets' digests read anew."""
    return read_sequence_folder(clips[0].target.parent.parent, offsets=(0,))


def test_what_is_prepared_is_what_the_functions_say_for_the_target(clips, tmp_path):
    report = prepare(clips, SIZE_HW, tmp_path / "out")
    frame = Prepared(tmp_path / "out").load(clips[2].key)
    rgb = clips[2].geometry.resized(SIZE_HW).apply(view(0.1))
    expected = gradient_magnitude(np.ascontiguousarray(rgb))

    assert report.computed == 4
    assert frame.magnitude.shape == (1, *SIZE_HW)
    assert frame.magnitude.dtype == np.float32
    np.testing.assert_allclose(frame.magnitude, expected, rtol=1e-3, atol=1e-3)
    assert frame.directions.shape == (6, 3)
    np.testing.assert_array_equal(frame.directions[3:], -frame.directions[:3])
    assert frame.keypoints.shape == SIZE_HW
    assert set(np.unique(frame.keypoints)) == {0, 1}
    assert (frame.labels == IGNORED_LABEL).all()


def test_a_picture_without_lines_has_no_directions_and_is_counted(tmp_path):
    blank = [np.full((HEIGHT, WIDTH, 3), 100, np.uint8)] * 2
    clips = read_sequence_folder(write_sequence(tmp_path / "blank", blank), offsets=(0,))
    report = prepare(clips, SIZE_HW, tmp_path / "out")

    assert report.without_directions == 2
    assert np.isnan(Prepared(tmp_path / "out").load(clips[0].key).directions).all()


def test_unsure_labels_are_left_out(clips, tmp_path):
    report = prepare(clips, SIZE_HW, tmp_path / "out", SegmenterLabels(HalfSure(), 0.5))
    labels = Prepared(tmp_path / "out").load(clips[0].key).labels

    assert report.labelled == 4
    assert (labels[:, :64] == 4).all()
    assert (labels[:, 64:] == IGNORED_LABEL).all()


def test_a_second_run_computes_nothing_again(clips, tmp_path):
    prepare(clips, SIZE_HW, tmp_path / "out", SegmenterLabels(HalfSure()))
    segmenter = HalfSure()
    report = prepare(renewed(clips), SIZE_HW, tmp_path / "out", SegmenterLabels(segmenter))

    assert (report.computed, report.reused, segmenter.calls) == (0, 4, 0)


def test_a_changed_picture_is_computed_again_and_nothing_else(clips, tmp_path):
    prepare(clips, SIZE_HW, tmp_path / "out")
    before = Prepared(tmp_path / "out").load(clips[1].key).magnitude
    cv2.imwrite(str(clips[1].target), view(2.0)[..., ::-1])
    report = prepare(renewed(clips), SIZE_HW, tmp_path / "out")

    assert (report.computed, report.reused) == (1, 3)
    assert not np.array_equal(before, Prepared(tmp_path / "out").load(clips[1].key).magnitude)


def test_another_segmenter_or_confidence_makes_new_labels_alone(clips, tmp_path):
    prepare(clips, SIZE_HW, tmp_path / "out", SegmenterLabels(HalfSure()))
    for source in (SegmenterLabels(HalfSure("2")), SegmenterLabels(HalfSure(), 0.1)):
        report = prepare(clips, SIZE_HW, tmp_path / "out", source)
        assert (report.computed, report.labelled) == (0, 4)
    assert (Prepared(tmp_path / "out").load(clips[0].key).labels == 4).all()


def test_a_killed_run_goes_on_where_it_was_and_ends_the_same(clips, tmp_path):
    class KilledError(Exception):
        pass

    def kill_at_third(stage):
        kill_at_third.count += 1
        if kill_at_third.count == 3:
            raise KilledError

    kill_at_third.count = 0
    with pytest.raises(KilledError):
        prepare(clips, SIZE_HW, tmp_path / "out", advance=kill_at_third)
    report = prepare(clips, SIZE_HW, tmp_path / "out")
    prepare(clips, SIZE_HW, tmp_path / "whole")

    assert report.reused == 3
    one, other = (Prepared(tmp_path / name) for name in ("out", "whole"))
    assert one.index == other.index
    for clip in clips:
        np.testing.assert_array_equal(one.load(clip.key).magnitude, other.load(clip.key).magnitude)


def test_a_broken_cache_file_is_an_error_to_read_and_healed_by_prepare(clips, tmp_path):
    out = tmp_path / "out"
    prepare(clips, SIZE_HW, out, SegmenterLabels(HalfSure()))
    target, labels = Prepared(out).index.targets[clips[0].key]
    target_file(out, target).write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"run prepare again"):
        Prepared(out).load(clips[0].key)
    prepare(clips, SIZE_HW, out, SegmenterLabels(HalfSure()))
    assert Prepared(out).load(clips[0].key) is not None
    labels_file(out, labels).unlink()
    with pytest.raises(ValueError, match=r"run prepare again"):
        Prepared(out).load(clips[0].key)


def test_an_unreadable_target_fails_alone_with_its_reason(clips, tmp_path):
    clips[1].target.write_bytes(b"nothing")
    report = prepare(clips, SIZE_HW, tmp_path / "out")
    prepared = Prepared(tmp_path / "out")

    assert report.failed == 1
    assert report.reasons[0].startswith(f"{clips[1].key}: ")
    assert prepared.load(clips[1].key) is None
    assert prepared.load(clips[0].key) is not None


def test_label_files_become_labels_at_network_size(clips, tmp_path):
    folder = clips[0].target.parent.parent / "labels"
    folder.mkdir()
    for clip in clips:
        ids = np.full((HEIGHT, WIDTH), 11, np.uint8)
        ids[HEIGHT // 2 :] = 4
        cv2.imwrite(str(folder / f"{clip.target.stem}.png"), ids)
    prepare(clips, SIZE_HW, tmp_path / "out", FileLabels(13))
    labels = Prepared(tmp_path / "out").load(clips[0].key).labels

    assert labels.shape == SIZE_HW
    assert (labels[:48] == 11).all()
    assert (labels[48:] == 4).all()


def test_label_files_of_another_size_are_one_clear_error(clips, tmp_path):
    folder = clips[0].target.parent.parent / "labels"
    folder.mkdir()
    for clip in clips:
        cv2.imwrite(str(folder / f"{clip.target.stem}.png"), np.zeros((10, 12), np.uint8))
    with pytest.raises(ValueError, match=rf"labels of 12x10, expected {WIDTH}x{HEIGHT}"):
        prepare(clips, SIZE_HW, tmp_path / "out", FileLabels(13))


def test_a_folder_of_another_size_is_refused(clips, tmp_path):
    prepare(clips, SIZE_HW, tmp_path / "out")
    with pytest.raises(ValueError, match=r"prepared for 96x128, expected 64x96"):
        prepare(clips, (64, 96), tmp_path / "out")


def test_the_official_recipe_gets_its_size_and_its_grey_weights(tmp_path, repo_dir):
    folder, out = write_sequence(tmp_path / "walk", walk(2)), tmp_path / "out"
    coloured = view(0.0) // np.array([1, 2, 4], np.uint8)
    cv2.imwrite(str(folder / "color" / "000000.png"), coloured[..., ::-1])
    (clip, _) = read_sequence_folder(folder, offsets=(0,))
    official = repo_dir / "config" / "training" / "gam_depth_official.yaml"
    arguments = ["prepare", str(folder), "--config", str(official), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--segmenter", "none", "--workers", "1"])

    assert result.exit_code == 0, result.output
    recipe, prepared = load_recipe(official), Prepared(out)
    known = VideoDataset([clip], recipe.size_hw, flip=False, prepared=prepared)[0].magnitude
    computed = VideoDataset([clip], recipe.size_hw, flip=False, swapped_grey_weights=True)[0]
    right = VideoDataset([clip], recipe.size_hw, flip=False)[0].magnitude
    np.testing.assert_allclose(known, computed.magnitude, rtol=1e-3, atol=1e-3)
    assert (known - right).abs().max() > 20


def test_what_another_grey_gave_is_refused_by_prepare_and_by_the_recipe(clips, tmp_path, repo_dir):
    prepare(clips, SIZE_HW, tmp_path / "out")
    with pytest.raises(ValueError, match=r"right grey weights, expected swapped ones; choose"):
        prepare(clips, SIZE_HW, tmp_path / "out", swapped_grey_weights=True)
    changes = ["size_hw=[96,128]", "objective.semantic=0"]
    for name, fits in (("gam_depth", True), ("gam_depth_official", False)):
        recipe = load_recipe(repo_dir / "config" / "training" / f"{name}.yaml", changes)
        with nullcontext() if fits else pytest.raises(ValueError, match="recipe as --config"):
            check_prepared(recipe, Prepared(tmp_path / "out"))


def test_a_second_data_set_joins_the_first(clips, tmp_path):
    other = read_sequence_folder(write_sequence(tmp_path / "other", walk(2)), offsets=(0,))
    prepare(clips, SIZE_HW, tmp_path / "out")
    prepare(other, SIZE_HW, tmp_path / "out")
    prepared = Prepared(tmp_path / "out")

    assert all(prepared.load(clip.key) is not None for clip in (*clips, *other))
    assert prepared.load("elsewhere/000000") is None


def test_a_target_that_became_unreadable_does_not_keep_what_it_was(clips, tmp_path):
    prepare(clips, SIZE_HW, tmp_path / "out")
    clips[1].target.write_bytes(b"nothing")
    prepare(renewed(clips), SIZE_HW, tmp_path / "out")

    assert Prepared(tmp_path / "out").load(clips[1].key) is None


def test_labels_of_another_number_of_classes_do_not_join(clips, tmp_path):
    other = read_sequence_folder(write_sequence(tmp_path / "other", walk(2)), offsets=(0,))
    prepare(clips, SIZE_HW, tmp_path / "out", SegmenterLabels(HalfSure()))
    forty = HalfSure()
    forty.classes = 40
    with pytest.raises(ValueError, match="labels of 13 classes, expected 40"):
        prepare(other, SIZE_HW, tmp_path / "out", SegmenterLabels(forty))


def test_several_processes_prepare_what_one_does(clips, tmp_path):
    prepare(clips, SIZE_HW, tmp_path / "one")
    prepare(clips, SIZE_HW, tmp_path / "two", workers=2)
    one, two = Prepared(tmp_path / "one"), Prepared(tmp_path / "two")

    assert one.index == two.index
    for clip in clips:
        np.testing.assert_array_equal(one.load(clip.key).magnitude, two.load(clip.key).magnitude)


def test_from_a_recording_to_prepared_targets_by_command(tmp_path):
    folder = write_sequence(tmp_path / "walk", walk(10))
    write_tiny_model(tmp_path / "tiny.onnx", (48, 64))
    extracted = CliRunner().invoke(app, ["extract", str(folder), "--out", str(tmp_path / "data")])
    assert extracted.exit_code == 0, extracted.output
    assert "kept 10 of 10 pictures" in extracted.output
    arguments = ["prepare", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    arguments += ["--size", "96x128", "--workers", "1"]
    arguments += ["--segmenter", str(tmp_path / "tiny.onnx"), "--confidence", "0"]
    prepared = CliRunner().invoke(app, arguments)

    assert prepared.exit_code == 0, prepared.output
    assert "10 targets computed" in prepared.output
    assert "10 labelled by" in prepared.output
    labels = Prepared(tmp_path / "out").load("walk/000000").labels
    assert set(np.unique(labels)) <= {4, 11}


def test_commands_end_with_one_line_where_they_cannot_go_on(tmp_path):
    folder = write_sequence(tmp_path / "walk", walk(3), calibrated=False)
    for arguments, reason in (
        (["extract", str(folder), "--out", str(tmp_path / "o")], "--camera FILE"),
        (["extract", str(tmp_path / "gone"), "--out", str(tmp_path / "o")], "gone"),
        (["prepare", str(tmp_path / "gone"), "--out", str(tmp_path / "o")], "extract"),
        (["prepare", str(folder), "--out", str(tmp_path / "o"), "--size", "9x9"], "--size"),
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert "error:" in result.output
        assert reason in result.output
        assert "Traceback" not in result.output


def test_the_index_is_plain_json(clips, tmp_path):
    prepare(clips, SIZE_HW, tmp_path / "out", SegmenterLabels(HalfSure(), 0.5))
    data = json.loads((tmp_path / "out" / "prepared.json").read_text())

    assert data["size_hw"] == [96, 128]
    assert data["classes"] == 13
    assert data["labels"] == "half sure, confidence 0.5 or more"
    assert set(data["targets"]) == {clip.key for clip in clips}
