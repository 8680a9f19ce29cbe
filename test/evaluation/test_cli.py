"""The command line: what it writes, what it says, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
    code, text = run("evaluate", bag, "--recorded", "--out", tmp_path / "out")
    assert code == 0
    assert "6 evaluated" in text


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
    subprocess.run([sys.executable, "-c", code], check=True)
