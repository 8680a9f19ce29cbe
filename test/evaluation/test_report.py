"""The page says what the JSON says, and needs nothing but itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from plain_pipeline import plain_pipeline
from recording_maker import make_sequence

from gam_depth_ros.core.config import HealthConfig
from gam_depth_ros.evaluation.bag import open_recording
from gam_depth_ros.evaluation.cards import cards
from gam_depth_ros.evaluation.evaluate import evaluate
from gam_depth_ros.evaluation.failures import PICTURE
from gam_depth_ros.evaluation.gallery import CANDIDATES, Gallery
from gam_depth_ros.evaluation.observation import Observation
from gam_depth_ros.evaluation.report import COLUMNS, write_report
from gam_depth_ros.evaluation.verdict import headline


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, model: Path) -> tuple[dict, str]:
    folder = make_sequence(tmp_path_factory.mktemp("r") / "kitchen", labels=True, exact=True)
    result = evaluate(open_recording(folder), plain_pipeline(model))
    json_path, html_path = write_report(result, folder.parent / "out")
    return json.loads(json_path.read_text()), html_path.read_text()


def test_json_has_every_figure_that_is_promised(written: tuple[dict, str]) -> None:
    report, _ = written
    names = {name for name, _ in COLUMNS}
    assert names == {"abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "d1", "d2", "d3"}
    for block in (report["depth"], report["depth_exact"]):
        assert names <= block["per_frame_median"].keys()
        assert names <= block["online_scale"].keys()
        assert names <= block["constant_floor"]["per_frame_median"].keys()
    assert {"in", "evaluated", "dropped", "failed"} <= report["frames"].keys()
    assert {"p50", "p99"} <= report["latency_ms"].keys()
    assert re.fullmatch("[0-9a-f]{64}", report["model"]["sha256"])
    assert report["model"]["provider"] == "CPUExecutionProvider"
    assert report["model"]["path"].endswith("tiny.onnx")


def test_page_shows_the_figures_of_the_json(written: tuple[dict, str]) -> None:
    report, page = written
    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)[1:]
    cells = [re.findall(r"<td data-of=[^>]*>(.*?)</td>", row) for row in rows]
    floor = report["depth"]["constant_floor"]
    expected = [
        report["depth"]["per_frame_median"],
        floor["per_frame_median"],
        report["depth"]["online_scale"],
        floor["online_scale"],
    ]
    for row, scores in zip(cells, expected, strict=False):
        shown = [re.sub("<small>.*</small>", "", cell) for cell in row]
        assert shown == [*(f"{scores[name]:.3f}" for name, _ in COLUMNS), str(scores["frames"])]
    assert headline(report).replace("'", "&#39;") in page
    assert f"{report['segmentation']['miou']:.3f}" in page


def test_headline_states_both_errors_and_lets_neither_stand_alone() -> None:
    def verdict(score: float, floor: float) -> str:
        depth = {
            "per_frame_median": {"abs_rel": score},
            "constant_floor": {"per_frame_median": {"abs_rel": floor}},
        }
        return headline({"frames": {"in": 1, "dropped": 0, "failed": 0}, "depth": depth})

    assert verdict(0.16, 0.19).endswith("16 % off on average after per-image alignment; "
                                        "a blind guess is 19 % off.")  # fmt: skip
    assert verdict(0.30, 0.19).endswith("no better than a blind guess (19 %).")


def test_page_loads_nothing_from_anywhere(written: tuple[dict, str]) -> None:
    _, page = written
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert "@import" not in page
    assert "url(" not in page
    assert "<script src" not in page
    assert len(page) < 6_000_000


def test_same_result_gives_the_same_page(sequence: Path, model: Path, tmp_path: Path) -> None:
    pages = []
    for name in ("a", "b"):
        result = evaluate(open_recording(sequence), plain_pipeline(model), timer=lambda: 0)
        # The stages are measured by the pipeline's own clock.
        result.report["latency_ms"]["stages_p50"] = {}
        pages.append(write_report(result, tmp_path / name)[1].read_bytes())
    assert pages[0] == pages[1]


def test_page_without_truth_says_why(tmp_path: Path, model: Path) -> None:
    folder = make_sequence(tmp_path / "s", frames=2, depth_every=0)
    result = evaluate(open_recording(folder), plain_pipeline(model))
    _, page = write_report(result, tmp_path / "out")
    text = page.read_text()
    assert "cannot be scored" in text
    assert result.report["depth_reason"] in text


def test_the_top_of_a_page_without_truth_tells_what_needs_none(tmp_path: Path, model: Path) -> None:
    folder = make_sequence(tmp_path / "s", frames=3, depth_every=0)
    report = evaluate(open_recording(folder), plain_pipeline(model)).report
    shown = {card["label"]: card["value"] for card in cards(report)}
    assert list(shown)[:3] == ["Healthy pictures", "Unrest of depth", "Labels that change"]
    assert shown["Healthy pictures"] == f"{100 * report['health']['healthy_share']:.0f}"
    assert shown["Unrest of depth"] == f"{report['temporal']['opw']:.3f}"


def test_recording_that_fails_throughout_still_gives_a_page(sequence: Path, model: Path) -> None:
    for picture in (sequence / "color").iterdir():
        picture.write_bytes(b"no picture")
    result = evaluate(open_recording(sequence), plain_pipeline(model))
    _, page = write_report(result, sequence / "out")
    assert result.report["frames"]["failed"] == 6
    assert "No frame could be evaluated" in page.read_text()


def test_a_cause_of_the_picture_is_not_said_to_need_truth_where_an_image_is_lost(
    sequence: Path, model: Path
) -> None:
    (sequence / "color" / "000002.png").write_bytes(b"no picture")
    # Drawn pictures are as plain as that of a covered lens.
    result = evaluate(open_recording(sequence), plain_pipeline(model, health=HealthConfig()))
    (cause,) = result.report["failure_causes"]
    assert cause["cause"].startswith(PICTURE)
    assert (result.report["frames"]["in"], cause["frames"], cause["of_frames"]) == (6, 5, 5)
    page = write_report(result, sequence / "out")[1].read_text()
    shown = cause["cause"].capitalize()
    assert f"{shown} <span>5 of 5 frames · {cause['about']}</span>" in page


def test_names_from_a_recording_cannot_break_the_page(tmp_path: Path, model: Path) -> None:
    folder = make_sequence(tmp_path / "<b>bold&co", frames=2)
    _, page = write_report(evaluate(open_recording(folder), plain_pipeline(model)), tmp_path)
    assert "<b>bold" not in page.read_text()
    assert "&lt;b&gt;bold&amp;co" in page.read_text()


def test_gallery_keeps_best_worst_and_a_bounded_number(sequence: Path, model: Path) -> None:
    sample = next(iter(open_recording(sequence).samples()))
    depth = plain_pipeline(model).process(sample.frame).network_depth
    seen = Observation(sample, depth, None, None, None, None)
    gallery = Gallery()
    for index in range(500):
        gallery.add(index, seen, None, 0.01 if index == 333 else 0.9 if index == 77 else 0.3)
    titles = {title: picture.index for title, picture in gallery.choose()}
    assert (titles["Best frame"], titles["Worst frame"]) == (333, 77)
    assert len(gallery._kept) <= CANDIDATES
