"""A performance log read back: totals and percentiles computed by hand, torn lines, the page."""

from __future__ import annotations

import json

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from gam_depth_ros.cli import app
from gam_depth_ros.evaluation.bag import BagError
from gam_depth_ros.evaluation.performance import (
    FORMAT,
    read_performance_log,
    seconds_since_start,
    summarise,
)
from gam_depth_ros.evaluation.performance_page import performance_headline, render_performance
from gam_depth_ros.evaluation.plotting import SIZE_INCHES, STYLE, legend_above


def record(second, **changes):
    """Return what the node writes after so many seconds of a run without trouble."""
    return {
        "format": FORMAT,
        "stamp_ns": second * 1_000_000_000,
        "span_s": 1.0,
        "model": "tiny",
        "sha256": "0123456789ab",
        "provider": "CPUExecutionProvider",
        "precision": "float32",
        "level": "OK",
        "health": "OK",
        "frames": {"in": 30 * second, "published": 28 * second, "failed": second, "idle": 0},
        "dropped": {"newer image": second, "ladder": 0, "deactivated": 0},
        "rate_hz": {"in": 30.0, "out": 28.0},
        "stage_ms": {"engine": [10.0, 14.0, 15.0], "latency": [20.0, 30.0, 40.0]},
        "busy_share": 0.4,
        "input_age_s": {"image": 0.01, "camera_info": None},
        "scale": {"state": "LOCKED", "value": 2.0, "sigma_log": 0.05, "age_s": 0.1},
        "picture": [],
        "sigma_factor": 1.0,
        "drift": {},
        "given_up": [],
        "engines_replaced": 0,
        "memory_mb": 200.0 + second,
        "temperature_c": None,
        **changes,
    }


def write(path, records):
    path.write_text("".join(json.dumps(row) + "\n" for row in records))
    return path


def test_totals_are_those_of_all_runs_since_counts_begin_anew_with_each(tmp_path):
    rows = [record(second) for second in (1, 2, 3)] + [record(1, stamp_ns=9_000_000_000)]
    summary = summarise(read_performance_log(write(tmp_path / "log", rows)))
    assert (summary["runs"], summary["lines"], summary["seconds"]) == (2, 4, 4.0)
    assert summary["frames"] == {"in": 120, "published": 112, "failed": 4, "idle": 0}
    assert summary["dropped"] == {"newer image": 4, "ladder": 0, "deactivated": 0}


def test_stages_are_the_median_second_the_worst_percent_and_the_worst_frame(tmp_path):
    rows = [record(1), record(2), record(3)]
    rows[1]["stage_ms"] = {"engine": [50.0, 90.0, 95.0]}
    summary = summarise(read_performance_log(write(tmp_path / "log", rows)))
    engine = summary["stages"]["engine"]
    assert engine["median_ms"] == 10.0
    # Of 14, 14, 90: 99 % lies 0.98 of the way from the middle to the last.
    assert engine["p99_ms"] == pytest.approx(14.0 + 0.98 * 76.0)
    assert engine["max_ms"] == 95.0
    assert summary["stages"]["latency"]["max_ms"] == 40.0


def test_seconds_are_counted_by_level_scale_and_rung(tmp_path):
    rows = [
        record(1),
        record(2, level="WARN", health="slow", given_up=["cloud_off"]),
        record(3, level="WARN", given_up=["cloud_off", "half_rate"]),
        record(4, level="ERROR", health="hangs", span_s=60.0),
    ]
    rows[3]["scale"] = {"state": "LOST", "value": None, "sigma_log": None, "age_s": 12.0}
    summary = summarise(read_performance_log(write(tmp_path / "log", rows)))
    # A line that stands for a minute counts for five seconds: nobody knows of the rest.
    assert summary["level_s"] == {"OK": 1.0, "WARN": 2.0, "ERROR": 5.0}
    assert summary["scale_s"] == {"LOCKED": 3.0, "LOST": 5.0}
    assert summary["given_up_s"] == {"cloud_off": 2.0, "half_rate": 1.0}
    assert [(row["second"], row["health"]) for row in summary["said"]] == [
        (1.0, "slow"),
        (3.0, "hangs"),
    ]


def test_the_older_files_come_first_and_other_files_are_left_alone(tmp_path):
    write(tmp_path / "log", [record(5)])
    write(tmp_path / "log.1", [record(3), record(4)])
    write(tmp_path / "log.10", [record(1), record(2)])
    write(tmp_path / "log.1.bak", [record(7)])
    log = read_performance_log(tmp_path / "log")
    assert [row["stamp_ns"] // 1_000_000_000 for row in log.records] == [1, 2, 3, 4, 5]
    assert log.files == 3


def test_torn_and_foreign_lines_are_counted_and_left_out(tmp_path):
    path = write(tmp_path / "log", [record(1), record(2)])
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + b"\n" + b'{"format": "other"}\n[1]\n\xff\xfe\n\n' + whole)
    log = read_performance_log(path)
    assert (len(log.records), log.refused) == (2, 4)


@pytest.mark.parametrize("content", [None, b"", b"not a log\n"])
def test_what_is_no_log_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "log"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BagError, match=r"got .* expected") as refused:
        read_performance_log(path)
    assert "\n" not in str(refused.value)


def test_a_clock_that_steps_back_does_not_turn_time_back(tmp_path):
    rows = [record(second) for second in (10, 11, 2, 3)]
    assert list(seconds_since_start(rows)) == [0.0, 1.0, 1.0, 2.0]


def test_the_headline_tells_what_was_answered(tmp_path):
    rows = [record(1), record(2, level="STALE")]
    summary = summarise(read_performance_log(write(tmp_path / "log", rows)))
    assert performance_headline(summary) == (
        "93 % of 60 images were answered, 20 ms after their stamp (median); 2 dropped, 2 failed, "
        "1 s in error or without images."
    )


def test_the_page_stands_for_itself_and_words_from_the_log_cannot_become_markup(tmp_path):
    rows = [record(1), record(2, level="WARN", health="<script>alert(1)</script>")]
    log = read_performance_log(write(tmp_path / "log", rows))
    page = render_performance(log, summarise(log))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert 'src="http' not in page
    assert 'href="http' not in page
    for title in ("Latency", "Stages", "Rates", "Drops", "Scale", "Health", "Memory"):
        assert f"<h3>{title}</h3>" in page
    assert "<h3>Temperature</h3>" not in page  # nothing was readable


def test_the_command_prints_the_table_and_writes_both_files(tmp_path):
    path = write(tmp_path / "log", [record(second) for second in range(1, 6)])
    result = CliRunner().invoke(app, ["performance", str(path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "engine" in result.output
    assert "10.0" in result.output
    assert json.loads((tmp_path / "out" / "performance.json").read_text())["lines"] == 5
    assert (tmp_path / "out" / "performance.html").stat().st_size > 20_000


def test_the_command_refuses_what_is_no_log_with_exit_status_two(tmp_path):
    result = CliRunner().invoke(app, ["performance", str(tmp_path / "none")])
    assert result.exit_code == 2


def test_a_long_legend_takes_another_row_and_leaves_the_plot_its_width():
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        for name in ("preprocess", "engine", "scale_alignment", "sensor_fusion", "temporal_filter"):
            axes.plot([0, 1], label=name)
        legend_above(axes, columns=5)
        figure.canvas.draw()
    assert axes.get_position().width > 0.7
    assert axes.get_legend().get_window_extent().width < figure.bbox.width
