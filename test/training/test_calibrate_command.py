"""Claims about calibrating a model file from recordings, and about the command that does it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from recording_maker import HEIGHT, WIDTH, make_sequence
from tiny_model import BRIGHT_ID, DARK_ID, tiny_depth, write_tiny_model
from typer.testing import CliRunner

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.model_spec import METADATA_KEY, ModelSpec, SigmaCalibration
from gam_depth_training import recorded_errors
from gam_depth_training.calibration_report import ALL_ROOMS, METHODS
from gam_depth_training.cli import app
from gam_depth_training.model_metadata import rewrite_spec
from gam_depth_training.recorded_errors import open_recordings, read_errors


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


def test_only_the_metadata_of_a_model_file_changes(model, tmp_path):
    out = tmp_path / "new.onnx"
    calibration = SigmaCalibration(1.5, 3.0, 4.5, "drawn")
    written = rewrite_spec(model, lambda spec: replace(spec, sigma_calibration=calibration), out)
    before, after = onnx.load(str(model)), onnx.load(str(out))
    assert after.graph.SerializeToString() == before.graph.SerializeToString()
    assert ModelSpec.from_json(after.metadata_props[0].value) == written
    assert written.sigma_calibration == calibration
    for file in (before, after):
        del file.metadata_props[:]
    assert after.SerializeToString() == before.SerializeToString()
    assert not out.with_suffix(".partial").exists()


def test_what_else_stands_in_the_metadata_stays(model, tmp_path):
    other = onnx.load(str(model))
    entry = other.metadata_props.add()
    entry.key, entry.value = "note", "mine"
    path = tmp_path / "other.onnx"
    onnx.save_model(other, str(path))
    rewrite_spec(path, lambda spec: spec, path)
    stored = {e.key: e.value for e in onnx.load(str(path)).metadata_props}
    assert stored["note"] == "mine"
    assert set(stored) == {"note", METADATA_KEY}


def noisy_sequence(path: Path, frames: int = 60, noise: float = 0.3) -> Path:
    """A recording of grey squares, every second with a reference off by a known spread."""
    for folder in ("color", "depth"):
        (path / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["frame,t_seconds,has_depth"]
    for index in range(frames):
        # Large and small squares: a picture without structure is taken for a covered lens.
        large = rng.integers(60, 190, (3, 4)).repeat(16, axis=0).repeat(16, axis=1)
        small = rng.integers(-15, 16, (16, 22)).repeat(3, axis=0).repeat(3, axis=1)[:, :WIDTH]
        rgb = np.repeat((large + small).astype(np.uint8)[..., None], 3, axis=2)
        cv2.imwrite(str(path / "color" / f"{index:06d}.png"), rgb)
        if index % 2 == 0:
            # Smooth, since a reference that jumps from pixel to pixel is refused as noise.
            spread = cv2.resize(rng.laplace(0.0, noise / 1.149, (6, 8)), (WIDTH, HEIGHT))
            millimetres = (400 * tiny_depth(rgb) * np.exp(spread)).astype(np.uint16)
            cv2.imwrite(str(path / "depth" / f"{index:06d}.png"), millimetres)
        lines.append(f"{index:06d},{1000 + 0.1 * index:.3f},{int(index % 2 == 0)}")
    (path / "frames.csv").write_text("\n".join(lines) + "\n")
    return path


def test_errors_are_read_with_a_scale_that_did_not_see_the_frame(model, tmp_path, monkeypatch):
    monkeypatch.setattr(recorded_errors, "PIXELS", 500)
    engine = OnnxEngine(model, EngineConfig(threads=1))
    path = noisy_sequence(tmp_path / "freiburg1_a", 12, noise=0.01)
    seen = []
    recordings = open_recordings([path])
    frames = read_errors(engine, recordings, flip=True, on_frame=lambda: seen.append(1))
    # Twelve pictures, depth on six of them; the first of these came before any scale was known.
    assert (len(seen), frames[0].room, frames[0].recording) == (12, "freiburg1", "freiburg1_a")
    assert 1 <= len(frames) <= 5
    for frame in frames:
        assert len(frame.truth_m) == len(frame.sigma) == len(frame.flip) == 500
        assert abs(float(np.median(frame.log_error()))) < 0.1
        assert frame.scale == pytest.approx(0.4, rel=0.1)


def calibrate(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["calibrate", *map(str, arguments), "--no-progress"])
    return result.exit_code, result.output


def test_the_command_writes_a_file_that_covers_and_says_what_fitted_it(model, tmp_path):
    data = noisy_sequence(tmp_path / "office")
    out = tmp_path / "out" / "calibrated.onnx"
    code, text = calibrate("--model", model, "--data", data, "--out", out)
    assert code == 0, text
    spec = OnnxEngine(out, EngineConfig(threads=1)).spec
    assert "1 room: office" in spec.sigma_calibration.data
    assert spec.sigma_calibration.data in " ".join(text.split())
    half = spec.sigma_calibration.half_width(
        np.full(1, 0.1, np.float32), np.full(1, 1.0, np.float32)
    )
    assert half[0] == pytest.approx(0.25, rel=0.4)
    assert spec.confidence_calibration.data == ""


def test_the_command_calibrates_confidence_on_held_out_shards(model, tmp_path):
    rng = np.random.default_rng(0)
    for index in range(3):
        rgb = rng.integers(0, 256, (4, HEIGHT, WIDTH, 1), np.uint8).repeat(3, axis=3)
        label = np.where(rgb[..., 0] > 127, BRIGHT_ID, DARK_ID)
        wrong = rng.random(label.shape) < 0.4
        np.savez(
            tmp_path / f"shard_{index:06d}.npz",
            rgb=rgb,
            depth_m=np.ones(label.shape, np.float32),
            label=np.where(wrong, 0, label).astype(np.uint8),
        )
    data, out = noisy_sequence(tmp_path / "office"), tmp_path / "out.onnx"
    code, text = calibrate("--model", model, "--data", data, "--shards", tmp_path, "--out", out)
    assert code == 0, text
    calibration = OnnxEngine(out, EngineConfig(threads=1)).spec.confidence_calibration
    assert calibration.data == "2 held-out synthetic shards"
    np.testing.assert_allclose(calibration.share.value, 0.6, atol=0.03)
    assert "expected calibration error" in " ".join(text.split())


def test_the_report_names_rooms_methods_and_the_model(model, tmp_path, monkeypatch):
    monkeypatch.setattr(recorded_errors, "PIXELS", 300)
    one, other = (noisy_sequence(tmp_path / name) for name in ("office", "kitchen"))
    report = tmp_path / "report.json"
    code, text = calibrate(
        "--model", model, "--data", one, "--data", other, "--leave-one-room-out", "--json", report
    )
    assert code == 0, text
    found = json.loads(report.read_text())
    assert set(found["scores"]) == set(METHODS)
    assert set(found["scores"]["calibrated"]) == {"office", "kitchen", ALL_ROOMS}
    assert found["sha256"] == OnnxEngine(model, EngineConfig(threads=1)).sha256
    assert len(found["scores"]["flip"]["office"]["coverage"]) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "{office}"), "got neither --out nor --leave-one-room-out"),
        (("--data", "{blind}", "--out", "{out}"), "got no frame with both reference depth"),
        (("--data", "{missing}", "--out", "{out}"), "missing"),
        (("--data", "{office}", "--leave-one-room-out"), "expected two or more"),
        (("--data", "{office}", "--out", "{out}", "--shards", "{blind}"), "got no .npz shard"),
    ],
)
def test_bad_input_is_one_clear_line(model, tmp_path, arguments, words):
    places = {
        "office": noisy_sequence(tmp_path / "office"),
        "blind": make_sequence(tmp_path / "blind", 4, depth_every=0),
        "missing": tmp_path / "missing",
        "out": tmp_path / "out.onnx",
    }
    code, text = calibrate("--model", model, *(part.format(**places) for part in arguments))
    assert code == 1
    assert text.count("error:") == 1
    assert words in " ".join(text.split())
    assert not places["out"].exists()


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "x.onnx"
    path.write_bytes(b"no model")
    code, text = calibrate("--model", path, "--data", tmp_path, "--out", tmp_path / "y.onnx")
    assert code == 1
    assert "error:" in text
