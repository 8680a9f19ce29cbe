"""Claims about the model that ships: what models.yaml says is what the file is."""

from __future__ import annotations

import csv
import hashlib
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.frame import Frame
from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.metrics import evaluate_depth
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.pipeline import PerceptionPipeline

MODELS = Path(__file__).resolve().parents[2] / "models"
SEQUENCES = (
    "cmu_lab_d435_robot",
    "office_desk_d435",
    "tum_freiburg1_rpy",
    "tum_freiburg1_xyz",
)
EVERY = 4
MAX_MEAN_ABS_REL = 0.235
IDLE_S = 0.02


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    return OnnxEngine(default_model_path(), EngineConfig(threads=2))


def _entry() -> dict:
    (entry,) = yaml.safe_load((MODELS / "models.yaml").read_text())["models"]
    return entry


def test_no_thread_spins_on_when_a_run_is_over(engine):
    engine.run(np.zeros((1, *engine.spec.input_size_hw, 3), np.uint8))
    burnt_s = time.process_time()
    time.sleep(IDLE_S)
    assert time.process_time() - burnt_s < IDLE_S / 2


def test_the_file_is_the_one_the_list_describes(engine):
    path = MODELS / _entry()["file"]
    assert default_model_path() == path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == _entry()["sha256"] == engine.sha256


def test_the_file_stays_small():
    assert (MODELS / _entry()["file"]).stat().st_size <= 20_000_000


def test_the_file_tells_nothing_of_the_machine_that_made_it():
    content = (MODELS / _entry()["file"]).read_bytes()
    assert b".py" not in content
    assert b"File " not in content


def test_the_contract_says_what_trained_it(engine):
    assert engine.spec.name == _entry()["name"]
    assert engine.spec.licence == _entry()["licence"]
    assert engine.spec.labels == NYU13
    assert "no recordings" in engine.spec.training["data"]
    assert engine.spec.sigma_calibration.data != ""


def test_the_same_picture_gives_the_same_bytes_in_another_engine(engine):
    height, width = engine.spec.input_size_hw
    picture = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    first = engine.run(picture)
    second = OnnxEngine(default_model_path(), EngineConfig(threads=2)).run(picture)
    assert first.depth.tobytes() == second.depth.tobytes()
    assert first.label.tobytes() == second.label.tobytes()


def _scores(engine: OnnxEngine, folder: Path) -> tuple[float, float]:
    """AbsRel of the model and of a constant depth, per-frame median, on every EVERYth truth."""
    pipeline = PerceptionPipeline(engine)
    with (folder / "frames.csv").open() as file:
        names = [row["frame"] for row in csv.DictReader(file) if row["has_depth"] == "1"]
    pairs = []
    for index, name in enumerate(names[::EVERY]):
        bgr = cv2.imread(str(folder / "color" / f"{int(name):06d}.jpg"))
        truth = cv2.imread(str(folder / "depth" / f"{int(name):06d}.png"), cv2.IMREAD_UNCHANGED)
        truth_m = truth.astype(np.float32) / 1000
        perception = pipeline.process(Frame(bgr[..., ::-1].copy(), index, "camera"))
        model = evaluate_depth(truth_m, perception.network_depth)
        floor = evaluate_depth(truth_m, np.ones_like(truth_m))
        assert model is not None
        assert floor is not None
        pairs.append((model.abs_rel, floor.abs_rel))
    means = np.mean(pairs, axis=0)
    return float(means[0]), float(means[1])


def test_it_beats_a_constant_depth_on_every_real_sequence(engine, shared_dir):
    scores = {name: _scores(engine, shared_dir / "sequences" / name) for name in SEQUENCES}
    assert all(model < floor for model, floor in scores.values()), scores
    assert np.mean([model for model, _ in scores.values()]) <= MAX_MEAN_ABS_REL, scores
