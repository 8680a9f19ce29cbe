"""Engine (ONNX Runtime) against the same network in eager PyTorch, two threads each."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_training.networks import JointNetwork

THREADS = 2
WARM_UP = 3


def timed_ms(run: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started_ns = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - started_ns) / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=None, help="ONNX file; default: shipped")
    parser.add_argument("--frames", type=int, default=60, help="frames to time")
    options = parser.parse_args()

    torch.set_num_threads(THREADS)
    engine = OnnxEngine(options.model or default_model_path(), EngineConfig(threads=THREADS))
    height, width = engine.spec.input_size_hw
    network = JointNetwork(len(engine.spec.labels)).eval()
    batch = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    planes = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255.0

    def eager() -> object:
        with torch.inference_mode():
            return network(planes)

    for _ in range(WARM_UP):
        engine.run(batch)
        eager()
    # Interleaved, so that whatever else the machine does weighs on both alike.
    pairs = [(timed_ms(lambda: engine.run(batch)), timed_ms(eager)) for _ in range(options.frames)]
    engine_ms, eager_ms = (np.array(column) for column in zip(*pairs, strict=True))
    ratio = eager_ms / engine_ms
    print(f"network input {width}x{height}, {THREADS} threads, {options.frames} frames interleaved")
    print(f"on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':26}{'p10':>8}{'p50':>8}{'p90':>8}")
    for name, values in (
        ("engine, ms per frame", engine_ms),
        ("eager PyTorch, ms per frame", eager_ms),
        ("eager / engine", ratio),
    ):
        low, middle, high = np.percentile(values, [10, 50, 90])
        print(f"{name:26}{low:8.2f}{middle:8.2f}{high:8.2f}")


if __name__ == "__main__":
    main()
