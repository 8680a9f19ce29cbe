"""The robustness card: its figures by hand, its run on a model whose depth is known, its page."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_maker import make_sequence
from typer.testing import CliRunner

from gam_depth_ros.cli import app
from gam_depth_ros.core.metrics import evaluate_depth
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.evaluation.bag import open_recording
from gam_depth_ros.evaluation.corruptions import CORRUPTIONS
from gam_depth_ros.evaluation.robustness import (
    VARIANTS,
    choose_frames,
    model_depth,
    run_robustness,
)
from gam_depth_ros.evaluation.robustness_page import robustness_headline
from gam_depth_ros.evaluation.robustness_scores import (
    CLEAN,
    Trial,
    corruption_error,
    depth_estimation_error,
    rank_correlation,
    resilience_rate,
    summarise,
)

SLOP_S = 0.02


def trial(name: str, severity: int, dee: float, sigma: float = 0.1, **options: object) -> Trial:
    """A trial whose AbsRel is 2·DEE and whose δ1 is 1."""
    return Trial(0, name, severity, 2 * dee, 1.0, 0.4, sigma, **options)


def test_dee_of_published_figures() -> None:
    # AbsRel 0.131 and δ1 0.836: (0.131 − 0.836 + 1) / 2.
    assert depth_estimation_error(0.131, 0.836) == pytest.approx(0.1475)
    assert depth_estimation_error(0.0, 1.0) == 0.0


def test_ce_and_rr_by_hand() -> None:
    assert corruption_error([0.1, 0.3], [0.2, 0.6]) == pytest.approx(0.5)
    # (0.9 + 0.7) / 2 against 0.95.
    assert resilience_rate([0.1, 0.3], 0.05) == pytest.approx(0.8 / 0.95)
    assert math.isnan(corruption_error([0.1], [0.0]))
    assert math.isnan(resilience_rate([0.1], 1.0))


def test_rank_correlation_by_hand() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 1000]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 · 5).
    assert rank_correlation([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(22.5))
    assert rank_correlation([1, math.nan, 2, 3], [1, 5, 2, 3]) == pytest.approx(1.0)
    assert math.isnan(rank_correlation([1, 2], [1, 2]))
    assert math.isnan(rank_correlation([1, 1, 1], [1, 2, 3]))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=3, max_size=20))
def test_rank_correlation_sees_only_the_order(pairs: list[tuple[float, float]]) -> None:
    first, second = (np.round(side, 3) for side in zip(*pairs, strict=True))
    plain = rank_correlation(first, second)
    stretched = rank_correlation(np.exp(first), 3.0 * second + 7.0)
    assert plain == pytest.approx(stretched, abs=1e-9, nan_ok=True)
    assert math.isnan(plain) or -1.0 - 1e-9 <= plain <= 1.0 + 1e-9


def test_the_card_is_the_mean_over_corruptions() -> None:
    trials = [
        trial(CLEAN, 0, 0.2),
        trial("dark", 1, 0.2, sigma=0.1),
        trial("dark", 2, 0.4, sigma=0.2),
        trial("jpeg", 1, 0.2, sigma=0.1),
        trial("jpeg", 2, 0.2, sigma=0.1),
    ]
    card = summarise(trials)
    dark, jpeg = card["corruptions"]
    assert (dark["ce"], jpeg["ce"]) == (pytest.approx(0.6 / 0.8), pytest.approx(0.5))
    assert card["mce"] == pytest.approx((0.75 + 0.5) / 2)
    assert card["mrr"] == pytest.approx((0.7 / 0.8 + 1.0) / 2)
    cell = dark["severities"][1]
    assert cell["dee_rise"] == pytest.approx(0.2)
    assert cell["sigma_ratio"] == pytest.approx(2.0)
    # Only where the error rose did sigma rise.
    assert card["sigma_rank_correlation"]["over_variants"] == pytest.approx(1.0)
    json.dumps(card, allow_nan=False)


def test_a_refused_picture_counts_in_no_mean() -> None:
    refused = Trial(0, "dark", 2, math.nan, math.nan, 0.4, math.nan)
    card = summarise([trial(CLEAN, 0, 0.2), trial("dark", 1, 0.3), refused])
    assert card["refused"] == 1
    assert card["corruptions"][0]["severities"][1]["dee"] is None
    json.dumps(card, allow_nan=False)


def test_the_share_of_alarms_is_counted_where_health_was_checked() -> None:
    trials = [
        trial(CLEAN, 0, 0.2, problems=()),
        trial("dark", 1, 0.3, problems=("dark",)),
        Trial(1, CLEAN, 0, 0.4, 1.0, 0.4, 0.1, ()),
        Trial(1, "dark", 1, 0.4, 1.0, 0.4, 0.1, ()),
    ]
    card = summarise(trials)
    assert card["clean"]["alarm_share"] == 0.0
    cell = card["corruptions"][0]["severities"][0]
    assert cell["alarm_share"] == pytest.approx(0.5)
    assert cell["problems"] == {"dark": 0.5}
    assert summarise([trial(CLEAN, 0, 0.2)])["clean"]["alarm_share"] is None


def test_harm_is_counted_by_who_noticed_it() -> None:
    trials = [
        trial(CLEAN, 0, 0.2, sigma=0.1, problems=()),
        trial("dark", 1, 0.24, sigma=0.2, problems=("dark",)),  # rose by less than 0.05
        trial("dark", 2, 0.26, sigma=0.12, problems=()),
        trial("dark", 3, 0.30, sigma=0.1, problems=("dark",)),
        trial("dark", 4, 0.30, sigma=0.1, problems=()),
        trial("dark", 5, 0.40, sigma=0.2, problems=("dark", "noisy")),
    ]
    harmed = summarise(trials)["harmed"]
    assert harmed["pictures"] == 4
    shares = [harmed[f"noticed_by_{who}"] for who in ("sigma", "health", "either")]
    assert shares == [0.5, 0.5, 0.75]


def test_chosen_frames_are_spread_and_have_truth(tmp_path: Path) -> None:
    recording = open_recording(make_sequence(tmp_path / "s", 12, depth_every=2))
    stamps = [test.frame.stamp_ns for test in choose_frames(recording, 3, SLOP_S)]
    every = [sample.frame.stamp_ns for sample in recording.samples()]
    assert stamps == [every[0], every[4], every[10]]
    assert len(choose_frames(recording, 50, SLOP_S)) == 6
    assert choose_frames(recording, 3, SLOP_S)[0].frame.reference is None


def test_run_scores_each_variant_as_the_metrics_do(
    sequence: Path, pipeline: PerceptionPipeline
) -> None:
    frames = choose_frames(open_recording(sequence), 2, SLOP_S)
    calls = []
    run = run_robustness(frames, pipeline.engine, on_picture=lambda: calls.append(1))
    assert len(run.trials) == len(calls) == 2 * VARIANTS == 152
    first = run.trials[0]
    depth = pipeline.process(frames[0].frame).network_depth
    expected = evaluate_depth(frames[0].truth_m, depth)
    assert expected is not None
    assert (first.abs_rel, first.d1) == (expected.abs_rel, expected.d1)
    assert first.sigma_log == pytest.approx(0.1, rel=1e-5)
    assert len(run.sheet) == VARIANTS
    heavy = {t.corruption: t.problems for t in run.trials if t.severity == 5}
    assert "dark" in (heavy["dark"] or ())
    assert "dark" not in (heavy["bright"] or ())
    # The tiny model's sigma never changes: it notices nothing.
    assert summarise(run.trials)["sigma_rank_correlation"]["over_variants"] is None


def test_a_model_against_itself_has_an_mce_of_one(
    sequence: Path, pipeline: PerceptionPipeline
) -> None:
    frames = choose_frames(open_recording(sequence), 1, SLOP_S)
    run = run_robustness(
        frames, pipeline.engine, baseline=model_depth(pipeline.engine), corruptions=("dark", "jpeg")
    )
    assert summarise(run.trials)["mce"] == pytest.approx(1.0)


def test_command_writes_card_and_page_with_the_same_figures(
    sequence: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ["robustness", sequence, "--model", model, "--out", out, "--frames", 2]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    card = json.loads((out / "robustness.json").read_text())
    page = (out / "robustness.html").read_text()
    assert [row["name"] for row in card["corruptions"]] == list(CORRUPTIONS)
    assert robustness_headline(card) in page
    for row in card["corruptions"]:
        for cell in row["severities"]:
            assert f">{cell['dee']:.3f}<small>" in page
        assert f"<td class=\"plain\">{row['ce']:.3f}</td>" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 2 + 1 + 1 + 2 * len(CORRUPTIONS)
    assert all(source.startswith("data:image/") for source in sources)
    assert "<script" not in page
    assert "2 frames (--frames 2 of each recording)" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--corruption", "fog"], "got 'fog', expected one of bright"),
        (["--model", "nowhere.onnx"], "model file"),
    ],
)
def test_mistakes_cost_one_line(
    sequence: Path, tmp_path: Path, options: list[str], expected: str
) -> None:
    out = ["--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["robustness", str(sequence), *out, *options])
    assert result.exit_code == 2
    assert expected in " ".join(result.output.split())
    assert len(result.output.strip().splitlines()) == 1


def test_a_recording_without_truth_is_refused(tmp_path: Path, model: Path) -> None:
    folder = make_sequence(tmp_path / "s", 2, depth_every=0)
    out = ["--out", str(tmp_path / "out"), "--model", str(model)]
    result = CliRunner().invoke(app, ["robustness", str(folder), *out])
    assert result.exit_code == 2
    assert "no frame with a reference depth" in " ".join(result.output.split())
