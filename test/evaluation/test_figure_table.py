"""Every figure of a report has its unit, alignment, frames and interval."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plain_pipeline import plain_pipeline
from recording_maker import make_sequence

from gam_depth_ros.evaluation.bag import open_recording
from gam_depth_ros.evaluation.evaluate import evaluate
from gam_depth_ros.evaluation.figure_kinds import ALIGNMENTS, KINDS
from gam_depth_ros.evaluation.frame_pixels import Pixels, Truth
from gam_depth_ros.evaluation.frame_values import BlockedSums, interval_of
from gam_depth_ros.evaluation.range_scoring import RangeScore
from gam_depth_ros.evaluation.report import write_report
from gam_depth_ros.evaluation.trust import trust_rows

# What is no figure: counts, settings, curves, rows for plots, and what describes figures.
BESIDE = {
    "format_version", "recording", "model", "frames", "intervals", "failure_causes", "failures",
    "notes", "series", "alignments", "figures", "protocol", "name", "about",
    "frames_without_scale", "frames_of", "interval", "contrast_interval", "scale_intervals",
    "iou_intervals", "stage_intervals", "intervals_of", "from_m", "to_m", "nominal_coverage",
    "coverage_curve", "sparsification", "states", "still_pairs", "withheld_share",
    "withheld_frames", "conditions", "confusion", "reliability", "classes_in_truth",
}  # fmt: skip
ONE_VALUE = ("temporal.reaction_frames", "health.drift", "rates_hz")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, model: Path) -> dict[str, Any]:
    folder = make_sequence(
        tmp_path_factory.mktemp("r") / "kitchen", frames=12, labels=True, exact=True
    )
    return evaluate(open_recording(folder), plain_pipeline(model)).report


def numbers(value: Any, path: str) -> Iterator[tuple[str, float]]:
    """Yield every number of a report that is no bookkeeping, with its key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            # A scale of 1 is what raw means.
            if name not in BESIDE and f"{path}.{name}" not in (".depth.raw.scale",
                                                               ".depth_exact.raw.scale"):
                yield from numbers(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for row in value:
            name = row.get("name") or f"{row['from_m']:g}-{row['to_m']:g} m"
            yield from numbers(row, f"{path}.{name}")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path[1:], value


def test_every_number_of_the_report_that_is_a_figure_stands_in_the_table(
    report: dict[str, Any],
) -> None:
    found = dict(numbers(report, ""))
    table = report["figures"]
    assert len(found) > 80
    assert table.keys() == found.keys()
    assert {key: entry["value"] for key, entry in table.items()} == found


def test_every_figure_carries_unit_alignment_frames_and_interval(report: dict[str, Any]) -> None:
    for key, entry in report["figures"].items():
        assert entry["unit"], key
        assert entry["alignment"] in ALIGNMENTS, key
        assert entry["meaning"], key
        assert entry["frames"] > 0, key
        if entry["interval"] is None:
            assert key.startswith(ONE_VALUE) or entry["frames"] < 12, key
        else:
            low, high = entry["interval"]
            assert low <= high, key
    table = report["figures"]
    assert table["depth.per_frame_median.rmse"]["unit"] == "m"
    assert table["depth.online_scale.abs_rel"]["alignment"] == "online_scale"
    assert table["depth.raw.abs_rel"]["alignment"] == "raw"
    assert table["latency_ms.p50"]["unit"] == "ms"
    assert set(report["alignments"]) == set(ALIGNMENTS)


def test_headings_carry_unit_and_direction() -> None:
    assert KINDS["rmse"].heading == "RMSE, m ↓"
    assert KINDS["d1"].heading == "δ < 1.25 ↑"
    assert KINDS["bias"].heading == "bias"


def test_page_explains_headings_and_shows_intervals_of_parts(
    tmp_path: Path, model: Path
) -> None:
    folder = make_sequence(tmp_path / "kitchen", frames=12)
    result = evaluate(open_recording(folder), plain_pipeline(model))
    page = write_report(result, tmp_path)[1].read_text()
    assert '<th title="mean of |d - p| / d">AbsRel ↓</th>' in page
    row = next(row for row in result.report["by_region"] if "d1" in row["intervals"])
    low, high = row["intervals"]["d1"]
    assert f"{row['d1']:.3f}<small>{low:.3f}–{high:.3f}</small>" in page


def test_what_can_be_trusted_is_told_with_its_interval_in_the_value_s_own_form() -> None:
    entry = {"interval": [0.02, 0.051], "meaning": "median of it"}
    scale = {
        "states": {"LOCKED": 8}, "frames": 8, "log_error_median": 0.031, "within_1sigma": 0.5,
        "within_2sigma": 1.0,
    }  # fmt: skip
    rows = {
        row["name"]: row
        for row in trust_rows({"scale": scale, "figures": {"scale.log_error_median": entry}})
    }
    assert (rows["off by"]["value"], rows["off by"]["interval"]) == ("3.1 %", "2 %–5 %")
    assert rows["off by"]["meaning"] == "median of it"
    assert rows["states"]["interval"] == ""


def pixels(truth_m: list[float], depth: list[float]) -> Pixels:
    truth = np.array(truth_m, np.float32)
    return Pixels(Truth(truth), np.array(depth, np.float32), np.arange(truth.size))


def test_errors_by_range_by_hand() -> None:
    score = RangeScore()
    # Medians agree: 1 to 1. The second of three is right, the others are 20 % near and 50 % far.
    score.add(pixels([0.4, 1.0, 2.0], [0.32, 1.0, 3.0]))
    score.add(pixels([1.0, 1.0, 1.0], [1.0, 1.0, 1.2]))
    near, middle, far = score.rows()
    assert (near["from_m"], near["to_m"], near["frames"]) == (0.0, 0.5, 1)
    assert near["abs_rel"] == pytest.approx(0.2, rel=1e-5)
    assert near["bias"] == pytest.approx(-0.2, rel=1e-5)
    assert middle["abs_rel"] == pytest.approx(0.2 / 4, rel=1e-5)
    assert (middle["pixel_share"], middle["frames"]) == (pytest.approx(4 / 6), 2)
    assert far["bias"] == pytest.approx(0.5, rel=1e-5)
    assert far["intervals"] == {}


def test_intervals_by_range_hold_the_figure_and_know_a_constant() -> None:
    score = RangeScore()
    rng = np.random.default_rng(2)
    for _ in range(30):
        off = float(rng.uniform(1.0, 1.3))
        score.add(pixels([1.1, 1.1, 2.2], [1.1, 1.1, 2.2 * off]))
    even, uneven = score.rows()
    assert even["intervals"]["abs_rel"] == pytest.approx([0.0, 0.0], abs=1e-6)
    low, high = uneven["intervals"]["abs_rel"]
    assert low < uneven["abs_rel"] < high
    assert 0.05 < low < high < 0.25


def test_interval_of_a_median_covers_at_about_its_rate() -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(60):
        low, high = interval_of(rng.normal(3.0, 1.0, 80), lambda drawn: float(np.median(drawn)))
        hits += low <= 3.0 <= high
    assert hits >= 51  # of 60 at 95 %: 57 expected; blocks of few frames are a little narrow


def test_few_frames_have_no_interval_of_a_median() -> None:
    assert interval_of(np.ones(4), lambda drawn: float(np.median(drawn))) is None
    assert interval_of(np.full(40, 2.0), lambda drawn: float(np.median(drawn))) == [2.0, 2.0]


def test_intervals_of_several_sums_are_those_of_each() -> None:
    sums = BlockedSums((2,))
    for value in np.random.default_rng(3).uniform(0.0, 1.0, 40):
        sums.add(np.array([value, 1.0]))
    both = sums.intervals(lambda total: np.array([total[0] / total[1], np.nan]))
    assert both[0] == sums.interval(lambda total: float(total[0] / total[1]))
    assert both[1] is None
