"""The annotated bag: inputs, outputs and errors under one roof, for a viewer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gam_depth_ros.cli import app
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.evaluation.annotated import ERROR, ERROR_COLOR, AnnotatedBag, relative_error
from gam_depth_ros.evaluation.bag import open_recording
from gam_depth_ros.evaluation.bag_writer import BagWriter
from gam_depth_ros.evaluation.evaluate import evaluate
from gam_depth_ros.evaluation.perception_messages import DEPTH
from gam_depth_ros.evaluation.rosbag_reader import open_bag


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def images(bag: Path, topic: str) -> dict[int, np.ndarray]:
    opened = open_bag(bag)
    decoded = [opened.decode(raw) for raw in opened.messages([topic])]
    return {
        message.header.stamp.sec * 10**9 + message.header.stamp.nanosec: message.data.view(
            np.float32
        ).reshape(message.height, message.width)
        for message in decoded
    }


def test_an_error_is_relative_and_unknown_where_either_is() -> None:
    depth = np.array([[1.5, 2.0, np.nan, 4.0]], np.float32)
    truth = np.array([[1.0, 4.0, 1.0, 0.0]], np.float32)
    np.testing.assert_array_equal(relative_error(depth, truth), [[0.5, -0.5, np.nan, np.nan]])


def test_the_bag_holds_inputs_outputs_and_where_they_differ(
    sequence: Path, pipeline: PerceptionPipeline, tmp_path: Path
) -> None:
    path = tmp_path / "annotated"
    with BagWriter(path) as writer:
        bag = AnnotatedBag(writer, pipeline.engine.spec.labels, 0.02)
        evaluate(open_recording(sequence), pipeline, on_perception=bag.add)
    truth = {
        frame.stamp_ns: frame.reference.depth_m
        for frame in open_recording(path).frames()  # its inputs are a recording again
        if frame.reference is not None
    }
    assert len(truth) == 6
    depth, error = images(path, DEPTH), images(path, ERROR)
    assert depth.keys() == error.keys() == truth.keys()
    last = max(truth)
    assert np.isfinite(error[last]).any()
    np.testing.assert_allclose(error[last], relative_error(depth[last], truth[last]), atol=1e-5)


def test_the_bag_comes_with_the_report(
    sequence: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gam_depth_ros.evaluation.report.render", lambda result: "page")
    bag = tmp_path / "annotated"
    code, text = run(
        "evaluate", sequence, "--model", model, "--out", tmp_path / "out", "--bag", bag
    )
    assert code == 0, text
    assert str(bag) in text.replace("\n", "")
    assert open_bag(bag).topics[ERROR_COLOR].count == 6


def test_a_bag_that_would_replace_something_is_refused_before_anything_is_done(
    sequence: Path, model: Path, tmp_path: Path
) -> None:
    out, there = tmp_path / "out", tmp_path / "there"
    there.mkdir()
    exists = "got a path that exists, expected a new one; choose another --bag"
    own = "got the recording itself, or the directory it lies in"
    for bag, expected in ((there, exists), (sequence, own), (sequence.parent, own)):
        code, text = run("evaluate", sequence, "--model", model, "--out", out, "--bag", bag)
        assert code == 2
        assert expected in " ".join(text.split())
        assert " ".join(text.split()).endswith("choose another --bag")
    assert not out.exists()
    assert not list(there.iterdir())


def test_the_bag_cannot_be_the_directory_of_the_report(
    sequence: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, text = run("evaluate", sequence, "--model", model, "--out", out, "--bag", out)
    assert code == 2
    assert "got the directory of --out" in " ".join(text.split())
    assert not out.exists()


def test_a_bag_of_several_evaluations_is_refused(sequence: Path, tmp_path: Path) -> None:
    code, text = run(
        "evaluate", sequence, sequence, "--out", tmp_path / "o", "--bag", tmp_path / "b"
    )
    assert code == 2
    assert "--bag: got several evaluations" in " ".join(text.split())
