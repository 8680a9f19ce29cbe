"""The figures of a report, against values by hand and a second, plain implementation."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from plain_pipeline import plain_pipeline
from recording_maker import HEIGHT, WIDTH, make_sequence, truth_mm
from rosbags.rosbag2 import Reader
from tiny_model import SIGMA

from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.frame import ReferenceDepth
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.core.scale_alignment import MedianReference, ScaleObservation
from gam_depth_ros.evaluation.bag import (
    BagError,
    OutMessage,
    open_recording,
    sequence_to_bag,
    write_bag,
)
from gam_depth_ros.evaluation.evaluate import evaluate, evaluate_recorded, rates
from gam_depth_ros.evaluation.replay import replay
from gam_depth_ros.evaluation.report import table_rows
from gam_depth_ros.evaluation.verdict import remarks

NAMES = ("abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "d1", "d2", "d3")


def plain_errors(truth: np.ndarray, prediction: np.ndarray, *, align: bool) -> np.ndarray:
    """Return the eight errors, written down from the definition."""
    keep = truth > 0
    t, p = truth[keep].astype(np.float64), prediction[keep].astype(np.float64)
    if align:
        p = p * np.median(t) / np.median(p)
    p = np.clip(p, 0.1, 10.0)
    worst = np.maximum(t / p, p / t)
    return np.array(
        [
            np.mean(abs(t - p) / t),
            np.mean((t - p) ** 2 / t),
            math.sqrt(np.mean((t - p) ** 2)),
            math.sqrt(np.mean((np.log(t) - np.log(p)) ** 2)),
            np.mean(abs(np.log10(t) - np.log10(p))),
            *(np.mean(worst < 1.25**k) for k in (1, 2, 3)),
        ]
    )


def network_depths(sequence: Path, model: Path) -> list[np.ndarray]:
    pipeline = plain_pipeline(model)
    return [pipeline.process(f).network_depth for f in open_recording(sequence).frames()]


def test_hand_computed_recording(tmp_path: Path, model: Path) -> None:
    # A white picture: the tiny model sees 5 everywhere. Truth: 2 m above, 4 m below, one pixel of
    # the upper half without a reading, so the median of the truth is 4.
    folder = make_sequence(tmp_path / "s", frames=2)
    millimetres = np.full((HEIGHT, WIDTH), 2000, np.uint16)
    millimetres[HEIGHT // 2 :] = 4000
    millimetres[0, 0] = 0
    for index in range(2):
        name = f"{index:06d}.png"
        cv2.imwrite(str(folder / "color" / name), np.full((HEIGHT, WIDTH, 3), 255, np.uint8))
        cv2.imwrite(str(folder / "depth" / name), millimetres)
    report = evaluate(open_recording(folder), plain_pipeline(model)).report
    near, far = HEIGHT * WIDTH // 2 - 1, HEIGHT * WIDTH // 2
    share = near / (near + far)
    score = report["depth"]["per_frame_median"]
    assert score["abs_rel"] == pytest.approx(share * (4 - 2) / 2)
    assert score["sq_rel"] == pytest.approx(share * (4 - 2) ** 2 / 2)
    assert score["rmse"] == pytest.approx(math.sqrt(share * 4))
    assert score["rmse_log"] == pytest.approx(math.sqrt(share) * math.log(2))
    assert score["log10"] == pytest.approx(share * math.log10(2))
    assert score["d1"] == score["d2"] == score["d3"] == pytest.approx(1 - share)
    # A network that is flat is the constant predictor.
    floor = report["depth"]["constant_floor"]["per_frame_median"]
    assert [floor[name] for name in NAMES] == pytest.approx([score[name] for name in NAMES])
    assert report["depth"]["contrast_ratio"] == pytest.approx(0.0, abs=1e-6)
    # Aligned: half the pixels are off by 2 m with a sigma of 0.4 m, half are right. The first
    # frame has no scale yet, but the network's own sigma needs none.
    assert report["uncertainty"]["coverage_1sigma"]["per_frame_median"] == pytest.approx(1 - share)
    assert report["uncertainty"]["frames"] == 2


def test_per_frame_median_equals_a_plain_computation(sequence: Path, model: Path) -> None:
    report = evaluate(open_recording(sequence), plain_pipeline(model)).report
    rows = [
        plain_errors(truth_mm(index) / 1000.0, depth, align=True)
        for index, depth in enumerate(network_depths(sequence, model))
    ]
    score = report["depth"]["per_frame_median"]
    assert score["frames"] == 6
    np.testing.assert_allclose([score[n] for n in NAMES], np.mean(rows, axis=0), rtol=1e-5)


def test_online_scale_never_sees_the_frame_it_scores(sequence: Path, model: Path) -> None:
    pipeline = plain_pipeline(model)
    report = evaluate(open_recording(sequence), pipeline).report
    source = MedianReference(pipeline.config.scale)
    no_labels = np.empty((0, 0), np.uint8)
    rows, known = [], []
    depths = network_depths(sequence, model)
    for index, frame in enumerate(open_recording(sequence).frames()):
        # The source here is fed with the frames before this one, and nothing else.
        scale = source.estimate(frame.stamp_ns).value
        known.append(scale)
        if np.isfinite(scale):
            metric = depths[index] * scale
            rows.append(plain_errors(truth_mm(index) / 1000.0, metric, align=False))
        reference = frame.reference
        assert isinstance(reference, ReferenceDepth)
        source.observe(
            ScaleObservation(
                stamp_ns=frame.stamp_ns,
                rgb=frame.rgb,
                depth=depths[index],
                sigma_log=np.full_like(depths[index], SIGMA),
                labels=no_labels,
                label_confidence=np.empty((0, 0), np.float32),
                reference=reference,
            )
        )
    score = report["depth"]["online_scale"]
    assert (score["frames"], score["frames_without_scale"]) == (4, 2)
    np.testing.assert_allclose([score[n] for n in NAMES], np.mean(rows, axis=0), rtol=1e-5)
    assert [row["scale"] for row in report["series"][:2]] == [None, None]
    np.testing.assert_allclose([row["scale"] for row in report["series"][2:]], known[2:])


def test_online_scale_is_blind_to_a_change_of_the_last_reference(
    sequence: Path, model: Path
) -> None:
    before = evaluate(open_recording(sequence), plain_pipeline(model)).report["series"][-1]
    last = sequence / "depth" / "000005.png"
    cv2.imwrite(str(last), (truth_mm(5) * 2).astype(np.uint16))
    after = evaluate(open_recording(sequence), plain_pipeline(model)).report["series"][-1]
    assert after["scale"] == before["scale"]
    assert after["ideal_scale"] == pytest.approx(2 * before["ideal_scale"])


def test_accounts_add_up_when_everything_goes_wrong_at_once(tmp_path: Path, model: Path) -> None:
    folder = make_sequence(tmp_path / "s", frames=8, depth_every=2)
    messages, index = [], 0
    for message in open_recording(folder).input_messages():
        if message.topic.endswith("color/image_raw"):
            index += 1
            if index == 3:
                messages.append(message._replace(data=message.data[:50]))
                continue
        messages.append(message)
    write_bag(tmp_path / "bag", messages)
    report = evaluate(open_recording(tmp_path / "bag"), plain_pipeline(model)).report
    frames = report["frames"]
    assert frames == {"in": 8, "evaluated": 3, "dropped": 0, "failed": 1, "without_truth": 4}
    assert frames["in"] == sum(count for name, count in frames.items() if name != "in")
    assert len(report["failures"]) == 1
    assert len(report["series"]) == 8


def test_recording_without_depth_reports_what_needs_no_truth(tmp_path: Path, model: Path) -> None:
    folder = make_sequence(tmp_path / "s", frames=3, depth_every=0)
    result = evaluate(open_recording(folder), plain_pipeline(model))
    assert result.report["depth"] is None
    assert "no frame has a reference depth" in result.report["depth_reason"]
    assert result.report["frames"]["without_truth"] == 3
    assert result.report["latency_ms"]["p50"] > 0
    assert result.pictures


def test_labels_are_scored_where_there_is_truth(tmp_path: Path, model: Path) -> None:
    folder = make_sequence(tmp_path / "s", frames=3, labels=True)
    # The tiny model calls bright floor and dark wall, at the size of these pictures: no resizing.
    report = evaluate(open_recording(folder), plain_pipeline(model)).report["segmentation"]
    assert report["miou"] == 1.0
    assert report["iou"] == {"floor": 1.0, "wall": 1.0}


def test_exact_depth_is_scored_beside_the_sensor(tmp_path: Path, model: Path) -> None:
    folder = make_sequence(tmp_path / "s", exact=True)
    report = evaluate(open_recording(folder), plain_pipeline(model)).report
    exact = report["depth_exact"]["per_frame_median"]
    assert exact["frames"] == 6
    assert exact["abs_rel"] != report["depth"]["per_frame_median"]["abs_rel"]
    assert (
        evaluate(open_recording(folder), plain_pipeline(model), max_frames=2).report["frames"]["in"]
        == 2
    )


def test_folder_and_bag_give_the_same_figures(sequence: Path, model: Path, tmp_path: Path) -> None:
    sequence_to_bag(sequence, tmp_path / "bag")
    reports = [
        evaluate(open_recording(path), plain_pipeline(model), timer=lambda: 0).report
        for path in (sequence, tmp_path / "bag")
    ]
    for key in ("frames", "depth", "uncertainty"):
        assert reports[0][key] == reports[1][key]


def test_recorded_outputs_get_the_figures_of_the_pipeline_that_made_them(
    sequence: Path, pipeline: PerceptionPipeline, tmp_path: Path
) -> None:
    replay(open_recording(sequence), pipeline, tmp_path / "bag")
    offline = evaluate(open_recording(sequence), pipeline).report
    recorded = evaluate_recorded(open_recording(tmp_path / "bag")).report
    assert recorded["frames"] == offline["frames"]
    for name in NAMES:
        assert recorded["depth"]["online_scale"][name] == pytest.approx(
            offline["depth"]["online_scale"][name], rel=1e-5
        )
    # Two frames were published as NaN, so only four have a depth to align.
    assert recorded["depth"]["per_frame_median"]["frames"] == 4
    assert recorded["depth"]["constant_floor"] == offline["depth"]["constant_floor"]
    assert recorded["latency_ms"]["p50"] is None
    assert recorded["uncertainty"]["coverage_1sigma"]["online_scale"] == pytest.approx(
        offline["uncertainty"]["coverage_1sigma"]["online_scale"], abs=1e-3
    )


def test_sigma_before_the_scale_is_known_counts_as_much_as_after(
    sequence: Path, pipeline: PerceptionPipeline
) -> None:
    uncertainty = evaluate(open_recording(sequence), pipeline).report["uncertainty"]
    covered = []
    for frame in open_recording(sequence).frames():
        seen = pipeline.process(frame)
        depth = seen.network_depth
        assert frame.reference is not None
        truth_m = frame.reference.depth_m
        known = np.isfinite(truth_m)
        aligned = depth[known] * (np.median(truth_m[known]) / np.median(depth[known]))
        off = np.abs(np.log(aligned / truth_m[known]))
        covered.append(np.mean(off <= seen.network_sigma_log[known]))
    assert uncertainty["frames"] == len(covered) == 6
    assert uncertainty["coverage_1sigma"]["per_frame_median"] == pytest.approx(np.mean(covered))


def test_metres_of_a_fixed_scale_are_not_said_to_be_learnt(
    sequence: Path, model: Path, tmp_path: Path
) -> None:
    scale = ScaleConfig(source="fixed")
    replay(open_recording(sequence), plain_pipeline(model, scale=scale), tmp_path / "bag")
    report = evaluate_recorded(open_recording(tmp_path / "bag")).report
    assert report["scale_source"] == "fixed"
    assert "with a fixed scale" in " ".join(remarks(report))
    assert "fixed scale" in table_rows(report)[2]["note"]
    assert "published metres" in report["depth"]["protocol"]


def test_recorded_frames_without_output_are_dropped_and_latency_is_told(
    sequence: Path, pipeline: PerceptionPipeline, tmp_path: Path
) -> None:
    replay(open_recording(sequence), pipeline, tmp_path / "whole")
    messages = []
    with Reader(tmp_path / "whole") as reader:
        for connection, time_ns, data in reader.messages():
            is_output = connection.topic.startswith("/gam_depth/")
            frame = round((time_ns - 1_000_000_000_000) / 1e8)
            if is_output and frame in (2, 3):
                continue
            late_ns = 40_000_000 if is_output else 0
            messages.append(
                OutMessage(connection.topic, connection.msgtype, time_ns + late_ns, bytes(data))
            )
    write_bag(tmp_path / "bag", messages)
    report = evaluate_recorded(open_recording(tmp_path / "bag")).report
    assert report["frames"] == {
        "in": 6, "evaluated": 4, "dropped": 2, "failed": 0, "without_truth": 0,
    }  # fmt: skip
    assert report["latency_ms"]["p50"] == pytest.approx(40.0)


def test_recorded_needs_outputs(sequence: Path, tmp_path: Path) -> None:
    sequence_to_bag(sequence, tmp_path / "bag")
    with pytest.raises(BagError, match="got no topic /gam_depth/depth/image, expected"):
        evaluate_recorded(open_recording(tmp_path / "bag"))
    with pytest.raises(BagError, match="got a sequence folder, expected a bag"):
        evaluate_recorded(open_recording(sequence))


def test_rates_are_of_images_that_came_and_of_outputs_that_went() -> None:
    status = ["evaluated", "dropped", "without_truth", "dropped", "evaluated"]
    series = [{"stamp_ns": 10**9 + i * 10**8, "status": name} for i, name in enumerate(status)]
    assert rates(series) == {"in": pytest.approx(10.0), "out": pytest.approx(5.0)}
    assert rates(series[:1]) == {"in": None, "out": None}
    failed = {"stamp_ns": 5, "status": "failed"}  # the receive time: of another clock
    assert rates([failed, *series]) == rates(series)
