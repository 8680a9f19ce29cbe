"""Is B better than A: by hand, on models whose depth is known, and at the gate."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recording_maker import make_sequence
from tiny_model import write_tiny_model
from typer.testing import CliRunner

from gam_depth_ros.cli import app
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.comparison import (
    BETTER,
    EQUAL,
    METRICS,
    NOT_JUDGED,
    OF_PICTURES,
    UNKNOWN,
    WORSE,
    compare,
    load_results,
    pair_results,
)
from gam_depth_ros.evaluation.comparison_page import comparison_headline, render_comparison
from gam_depth_ros.evaluation.evaluate import PROTOCOL_MODE
from gam_depth_ros.evaluation.gate import Gate, Limit, judge, load_gate


def report(values: dict[str, Any], name: str = "kitchen", start: int = 1) -> dict[str, Any]:
    """A report with these per-frame values, a tenth of a second apart."""
    length = len(next(iter(values.values())))
    series = [
        {
            "index": index,
            "stamp_ns": start + index * 100_000_000,
            "status": "evaluated",
            **{key: column[index] for key, column in values.items()},
        }
        for index in range(length)
    ]
    return {
        "mode": "offline",
        "recording": {"name": name},
        "model": {"name": "m", "path": "m.onnx", "sha256": "0" * 64, "provider": "CPU"},
        "frames": {"in": length},
        "depth": {"protocol": "p"},
        "series": series,
    }


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.output.split())


def test_a_small_steady_gain_is_told_from_a_large_spread() -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(0.1, 0.4, 100)
    b = a - 0.005 + rng.normal(0, 0.004, 100)
    pair = (report({"abs_rel": a.tolist(), "d1": (1 - a).tolist()}),
            report({"abs_rel": b.tolist(), "d1": (1 - b).tolist()}))  # fmt: skip
    abs_rel, d1 = compare([pair])["metrics"]
    assert abs_rel["difference"] == pytest.approx(np.mean(b - a))
    assert abs_rel["low"] < abs_rel["difference"] < abs_rel["high"] < 0.0
    assert (abs_rel["verdict"], d1["verdict"]) == (BETTER, BETTER)
    backwards = compare([pair[::-1]])["metrics"]
    assert [row["verdict"] for row in backwards] == [WORSE, WORSE]
    assert backwards[0]["difference"] == pytest.approx(-abs_rel["difference"])


def test_noise_is_no_difference_and_one_frame_no_verdict() -> None:
    rng = np.random.default_rng(1)
    a = rng.uniform(0.1, 0.4, 80)
    b = a + rng.normal(0, 0.02, 80)
    same = compare([(report({"abs_rel": a.tolist()}), report({"abs_rel": b.tolist()}))])
    assert same["metrics"][0]["verdict"] == EQUAL
    one = compare([(report({"abs_rel": [0.2]}), report({"abs_rel": [0.1]}))])
    assert one["metrics"][0]["verdict"] == UNKNOWN
    json.dumps(one, allow_nan=False)
    assert "Too few frames" in comparison_headline(one)


def test_only_frames_that_both_scored_count() -> None:
    a = report({"abs_rel": [0.1, 0.2, 0.3, None]})
    b = report({"abs_rel": [0.4, 0.4, 0.4]}, start=1 + 100_000_000)
    row = compare([(a, b)])["metrics"][0]
    assert (row["a"], row["b"], row["frames"]) == (pytest.approx(0.25), pytest.approx(0.4), 2)
    assert "2 of 3 scored frames are in both" in " ".join(compare([(a, b)])["notes"])


def test_recordings_weigh_the_same_whatever_their_length() -> None:
    long = report({"abs_rel": [0.2] * 90}, "a"), report({"abs_rel": [0.2] * 90}, "a")
    short = report({"abs_rel": [0.2] * 10}, "b"), report({"abs_rel": [0.3] * 10}, "b")
    result = compare([long, short])
    assert result["metrics"][0]["difference"] == pytest.approx(0.05)
    assert [r["metrics"][0]["difference"] for r in result["recordings"]] == [
        0.0,
        pytest.approx(0.1),
    ]


def test_the_method_says_which_pictures_are_drawn_one_by_one() -> None:
    kitchen = report({"abs_rel": [0.2] * 9}), report({"abs_rel": [0.2] * 9})
    pictures = tuple({**one, "mode": PROTOCOL_MODE} for one in kitchen)
    half = kitchen[0], pictures[1]
    compared = [compare(pairs) for pairs in ([pictures], [kitchen, pictures], [kitchen], [half])]
    said = [OF_PICTURES in one["protocol"] for one in compared]
    assert said == [True, True, False, False]
    assert compared[0]["metrics"][0]["block_frames"] == 1
    assert "Neighbouring" not in render_comparison({**compared[0], "gate": None})


def test_results_are_paired_by_their_recordings() -> None:
    a = [report({"abs_rel": [0.1]}, name) for name in ("x", "y")]
    b = [report({"abs_rel": [0.1]}, name) for name in ("y", "z")]
    pairs = pair_results(a, b)
    assert [(one["recording"]["name"], two["recording"]["name"]) for one, two in pairs] == [
        ("y", "y")
    ]
    with pytest.raises(BagError, match="got none of x, y in B"):
        pair_results(a, b[1:])


def test_nothing_in_common_is_said() -> None:
    a, b = report({"abs_rel": [0.1]}), report({"abs_rel": [0.1]}, start=7)
    with pytest.raises(BagError, match="no frame with scores in both"):
        compare([(a, b)])


def test_page_shows_the_figures_and_loads_nothing() -> None:
    rng = np.random.default_rng(2)
    a = rng.uniform(0.1, 0.4, 60)
    pairs = [
        (report({"abs_rel": a.tolist()}, name), report({"abs_rel": (a - 0.02).tolist()}, name))
        for name in ("<b>x", "y")
    ]
    comparison = {**compare(pairs), "gate": None}
    page = render_comparison(comparison)
    row = comparison["metrics"][0]
    for text in (f"{row['a']:.4f}", f"{row['b']:.4f}", f"{row['difference']:+.4f}", "better"):
        assert f">{text}<" in page
    assert "<b>x" not in page
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)"', page))
    assert "<script" not in page


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two models of which the second sees less contrast in depth: 1 + x against 9 + x."""
    folder = tmp_path_factory.mktemp("models")
    return (
        write_tiny_model(folder / "steep.onnx"),
        write_tiny_model(folder / "flat.onnx", depth_offset=9.0),
    )


def test_models_are_evaluated_on_the_same_frames(
    two_models: tuple[Path, Path], tmp_path: Path
) -> None:
    sequence = make_sequence(tmp_path / "kitchen", 8)
    out = tmp_path / "out"
    code, text = run("compare", *two_models, sequence, "--out", out)
    assert code == 0
    comparison = json.loads((out / "compare.json").read_text())
    rows = {row["name"]: row for row in comparison["metrics"]}
    assert {"abs_rel", "rmse", "d1", "latency_ms"} <= set(rows) <= {m.name for m in METRICS}
    # The truth slopes downwards and the grey goes across: a flat depth is nearer.
    assert rows["abs_rel"]["b"] < rows["abs_rel"]["a"]
    assert rows["abs_rel"]["verdict"] == BETTER
    # One ran after the other: the machine's load is no merit of a model.
    assert rows["latency_ms"]["verdict"] == NOT_JUDGED
    assert comparison_headline(comparison) in (out / "compare.html").read_text()
    assert "B is better than A" in text
    for side in ("a", "b"):
        written = json.loads((out / side / "kitchen" / "report.json").read_text())
        mean = written["depth"]["per_frame_median"]["abs_rel"]
        assert rows["abs_rel"][side] == pytest.approx(mean)
    # The reports that were left behind compare to the same figures.
    again = compare(pair_results(load_results(out / "a"), load_results(out / "b")))
    assert again["metrics"] == comparison["metrics"]


def test_a_model_against_itself_is_no_different(
    two_models: tuple[Path, Path], tmp_path: Path
) -> None:
    sequence = make_sequence(tmp_path / "s", 6)
    code, text = run("compare", two_models[0], two_models[0], sequence)
    assert code == 0
    assert "No difference between B and A can be told" in text


def write_gate(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_gate_refuses_what_loses_more_than_allowed(
    two_models: tuple[Path, Path], tmp_path: Path
) -> None:
    steep, flat = two_models
    sequence = make_sequence(tmp_path / "s", 6)
    gate = write_gate(tmp_path / "g.yaml", "metrics: {abs_rel: {max_loss: 0.001}}")
    code, text = run("compare", flat, steep, sequence, "--gate", gate)
    assert code == 1
    assert "broken AbsRel" in text
    assert "the gate refuses B" in text
    code, text = run("compare", steep, flat, sequence, "--gate", gate)
    assert code == 0
    assert "gate passed" in text


def test_gate_by_hand() -> None:
    a, b = [0.2] * 40, [0.21] * 40
    metrics = compare([(report({"abs_rel": a, "d1": b}), report({"abs_rel": b, "d1": a}))])
    rows = metrics["metrics"]

    def passes(name: str, **limits: float) -> bool:
        return bool(judge(Gate((Limit(name, **limits),)), rows)["passed"])

    # AbsRel rises by 0.01, a twentieth of 0.2; δ1 falls by 0.01.
    assert passes("abs_rel", max_loss=0.0101)
    assert not passes("abs_rel", max_loss=0.0099)
    assert passes("abs_rel", max_relative_loss=0.051)
    assert not passes("abs_rel", max_relative_loss=0.049)
    assert not passes("abs_rel", max_loss=1.0, max_relative_loss=0.049)
    assert passes("d1", max_loss=0.0101)
    assert not passes("d1", max_loss=0.0099)
    # What was not measured does not pass.
    assert not passes("rmse", max_loss=1.0)
    few = judge(Gate((Limit("abs_rel", 1.0),), min_frames=41), rows)
    assert not few["passed"]
    assert "got 40 frames, expected 41" in few["checks"][0]["text"]


def test_the_gate_that_ships_can_be_read(repo_dir: Path) -> None:
    gate = load_gate(repo_dir / "config" / "gate.yaml")
    assert {limit.name for limit in gate.limits} == {"abs_rel", "d1", "online_abs_rel"}
    assert gate.min_frames == 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metrics: {abs_rell: {max_loss: 1}}", "got the metric 'abs_rell', expected one of"),
        ("metrics: {abs_rel: {max_los: 1}}", "expected max_loss or max_relative_loss"),
        ("metrics: {abs_rel: {max_loss: much}}", "got abs_rel.max_loss: 'much', expected a number"),
        ("metrics: {abs_rel: {max_loss: -1}}", "expected a number from 0"),
        ("metrics: {abs_rel: {max_loss: .nan}}", "expected a number from 0"),
        ("metrics: {abs_rel: {max_loss: true}}", "expected a number from 0"),
        ("metrics: {abs_rel: 0.1}", "expected max_loss or max_relative_loss"),
        ("metrics: {}", "got no metric"),
        ("abs_rel: 1", "without `metrics`"),
        ("- 1", "without `metrics`"),
        ("metrics: {d1: {max_loss: 1}}\nmin_frames: 0", "expected a whole number from 1"),
        ("metrics: {d1: {max_loss: 1}}\nframes: 3", "got the key 'frames'"),
        ("metrics: [", "expected a YAML file"),
        ("!!python/object/apply:os.getcwd []", "expected a YAML file"),
    ],
)
def test_a_wrong_gate_costs_one_line(tmp_path: Path, text: str, expected: str) -> None:
    gate = write_gate(tmp_path / "gate.yaml", text)
    with pytest.raises(BagError, match=re.escape(expected)) as caught:
        load_gate(gate)
    assert str(gate) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["{tmp}", "{tmp}"], "got no report.json there"),
        (["{model}", "{model}"], "got two models and no recording"),
        (["{model}", "{tmp}", "{tmp}"], "expected two results or two .onnx files"),
        (["{tmp}/report.json", "{tmp}", "{tmp}"], "expected recordings for models only"),
        (["{tmp}/bad.json", "{tmp}/bad.json"], "expected a report of `gam-depth evaluate`"),
        (["{tmp}", "{tmp}", "--gate", "{tmp}/no.yaml"], "expected a YAML file"),
    ],
)
def test_mistakes_cost_one_line_and_status_2(
    two_models: tuple[Path, Path], tmp_path: Path, arguments: list[str], expected: str
) -> None:
    (tmp_path / "bad.json").write_text('{"recording": 3}')
    filled = [text.format(tmp=tmp_path, model=two_models[0]) for text in arguments]
    code, text = run("compare", *filled)
    assert code == 2
    assert expected in text
    assert "Traceback" not in text
