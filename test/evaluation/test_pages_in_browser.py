"""The pages in a real browser: nothing on the console, all pictures there, the numbers right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser import browser, visit
from plain_pipeline import PLAIN, plain_pipeline
from recording_maker import make_sequence
from tiny_model import write_tiny_model
from typer.testing import CliRunner

from gam_depth_ros.cli import app
from gam_depth_ros.evaluation.bag import Topics, open_recording
from gam_depth_ros.evaluation.batch import make_jobs, run_batch
from gam_depth_ros.evaluation.evaluate import evaluate
from gam_depth_ros.evaluation.performance import FORMAT
from gam_depth_ros.evaluation.report import COLUMNS, write_report
from gam_depth_ros.evaluation.runners import run_here
from gam_depth_ros.evaluation.summary import summarise_batch, write_summary

PHONE_PX = 390
"""As wide as the pages of many phones."""
PAPER_PX = 687
"""What A4 leaves between margins of 14 mm, at 96 pixels an inch."""


@pytest.fixture(scope="module")
def report_page(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    browser()  # skip before the work
    folder = make_sequence(tmp_path_factory.mktemp("page") / "hall", frames=8, labels=True)
    result = evaluate(open_recording(folder), plain_pipeline(model))
    return write_report(result, folder.parent / "out")[1]


@pytest.fixture(scope="module")
def probe(report_page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return visit(report_page, tmp_path_factory.mktemp("browser"))


def test_the_report_says_nothing_on_the_console_and_shows_all_pictures(
    probe: dict[str, Any],
) -> None:
    assert probe["errors"] == []
    assert probe["images"] > 20
    assert probe["broken"] == 0


def test_the_table_that_the_browser_shows_is_that_of_the_json(
    report_page: Path, probe: dict[str, Any]
) -> None:
    report = json.loads((report_page.parent / "report.json").read_text())
    shown = [row for row in probe["rows"] if len(row) == len(COLUMNS) + 2][1:]
    floor = report["depth"]["constant_floor"]
    expected = [
        report["depth"]["per_frame_median"],
        floor["per_frame_median"],
        report["depth"]["online_scale"],
        floor["online_scale"],
    ]
    assert len(shown) >= len(expected)
    for row, scores in zip(shown, expected, strict=False):
        values = [f"{scores[name]:.3f}" for name, _ in COLUMNS]
        assert row[1:] == [*values, str(scores["frames"])]
    by_name = {row[0]: row for row in probe["rows"]}
    for region in report["by_region"]:
        assert by_name[region["name"]][1] == f"{region['abs_rel']:.3f}"


def test_the_slider_shows_one_frame_and_moves(probe: dict[str, Any]) -> None:
    shown = probe["shown"]
    assert len(shown) == 8
    assert shown == [False] * 7 + [True]


def test_the_page_fits_a_phone(report_page: Path, tmp_path: Path) -> None:
    found = visit(report_page, tmp_path, width_px=PHONE_PX)
    assert found["width_px"] == PHONE_PX
    assert found["errors"] == []
    assert found["overflow"] <= 0
    assert found["sideways"] == []


@pytest.mark.parametrize("width_px", [800, 1000, 1200])
def test_no_table_has_to_be_pushed_sideways(
    report_page: Path, tmp_path: Path, width_px: int
) -> None:
    assert visit(report_page, tmp_path, width_px)["sideways"] == []


def test_on_paper_tables_stay_tables_and_nothing_is_cut(report_page: Path, tmp_path: Path) -> None:
    found = visit(report_page, tmp_path, PAPER_PX, printed=True)
    assert found["overflow"] <= 0
    assert found["sideways"] == []
    assert found["stacked"] == 0
    assert found["hidden"] == 1  # nobody moves a slider there


def test_the_summary_opens_and_its_numbers_are_those_of_its_json(
    tmp_path: Path, model: Path
) -> None:
    browser()
    jobs = make_jobs([make_sequence(tmp_path / "hall", frames=3)], [model], PLAIN, Topics(), None)
    entries = run_batch(jobs, tmp_path / "out", lambda wanted: run_here(wanted, lambda count: None))
    summary = summarise_batch(entries)
    probe = visit(write_summary(summary, tmp_path / "out")[1], tmp_path)
    assert probe["errors"] == []
    row = next(row for row in probe["rows"] if row[0] == "tiny")
    assert row[1] == f"{summary['rows'][0]['figures']['abs_rel']:.3f}"


def performance_log(path: Path) -> Path:
    """A minute of a node that now and then is not well, with names as long as real ones."""
    stages = ("preprocess", "engine", "scale_alignment", "sensor_fusion", "temporal_filter",
              "frame_health", "latency")  # fmt: skip
    rows = [
        {
            "format": FORMAT, "stamp_ns": second * 10**9, "span_s": 1.0,
            "model": "gam-depth-r18-calibrated", "sha256": "0123456789ab",
            "provider": "CPUExecutionProvider", "precision": "float32",
            "level": "WARN" if second % 9 == 0 else "OK",
            "health": "engine slower than the camera: 21.4 of 30.0 Hz" if second % 9 == 0 else "OK",
            "frames": {"in": 30 * second, "published": 28 * second, "failed": 0, "idle": 0},
            "dropped": {"newer image": second, "ladder": 0, "deactivated": 0},
            "rate_hz": {"in": 30.0, "out": 28.0},
            "stage_ms": {name: [10.0, 14.0, 1500.0] for name in stages},
            "busy_share": 0.4, "input_age_s": {"image": 0.01},
            "scale": {"state": "LOCKED", "value": 2.0, "sigma_log": 0.05, "age_s": 0.1},
            "picture": [], "sigma_factor": 1.0, "drift": {}, "given_up": ["reference_depth"],
            "engines_replaced": 1, "memory_mb": 812.0 + second, "temperature_c": None,
        }
        for second in range(1, 61)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("command", ["robustness", "performance", "compare", "mine", "explain"])
def test_every_other_page_fits_a_phone(command: str, model: Path, tmp_path: Path) -> None:
    """No page is wider than the phone; a table that is scrolls in a box of its own."""
    browser()
    out = tmp_path / "out"
    folder = make_sequence(tmp_path / "tum_freiburg1_rpy_with_a_long_name", frames=8, labels=True)
    other = write_tiny_model(tmp_path / "gam-depth-r18-other.onnx", depth_offset=3.0, features=True)
    arguments: dict[str, list[object]] = {
        "robustness": [folder, "--model", model, "--frames", 1],
        "performance": [performance_log(tmp_path / "log")],
        "compare": [model, other, folder],
        "mine": [folder, "--model", other],
        "explain": [folder, "--model", model, "--at", "40,20"],
    }
    words = [command, *arguments[command], "--out", out]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    found = visit(out / f"{command}.html", tmp_path, width_px=PHONE_PX)
    assert found["width_px"] == PHONE_PX
    assert found["errors"] == []
    assert found["broken"] == 0
    assert found["overflow"] <= 0
