"""Claims about ending an inference from outside, and about running it at another input size."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from endless_model import with_endless_loop
from open_model import open_sides
from tiny_model import tiny_depth, write_tiny_model

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import EngineError, OnnxEngine
from gam_depth_ros.core.resized_engine import ResizedEngine

RGB = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
DARK, BRIGHT = (np.full((1, 48, 64, 3), value, np.uint8) for value in (10, 255))


@pytest.fixture
def engine(tmp_path):
    path = with_endless_loop(write_tiny_model(tmp_path / "m.onnx"))
    return OnnxEngine(path, EngineConfig(threads=1))


def test_an_inference_without_an_end_is_ended_with_an_error_and_the_next_one_runs(engine):
    expected = engine.run(DARK).depth
    failures = []

    def run():
        try:
            engine.run(BRIGHT)
        except EngineError as error:
            failures.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()
    engine.interrupt()
    thread.join(10)
    assert not thread.is_alive()
    assert len(failures) == 1
    assert "terminate" in failures[0]
    assert "\n" not in failures[0]
    np.testing.assert_array_equal(engine.run(DARK).depth, expected)


def test_an_interrupt_while_nothing_runs_does_not_hit_the_next_inference(engine):
    engine.interrupt()
    assert engine.run(DARK).depth.shape == (48, 64)


def test_a_model_with_open_sides_runs_at_half_its_input_too(tmp_path):
    engine = OnnxEngine(open_sides(write_tiny_model(tmp_path / "m.onnx")))
    half = ResizedEngine(engine, (24, 32))
    small = RGB[::2, ::2]
    assert half.spec.input_size_hw == (24, 32)
    np.testing.assert_allclose(half.run(small[None]).depth, tiny_depth(small), rtol=1e-6)
    np.testing.assert_allclose(engine.run(RGB[None]).depth, tiny_depth(RGB), rtol=1e-6)
    assert (half.sha256, half.info["input"]) == (engine.sha256, "24x32")
    with pytest.raises(EngineError, match="1, 24, 32, 3"):
        half.run(RGB[None])


def test_a_model_with_a_fixed_input_says_so(tmp_path):
    engine = OnnxEngine(write_tiny_model(tmp_path / "m.onnx", symbolic_size=True))
    with pytest.raises(EngineError, match="the model's input is fixed at 48x64"):
        ResizedEngine(engine, (24, 32))
