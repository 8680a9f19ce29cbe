"""Claims about the models that ship: what models.yaml says is what each file is."""

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
EVERY = 2
SPREAD = 0.01  # every second frame scores a little otherwise than all of them
IDLE_S = 0.02


ENTRIES = yaml.safe_load((MODELS / "models.yaml").read_text())["models"]
MAX_SHIPPED_BYTES = 30_000_000


@pytest.fixture(scope="module", params=ENTRIES, ids=lambda entry: entry["name"])
def entry(request) -> dict:
    return request.param


@pytest.fixture(scope="module")
def engine(entry) -> OnnxEngine:
    return OnnxEngine(MODELS / entry["file"], EngineConfig(threads=2))


def test_no_thread_spins_on_when_a_run_is_over(engine):
    engine.run(np.zeros((1, *engine.spec.input_size_hw, 3), np.uint8))
    burnt_s = time.process_time()
    time.sleep(IDLE_S)
    assert time.process_time() - burnt_s < IDLE_S / 2


def test_the_first_of_the_list_is_the_default():
    assert default_model_path() == MODELS / ENTRIES[0]["file"]


def test_the_file_is_the_one_the_list_describes(engine, entry):
    content = (MODELS / entry["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"] == engine.sha256
    assert (MODELS / entry["card"]).is_file()


def test_the_files_stay_small_together():
    sizes = [(MODELS / entry["file"]).stat().st_size for entry in ENTRIES]
    assert sum(sizes) <= MAX_SHIPPED_BYTES


def test_the_file_tells_nothing_of_the_machine_that_made_it(entry):
    content = (MODELS / entry["file"]).read_bytes()
    assert b".py" not in content
    assert b"File " not in content


def test_the_contract_says_what_trained_it(engine, entry):
    assert engine.spec.name == entry["name"]
    assert engine.spec.licence == entry["licence"]
    assert engine.spec.labels == NYU13
    assert "no recordings" in engine.spec.training["data"]
    assert engine.spec.sigma_calibration.data != ""


def test_the_same_picture_gives_the_same_bytes_in_another_engine(engine, entry):
    height, width = engine.spec.input_size_hw
    picture = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    first = engine.run(picture)
    second = OnnxEngine(MODELS / entry["file"], EngineConfig(threads=2)).run(picture)
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


def test_it_beats_a_constant_depth_on_every_real_sequence(engine, entry, shared_dir):
    scores = {name: _scores(engine, shared_dir / "sequences" / name) for name in SEQUENCES}
    assert all(model < floor for model, floor in scores.values()), scores
    assert np.mean([model for model, _ in scores.values()]) <= entry["abs_rel_real"] + SPREAD, (
        scores
    )
