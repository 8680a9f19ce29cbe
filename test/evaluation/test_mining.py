"""Mining: what stands out is picked, once, with its neighbours, and training can read it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from plain_pipeline import plain_pipeline
from recording_maker import make_sequence
from tiny_model import write_tiny_model
from typer.testing import CliRunner

from gam_depth_ros.cli import app
from gam_depth_ros.core.config import HealthConfig
from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.evaluation.bag import BagError, Recording, open_recording, sequence_to_bag
from gam_depth_ros.evaluation.mine import RecordingMarks, date_of, mine, mining_config
from gam_depth_ros.evaluation.mining import (
    LOOK_WH,
    FrameMark,
    MiningRules,
    Pick,
    choose_frames,
    stretches,
)
from gam_depth_ros.evaluation.mining_page import render_mining
from gam_depth_ros.evaluation.observation import Observation


def look(seed: int) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (LOOK_WH[1], LOOK_WH[0], 3), np.uint8)
    return values.astype(np.uint8).tobytes()


def mark(index: int, *, seed: int | None = None, **figures: float) -> FrameMark:
    known = {"sigma": 0.1, "unfamiliar": 0.5, "scale": 0.0, "conflict": 0.2, **figures}
    seed = index if seed is None else seed
    return FrameMark(index, (1 + index) * 100_000_000, known, (), look(seed))


def picked(marks: list[FrameMark], **rules: float) -> list[int]:
    found = choose_frames([marks], MiningRules(**{"apart_s": 0.0, "neighbours": 1, **rules}))
    return [pick.mark.index for pick in found]


def test_nothing_is_picked_where_nothing_stands_out() -> None:
    assert picked([mark(index) for index in range(30)]) == []


def test_each_reason_picks_the_frame_that_stands_out_by_it() -> None:
    odd = {5: {"sigma": 0.5}, 10: {"unfamiliar": 0.9}, 15: {"scale": 0.3}, 20: {"conflict": 0.9}}
    marks = [mark(index, **odd.get(index, {})) for index in range(30)]
    found = choose_frames([marks], MiningRules(apart_s=0.0, neighbours=1))
    reasons = {pick.mark.index: [name for name, _ in pick.reasons] for pick in found}
    assert reasons == {5: ["sigma"], 10: ["unfamiliar"], 15: ["scale"], 20: ["conflict"]}
    assert found[0].reasons[0][1] == pytest.approx(30 / 31)  # the largest of thirty


def test_a_frame_past_the_models_limit_is_new_even_where_all_are() -> None:
    assert len(picked([mark(index, unfamiliar=1.2) for index in range(9)])) == 7


def test_frames_that_look_like_one_taken_come_last() -> None:
    # Frames 5 and 6 are one place; 15 is another and less odd than both.
    marks = [mark(index) for index in range(30)]
    marks[5] = mark(5, seed=5, sigma=0.9)
    marks[6] = mark(6, seed=5, sigma=0.8)
    marks[15] = mark(15, sigma=0.4)
    assert picked(marks) == [5, 15, 6]
    assert picked(marks, frames=2) == [5, 15]


def test_picks_of_one_moment_are_kept_apart() -> None:
    marks = [mark(index, sigma=0.9 if 10 <= index < 20 else 0.1) for index in range(60)]
    found = sorted(picked(marks, apart_s=0.5))
    assert found
    assert min(np.diff(found)) >= 5  # a tenth of a second a frame


def test_a_frame_without_readable_neighbours_is_no_pick() -> None:
    marks = [mark(index, sigma=0.9 if index in (0, 9, 11, 29) else 0.1) for index in range(30)]
    del marks[10]  # unreadable: 9 and 11 lack a neighbour
    assert picked(marks) == []


def test_pictures_that_teach_nothing_are_no_picks() -> None:
    marks = [mark(index) for index in range(30)]
    blurred = mark(5, sigma=0.9)
    marks[5] = FrameMark(5, blurred.stamp_ns, blurred.figures, ("blurred",), blurred.look)
    assert picked(marks) == []


def test_unknown_figures_are_no_reason() -> None:
    marks = [mark(index, scale=math.nan, unfamiliar=math.nan) for index in range(30)]
    assert picked(marks) == []


def test_stretches_hold_the_neighbours_and_join_where_they_touch() -> None:
    picks = [Pick(0, mark(index), (), 1.0) for index in (10, 13, 30)] + [
        Pick(1, mark(5), (), 1.0)
    ]
    assert stretches(picks, 0, 1) == [(9, 14), (29, 31)]
    assert stretches(picks, 0, 2) == [(8, 15), (28, 32)]
    assert stretches(picks, 1, 1) == [(4, 6)]


def test_rules_refuse_what_makes_no_sense() -> None:
    for wrong in (
        {"frames": 0},
        {"frame_gap": 0},
        {"neighbours": 0},
        {"apart_s": -1.0},
        {"apart_s": math.nan},
    ):
        with pytest.raises(ValueError, match="expected at least one"):
            MiningRules(**wrong)


def test_a_date_is_told_only_by_a_wall_clock() -> None:
    assert date_of(1_700_000_000 * 10**9) == "2023-11-14 22:13:20"
    assert date_of(1000 * 10**9) == ""


@pytest.fixture(scope="module")
def unsure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("m") / "tiny.onnx", features=True)


def pipeline_of(model: Path):
    config = mining_config(plain_pipeline(model).config)
    return plain_pipeline(model, health=HealthConfig(drift=config.health.drift))


def test_mined_stretches_are_what_the_bag_had(
    tmp_path: Path, unsure: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(index: int, seen: Observation, slop_s: float) -> FrameMark:
        odd = 0.9 if index in (3, 9) else 0.1
        drawn = mark(index, sigma=odd)
        return FrameMark(index, seen.sample.frame.stamp_ns, drawn.figures, (), drawn.look)

    monkeypatch.setattr("gam_depth_ros.evaluation.mine.mark_frame", fake)
    folder = make_sequence(tmp_path / "s", frames=12)
    sequence_to_bag(folder, tmp_path / "bag")
    recordings = [open_recording(tmp_path / "bag")]
    rules = MiningRules(apart_s=0.5, neighbours=1)
    result = mine(recordings, pipeline_of(unsure), rules, tmp_path / "out")
    assert sorted(pick["index"] for pick in result.report["picks"]) == [3, 9]
    assert result.report["folders"] == ["bag_000002", "bag_000008"]
    assert len(result.pictures) == 2
    read = list(open_recording(tmp_path / "out/sequences/bag_000002").samples())
    original = list(open_recording(tmp_path / "bag").samples())[2:5]
    assert [s.frame.stamp_ns for s in read] == [s.frame.stamp_ns for s in original]
    for ours, theirs in zip(read, original, strict=True):
        np.testing.assert_allclose(ours.frame.rgb, theirs.frame.rgb, atol=12)  # JPEG
        np.testing.assert_array_equal(
            ours.frame.reference.depth_m, theirs.frame.reference.depth_m
        )
        assert ours.frame.intrinsics.fx == theirs.frame.intrinsics.fx
    facts = json.loads((tmp_path / "out/sequences/bag_000002/sequence.json").read_text())
    assert facts["frame_gap"] == 1
    assert facts["room"] == "bag"
    assert facts["picked"] == {"000001": "sigma"}


def test_drift_of_many_bags_is_told_by_date_and_undated_ones_come_last(
    tmp_path: Path, unsure: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = {"june": 1_717_200_000, "undated": 1000, "may": 1_714_600_000}
    psi = {"june": 0.4, "undated": 0.2, "may": 0.1}

    def judged(recording: Recording, name: str, *rest: object, **more: object) -> RecordingMarks:
        return RecordingMarks(
            name, [mark(0)], 0, starts[name] * 10**9, {"sharpness": psi[name]}, "drift: x"
        )

    monkeypatch.setattr("gam_depth_ros.evaluation.mine.judge_recording", judged)
    recordings = [open_recording(make_sequence(tmp_path / name, frames=1)) for name in starts]
    found = mine(recordings, pipeline_of(unsure), MiningRules(), tmp_path / "out")
    rows = found.report["recordings"]
    assert [row["name"] for row in rows] == ["may", "june", "undated"]
    assert [row["date"][:10] for row in rows] == ["2024-05-01", "2024-06-01", ""]
    page = render_mining(found.report, found.pictures, NYU13)
    shown = re.findall(r'<td data-of="sharpness"(?: class="(\w+)")?>([^<]*)</td>', page)
    assert shown == [("", "0.10"), ("moved", "0.40"), ("", "0.20")]
    assert 'alt="drift"' in page


def test_pictures_without_calibration_are_refused_before_the_work(
    tmp_path: Path, unsure: Path
) -> None:
    folder = make_sequence(tmp_path / "s")
    (folder / "intrinsics.json").unlink()
    with pytest.raises(BagError, match="without calibration"):
        mine([open_recording(folder)], pipeline_of(unsure), MiningRules(), tmp_path / "out")


def test_command_writes_page_and_json_and_refuses_a_second_time(
    tmp_path: Path, unsure: Path
) -> None:
    folder = make_sequence(tmp_path / "s", frames=8)
    out = tmp_path / "out"
    arguments = ["mine", str(folder), "--out", str(out), "--model", str(unsure)]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert "of 8 frames" in first.output
    page = (out / "mine.html").read_text()
    report = json.loads((out / "mine.json").read_text())
    assert report["recordings"][0]["frames"] == 8
    assert "<script" not in page
    assert page.count("<article") == len(report["picks"])
    (out / "sequences").mkdir(exist_ok=True)
    second = CliRunner().invoke(app, arguments)
    assert second.exit_code == 2
    assert "mined sequences" in " ".join(second.output.split())
