"""The command line: what it writes, what it says, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from recording_maker import make_sequence
from typer.testing import CliRunner

from gam_depth_ros import __version__
from gam_depth_ros.cli import app
from gam_depth_ros.evaluation.bag import open_recording, sequence_to_bag

runner = CliRunner()


def run(*arguments: object) -> tuple[int, str]:
    result = runner.invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_evaluate_writes_both_files_and_prints_the_table(
    sequence: Path, model: Path, tmp_path: Path
) -> None:
    code, text = run("evaluate", sequence, "--model", model, "--out", tmp_path / "out")
    assert code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (tmp_path / "out" / "report.html").exists()
    assert f"{report['depth']['per_frame_median']['abs_rel']:.3f}" in text
    assert "6 in = 6 evaluated + 0 dropped + 0 failed + 0 without truth" in text
    assert str(tmp_path / "out" / "report.html") in text.replace("\n", "")


def test_replay_then_evaluate_recorded(sequence: Path, model: Path, tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    assert run("replay", sequence, "--out", bag, "--model", model, "--storage", "sqlite3")[0] == 0
    assert (bag / "metadata.yaml").exists()
    assert len(list(open_recording(bag).frames())) == 6
    code, text = run("evaluate", bag, "--recorded", "--out", tmp_path / "out", "--name", "desk")
    assert code == 0
    assert "6 evaluated" in text
    assert json.loads((tmp_path / "out/report.json").read_text())["recording"]["name"] == "desk"
    assert "<title>desk" in (tmp_path / "out/report.html").read_text()


def test_fixed_scale_publishes_every_frame(sequence: Path, model: Path, tmp_path: Path) -> None:
    code, text = run(
        "replay", sequence, "--out", tmp_path / "bag", "--model", model, "--scale", "fixed",
        "--scale-value", 2.0, "--no-copy-inputs",
    )  # fmt: skip
    assert code == 0
    assert "0 before a scale was known" in text


def test_max_frames_stops_early(sequence: Path, model: Path, tmp_path: Path) -> None:
    _, text = run(
        "evaluate", sequence, "--model", model, "--out", tmp_path / "out", "--max-frames", 2
    )
    assert "2 in = 2 evaluated" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["evaluate", "{tmp}/missing", "--model", "{model}", "--out", "{tmp}/o"], "no such file"),
        (["evaluate", "{seq}", "--model", "{tmp}/no.onnx", "--out", "{tmp}/o"], "model file"),
        (["replay", "{seq}", "--model", "{model}", "--out", "{seq}"], "exists"),
        (["replay", "{seq}", "--model", "{model}", "--out", "{tmp}/b", "--scale", "x"], "scale"),
        (
            ["replay", "{seq}", "--model", "{model}", "--out", "{tmp}/b", "--storage", "x"],
            "expected one of mcap, sqlite3",
        ),
        (["evaluate", "{seq}", "--recorded", "--out", "{tmp}/o"], "expected a bag"),
        (
            ["evaluate", "{seq}", "--model", "{model}", "--out", "{seq}/frames.csv/o"],
            "expected a directory that can be made",
        ),
        (
            ["replay", "{seq}", "--model", "{model}", "--out", "{seq}/frames.csv/o"],
            "expected a directory that can be made",
        ),
        (
            ["evaluate", "{seq}", "--model", "{model}", "--out", "{tmp}/o", "--image-topic", "/x"],
            "got the topic /x for a sequence folder",
        ),
    ],
)
def test_mistakes_cost_one_line_and_status_2(
    sequence: Path, model: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    filled = [a.format(tmp=tmp_path, model=model, seq=sequence) for a in arguments]
    code, text = run(*filled)
    assert code == 2
    assert "got" in text
    assert expected in " ".join(text.split())
    assert "Traceback" not in text
    assert len(text.strip().splitlines()) == 1


def test_a_forced_replay_never_replaces_its_own_input(
    sequence: Path, model: Path, tmp_path: Path
) -> None:
    bag = tmp_path / "bag"
    sequence_to_bag(sequence, bag)
    for source in (bag, bag / "bag.mcap"):
        code, text = run("replay", source, "--model", model, "--out", bag, "--force")
        assert code == 2
        assert "got the recording itself" in " ".join(text.split())
    assert len(list(open_recording(bag).frames())) == 6


def test_the_demo_never_removes_the_recording_it_is_to_play(sequence: Path, tmp_path: Path) -> None:
    bag = tmp_path / "demo" / "bag"
    sequence_to_bag(sequence, bag)
    code, text = run("demo", "--bag", bag, "--out", tmp_path / "demo")
    assert code == 2
    assert "got the recording itself" in " ".join(text.split())
    assert len(list(open_recording(bag).frames())) == 6


def test_status_is_1_and_the_reason_is_said_when_no_frame_can_be_read(
    sequence: Path, model: Path, tmp_path: Path
) -> None:
    for picture in (sequence / "color").iterdir():
        picture.unlink()
    for command in ("evaluate", "replay"):
        code, text = run(command, sequence, "--model", model, "--out", tmp_path / command)
        assert code == 1
        assert "color/000000: got no file" in text.replace("\n", "")
    assert (tmp_path / "evaluate" / "report.json").exists()


def test_a_reference_that_does_not_fit_is_said_on_the_command_line(
    sequence: Path, model: Path, tmp_path: Path
) -> None:
    for depth in (sequence / "depth").iterdir():
        cv2.imwrite(str(depth), np.full((10, 20), 1500, np.uint16))
    code, text = run("evaluate", sequence, "--model", model, "--out", tmp_path / "out")
    assert code == 0
    assert "no reference depth fits an image" in text
    assert "got 20x10, expected 64x48" in text


def test_topic_options_choose_the_topic(model: Path, tmp_path: Path) -> None:
    sequence_to_bag(make_sequence(tmp_path / "s"), tmp_path / "bag")
    code, text = run(
        "evaluate", tmp_path / "bag", "--model", model, "--out", tmp_path / "o",
        "--image-topic", "/other",
    )  # fmt: skip
    assert code == 2
    assert "got no topic /other" in " ".join(text.split())


def test_version() -> None:
    assert run("--version") == (0, f"{__version__}\n")


def test_offline_commands_load_no_ros() -> None:
    code = "import sys, gam_depth_ros.cli; sys.exit('rclpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
