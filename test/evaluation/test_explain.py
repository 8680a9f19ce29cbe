"""Occlusion sensitivity: where hiding changes the answer, and that it is the weights that speak."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from gam_depth_ros.cli import app
from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.evaluation.explain import (
    Explanation,
    Region,
    explain,
    label_shares,
    patch_starts,
    run_count,
)
from gam_depth_ros.evaluation.explain_page import explanation_headline
from gam_depth_ros.evaluation.rank_correlation import rank_correlation

ONE_THREAD = EngineConfig(threads=1, warmup_runs=1)


@pytest.fixture(scope="module")
def engine(model: Path) -> OnnxEngine:
    return OnnxEngine(model, ONE_THREAD)


def picture(size_hw: tuple[int, int]) -> np.ndarray:
    """Left half black, right half white, at the tiny model's own size."""
    rgb = np.zeros((*size_hw, 3), np.uint8)
    rgb[:, size_hw[1] // 2 :] = 255
    return rgb


def test_patches_cover_every_pixel_and_leave_none() -> None:
    assert patch_starts(20, 8, 6) == [0, 6, 12]
    assert patch_starts(20, 8, 8) == [0, 8, 12]
    assert patch_starts(8, 8, 4) == [0]
    assert run_count((20, 8), 8, 6) == 3


def test_a_network_that_looks_at_single_pixels_is_driven_by_the_place_itself(
    engine: OnnxEngine,
) -> None:
    size_hw = engine.spec.input_size_hw
    region = Region(0, 0, 4, 4)
    found = explain(picture(size_hw), engine, region, patch_px=4, stride_px=4)
    # Depth 1 of black; behind the patch is the mean grey, 128: depth 1 + 4·128/255.
    change = math.log(1 + 4 * 128 / 255)
    assert found.score == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(found.influence[:4, :4], change, rtol=1e-5)
    np.testing.assert_allclose(found.signed[:4, :4], change, rtol=1e-5)
    elsewhere = found.influence.copy()
    elsewhere[:4, :4] = 0.0
    assert not elsewhere.any()
    assert found.runs == 1 + run_count(size_hw, 4, 4)


def test_the_label_s_answer_is_its_weighted_share(engine: OnnxEngine) -> None:
    rgb = picture(engine.spec.input_size_hw)
    found = explain(rgb, engine, Region(0, 0, 4, 4), quantity="label", patch_px=4, stride_px=4)
    # Black is wall with confidence 1; grey 128 is floor: nothing of the label is left.
    assert found.label_id == 11
    assert found.score == pytest.approx(1.0)
    np.testing.assert_allclose(found.signed[:4, :4], -1.0, rtol=1e-5)


def test_shares_by_label_by_hand() -> None:
    influence = np.array([[3.0, 1.0, 0.0, 0.0]], np.float32)
    labels = np.array([[4, 4, 11, 11]], np.uint8)
    found = Explanation(
        "depth", Region(0, 0, 1, 1), 4, 0.0, influence, -influence, influence, labels, 1, 1
    )
    floor, wall = label_shares(found)
    assert (floor.label_id, floor.influence, floor.area, floor.signed) == (4, 1.0, 0.5, -2.0)
    assert (wall.label_id, wall.influence, wall.area, wall.signed) == (11, 0.0, 0.5, 0.0)


def test_the_map_is_of_the_picture_s_size(engine: OnnxEngine) -> None:
    height, width = engine.spec.input_size_hw
    rgb = cv2.resize(picture((height, width)), (2 * width, 2 * height))
    found = explain(rgb, engine, Region(0, 0, 5, 5), patch_px=8, stride_px=8)
    assert found.influence.shape == found.labels.shape == found.depth.shape == rgb.shape[:2]


def test_a_blur_hides_no_flat_place(engine: OnnxEngine) -> None:
    rgb = np.full((*engine.spec.input_size_hw, 3), 90, np.uint8)
    found = explain(rgb, engine, Region(3, 3, 6, 6), fill="blur", patch_px=8, stride_px=8)
    assert not found.influence.any()


def shuffled(source: Path, target: Path, seed: int) -> Path:
    """Copy a model with the values within each of its weight tensors in another order."""
    rng = np.random.default_rng(seed)
    model = onnx.load(str(source))
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim == 4:
            mixed = rng.permutation(values.ravel()).reshape(values.shape)
            tensor.CopyFrom(numpy_helper.from_array(mixed, tensor.name))
    target.write_bytes(model.SerializeToString())
    return target


def test_the_map_changes_when_the_weights_are_randomised(tmp_path: Path) -> None:
    """Adebayo et al. (NeurIPS 2018): a map that survives it explains the picture alone."""
    rng = np.random.default_rng(5)
    rgb = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (160, 128))
    rgb[70:] = (120, 100, 80)

    def influence(path: Path) -> np.ndarray:
        engine = OnnxEngine(path, ONE_THREAD)
        found = explain(rgb, engine, Region(70, 50, 20, 20), patch_px=32, stride_px=32)
        return found.influence[16::32, 16::32].ravel()

    trained = influence(default_model_path())
    randomised = influence(shuffled(default_model_path(), tmp_path / "shuffled.onnx", 1))
    assert trained.std() > 0
    assert randomised.std() > 0
    assert abs(rank_correlation(trained, randomised)) < 0.6


@pytest.mark.parametrize(
    ("region", "options", "expected"),
    [
        (Region(60, 0, 10, 10), {}, "expected it within the picture of 64x48"),
        (Region(-1, 0, 4, 4), {}, "expected it within"),
        (Region(0, 0, 0, 4), {}, "expected it within"),
        (Region(0, 0, 4, 4), {"quantity": "colour"}, "expected one of depth, label"),
        (Region(0, 0, 4, 4), {"fill": "noise"}, "expected one of mean, blur"),
        (Region(0, 0, 4, 4), {"patch_px": 4, "stride_px": 5}, "in steps of 1 up to"),
        (Region(0, 0, 4, 4), {"patch_px": 1000}, "the network's input"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    engine: OnnxEngine, region: Region, options: dict, expected: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        explain(picture((48, 64)), engine, region, **options)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["explain", *(str(argument) for argument in arguments)])
    return result.exit_code, " ".join(result.output.split())


def test_command_writes_page_and_figures(sequence: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, text = run(sequence, "--at", "40,20", "--frame", 2, "--model", model, "--out", out)
    assert code == 0, text
    report = json.loads((out / "explain.json").read_text())
    page = (out / "explain.html").read_text()
    assert explanation_headline(report) in page
    assert sum(row["influence"] for row in report["labels"]) == pytest.approx(1.0)
    assert report["region"] == {"x": 39, "y": 19, "width": 2, "height": 2}
    for row in report["labels"]:
        assert f"{100 * row['influence']:.1f} %" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 5
    assert all(source.startswith("data:image/") for source in sources)


def test_a_picture_alone_will_do(sequence: Path, model: Path, tmp_path: Path) -> None:
    source = sequence / "color" / "000001.png"
    code, text = run(source, "--at", "0,0,8,8", "--of", "label", "--model", model,
                     "--out", tmp_path)  # fmt: skip
    assert code == 0, text
    assert json.loads((tmp_path / "explain.json").read_text())["quantity"] == "label"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--at", "here"], "got 'here', expected X,Y"),
        (["--at", "64,0"], "expected a place within 64x48"),
        (["--at", "0,0,99,9"], "expected it within the picture"),
        (["--at", "0,0", "--frame", "99"], "got fewer than 100 readable images"),
        (["--at", "0,0", "--of", "x"], "expected one of depth, label"),
        (["--at", "0,0", "--stride", "0"], "in steps of 1 up to"),
    ],
)
def test_mistakes_cost_one_line(
    sequence: Path, model: Path, tmp_path: Path, options: list[str], expected: str
) -> None:
    code, text = run(sequence, "--model", model, "--out", tmp_path / "o", *options)
    assert code == 2
    assert expected in text
    assert "Traceback" not in text
