"""The published protocols: crop, interpolation, ratio of medians, clip; and the sets' own files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tiny_model import tiny_depth, write_tiny_model
from typer.testing import CliRunner

from gam_depth_ros.cli import app
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.metrics import evaluate_depth
from gam_depth_ros.evaluation.bag import BagError
from gam_depth_ros.evaluation.bootstrap import interval_of_mean
from gam_depth_ros.evaluation.evaluate import evaluate_test_set
from gam_depth_ros.evaluation.protocols import PROTOCOLS, lanczos, nearest, predict_by_protocol
from gam_depth_ros.evaluation.public_sets import open_test_set


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gam_depth_ros.evaluation.report.render", lambda result: "<html></html>")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    return OnnxEngine(write_tiny_model(tmp_path_factory.mktemp("m") / "tiny.onnx"))


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def scannet(root: Path) -> Path:
    for folder in ("color", "depth"):
        (root / "scene0707_00" / folder).mkdir(parents=True)
    for number in (0, 20):
        scene = root / "scene0707_00"
        cv2.imwrite(str(scene / "color" / f"{number}.jpg"), picture(96, 128, number))
        depth = np.full((48, 64), 2000, np.uint16)
        depth[:, 40:] = 12_000  # beyond 10 m, and counted
        depth[:8] = 0
        cv2.imwrite(str(scene / "depth" / f"{number}.png"), depth)
    split = root / "split.txt"
    split.write_text("# test\nscene0707_00/color/0.jpg scene0707_00/depth/0.png\n"
                     "/scene0707_00/color/20.jpg\n")  # fmt: skip
    return split


def test_lanczos_is_that_of_pillow() -> None:
    rgb = picture(61, 83)
    ours = lanczos(rgb, (48, 64)).astype(int)
    pillow = np.asarray(Image.fromarray(rgb).resize((64, 48), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(ours - pillow).max() <= 1
    np.testing.assert_array_equal(lanczos(rgb, (61, 83)), rgb)


def test_nearest_takes_the_floor_as_pytorch_does() -> None:
    values = np.arange(4.0)[None]
    assert nearest(values, (1, 6))[0].tolist() == [0, 0, 1, 2, 2, 3]


def test_the_crop_of_nyu_is_the_published_one() -> None:
    marked = np.zeros((480, 640), np.uint8)
    marked[44:471, 40:601] = 1
    cropped = PROTOCOLS["nyuv2"].cropped(marked)
    assert cropped.shape == (427, 561)
    assert cropped.all()
    assert cropped.sum() == marked.sum()


def test_scores_are_those_by_hand(tmp_path: Path, engine: OnnxEngine) -> None:
    split = scannet(tmp_path)
    test_set = open_test_set(tmp_path, split, "ScanNet test set")
    result = evaluate_test_set(test_set, PROTOCOLS["scannet"], engine)
    expected = []
    for number in (0, 20):
        bgr = cv2.imread(str(tmp_path / "scene0707_00" / "color" / f"{number}.jpg"))
        depth = tiny_depth(lanczos(np.ascontiguousarray(bgr[..., ::-1]), (48, 64)))
        truth = np.full((48, 64), 2.0, np.float32)
        truth[:, 40:] = 12.0
        truth[:8] = np.nan
        expected.append(evaluate_depth(truth, depth, align="median").abs_rel)
    scores = result.report["depth"]["per_frame_median"]
    assert scores["abs_rel"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert scores["frames"] == 2
    assert result.report["mode"] == "protocol"
    assert "533 pictures" in result.report["depth"]["protocol"]
    assert result.report["temporal"] is None
    assert result.report["depth"]["online_scale"]["abs_rel"] is None


def test_pictures_are_resampled_one_by_one(tmp_path: Path, engine: OnnxEngine) -> None:
    scannet(tmp_path)
    scene = tmp_path / "scene0707_00"
    for number in range(1, 7):  # ever further from flat: video would be taken in long blocks
        color, depth = (scene / kind for kind in ("color", "depth"))
        cv2.imwrite(str(color / f"{number}.jpg"), picture(96, 128))
        rows = np.full((48, 64), 2000, np.uint16)
        rows[:, 32:] += 500 * number
        cv2.imwrite(str(depth / f"{number}.png"), rows)
    split = tmp_path / "one_scene.txt"
    split.write_text("scene0707_00\n")
    test = open_test_set(tmp_path, split, "ScanNet")
    report = evaluate_test_set(test, PROTOCOLS["scannet"], engine).report
    errors = np.array([row["abs_rel"] for row in report["series"]])
    assert errors.size == 8
    one_by_one = interval_of_mean([errors], block_frames=1)
    found = report["depth"]["per_frame_median"]["intervals"]["abs_rel"]
    assert found == [one_by_one.low, one_by_one.high]
    assert interval_of_mean([errors]).block_frames > 1
    # In pairs they would be four blocks, too few for an interval of what is pooled.
    assert report["depth"]["raw"]["intervals"].keys() >= {"abs_rel", "d1"}
    assert "each drawn by itself" in report["intervals"]["method"]


def test_flipping_leaves_a_picture_that_is_its_own_mirror(engine: OnnxEngine) -> None:
    half = picture(48, 32)
    rgb = np.ascontiguousarray(np.hstack([half, half[:, ::-1]]))
    plain = predict_by_protocol(rgb, engine, flip=False)[1]
    flipped = predict_by_protocol(rgb, engine, flip=True)[1]
    np.testing.assert_allclose(flipped, plain, rtol=1e-5)


def test_interiornet_depth_lies_beside_its_pictures(tmp_path: Path, engine: OnnxEngine) -> None:
    for folder, image in (
        ("cam0", picture(48, 64)),
        ("depth0", np.full((48, 64), 1500, np.uint16)),
    ):
        (tmp_path / "room" / folder / "data").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "room" / folder / "data" / "7.png"), image)
    (tmp_path / "list.txt").write_text("room/cam0/data/7.png\n")
    test_set = open_test_set(tmp_path, tmp_path / "list.txt", "InteriorNet test set")
    (frame,) = test_set.frames()
    assert frame.depth_m.dtype == np.float32
    assert (frame.depth_m == 1.5).all()


def test_the_command_reads_nyus_own_files(tmp_path: Path, engine: OnnxEngine) -> None:
    h5py = pytest.importorskip("h5py", reason="an optional extra")
    with h5py.File(tmp_path / "nyu.mat", "w") as file:
        pictures = np.stack([picture(480, 640, seed).transpose(2, 1, 0) for seed in range(3)])
        file["images"] = pictures
        file["depths"] = np.full((3, 640, 480), 2.5, np.float32)
    (tmp_path / "split.txt").write_text("1\n3\n")
    model = write_tiny_model(tmp_path / "tiny.onnx")
    result = CliRunner().invoke(
        app,
        ["evaluate", str(tmp_path / "nyu.mat"), "--protocol", "nyuv2", "--split",
         str(tmp_path / "split.txt"), "--model", str(model), "--out", str(tmp_path / "out")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["frames"]["evaluated"] == 2
    assert report["recording"]["kind"] == "NYU Depth v2 test set"


def packed(root: Path) -> Path:
    """The same pictures as P²Net packs them: no folders, underscores for slashes."""
    scannet(root / "exported")
    flat = root / "packed"
    flat.mkdir()
    for file in (root / "exported").glob("*/*/*"):
        (flat / "_".join(file.relative_to(root / "exported").parts)).write_bytes(file.read_bytes())
    return flat


@pytest.mark.parametrize(
    "lines",
    [
        ["scene0707_00/color/0.jpg", "scene0707_00/color/20.jpg"],
        ["scene0707_00_color_0.jpg", "scene0707_00_color_20.jpg"],
        ["scene0707_00"],
    ],
)
def test_a_packed_scannet_gives_the_pictures_of_the_exported_one(
    tmp_path: Path, lines: list[str]
) -> None:
    flat, split = packed(tmp_path), tmp_path / "list.txt"
    split.write_text("\n".join(lines))
    test_set = open_test_set(flat, split, "ScanNet test set")
    exported = tmp_path / "exported"
    expected = open_test_set(exported, exported / "split.txt", "ScanNet test set")
    assert test_set.frame_count == expected.frame_count == 2
    for found, wanted in zip(test_set.frames(), expected.frames(), strict=True):
        np.testing.assert_array_equal(found.rgb, wanted.rgb)
        np.testing.assert_array_equal(found.depth_m, wanted.depth_m)


def test_a_scene_stands_for_its_pictures_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    scannet(tmp_path)
    color = tmp_path / "scene0707_00" / "color"
    (color / "20.jpg").rename(color / "100.jpg")
    (color / "9.jpg").write_bytes((color / "0.jpg").read_bytes())
    (tmp_path / "list.txt").write_text("scene0707_00\n")
    found = open_test_set(tmp_path, tmp_path / "list.txt", "x").entries
    assert found == [f"scene0707_00/color/{number}.jpg" for number in (0, 9, 100)]


def test_a_scene_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("scene0800_00\n")
    with pytest.raises(BagError, match=r"scene0800_00: got no color/\*\.jpg"):
        open_test_set(tmp_path, tmp_path / "list.txt", "x")


def test_the_command_scores_a_packed_scannet_by_its_protocol(tmp_path: Path) -> None:
    flat, split = packed(tmp_path), tmp_path / "list.txt"
    split.write_text("scene0707_00/color/0.jpg\nscene0707_00/color/20.jpg\n")
    model = write_tiny_model(tmp_path / "tiny.onnx")
    result = CliRunner().invoke(
        app,
        ["evaluate", str(flat), "--protocol", "scannet", "--split", str(split),
         "--model", str(model), "--out", str(tmp_path / "out")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["frames"]["evaluated"] == 2
    assert report["depth"]["protocol"].startswith("ScanNet (533 pictures")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("scene0707_00/color/1.jpg", "no readable picture"),
        ("scene0707_00/pose/0.jpg", "neither color/ nor cam0/"),
        ("# nothing", "no entry"),
    ],
)
def test_what_the_split_names_and_is_not_there_costs_one_line(
    tmp_path: Path, entry: str, expected: str
) -> None:
    scannet(tmp_path)
    (tmp_path / "split.txt").write_text(entry + "\n")
    with pytest.raises(BagError, match=expected):
        list(open_test_set(tmp_path, tmp_path / "split.txt", "x").frames())


def test_a_protocol_without_a_split_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["evaluate", str(tmp_path), "--protocol", "scannet", "--out", str(tmp_path / "o")]
    )
    assert result.exit_code == 2
    assert "no --split" in " ".join(result.output.split())
