"""What each stage of the pipeline costs on 640x480 pictures, and whether memory stays flat.

    python benchmarks/pipeline_stages.py [--frames N] [--memory N] [--grid 288x384]

Times are of a made-up scene that moves: a textured wall with boards before it, and a sensor depth
with every picture. Every combination of settings sees a picture before the next one comes, so that
whatever else the machine does weighs on all alike. Wall time is what a robot waits for. Own time is
the processor's, of all threads of this process: with nothing else running, wall time is no more.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil
from cached_engine import CachedEngine
from finer_engine import FinerEngine

from gam_depth_ros.core.config import EngineConfig, FusionConfig, PipelineConfig, TemporalConfig
from gam_depth_ros.core.engine import Engine, OnnxEngine
from gam_depth_ros.core.frame import SOURCE_FUSED, Frame, Perception, ReferenceDepth
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.pipeline import STAGES, PerceptionPipeline

SIZE_HW = (480, 640)
SMALL_HW = (240, 320)
PICTURES = 24
FRAME_NS = 33_333_333
PAN_PX = 3
WALL_M, BOARDS_M = 3.0, (1.2, 1.7, 2.2)
AIM_MS = {"off": 8.0, "still": 8.0, "flow": 15.0}
WARM_UP = 10
SETTLE = 300
LOST_EVERY = 50


def scene(count: int, size_hw: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures and sensor depths of a camera that pans to and fro; one cycle, seamless.

    Args:
        count: Pictures of a cycle.
        size_hw: Their size.

    Returns:
        RGB H×W×3 uint8, and metres H×W float32 with holes and 0.5 % noise, by picture.
    """
    generator = np.random.default_rng(3)
    height, width = size_hw
    wide = width + PAN_PX * count
    coarse = generator.integers(40, 216, (height // 12, wide // 12, 3), np.uint8)
    rgb = cv2.resize(coarse, (wide, height), interpolation=cv2.INTER_CUBIC)
    depth_m = np.full((height, wide), WALL_M, np.float32)
    for number, metres in enumerate(BOARDS_M):
        left, top = (number * wide) // 3 + wide // 20, height // 4 + number * height // 10
        board = np.s_[top : top + height // 2, left : left + wide // 5]
        fine = generator.integers(0, 256, (height // 8, wide // 20, 3), np.uint8)
        rgb[board] = cv2.resize(fine, (wide // 5, height // 2), interpolation=cv2.INTER_CUBIC)
        depth_m[board] = metres
        depth_m[top : top + height // 2, left - wide // 60 : left] = np.nan  # the sensor's shadow
    shots = []
    for index in range(count):
        left = PAN_PX * min(index, count - index)
        part = np.s_[:, left : left + width]
        noise = 1 + 0.005 * generator.standard_normal(size_hw).astype(np.float32)
        shots.append((np.ascontiguousarray(rgb[part]), depth_m[part] * noise))
    return shots


def frames(shots: list[tuple[np.ndarray, np.ndarray]], count: int) -> Iterator[Frame]:
    """Go through a scene again and again; every frame has arrays of its own, as from a camera."""
    for index in range(count):
        rgb, depth_m = shots[index % len(shots)]
        stamp_ns = (index + 1) * FRAME_NS
        reference = ReferenceDepth(depth_m.copy(), stamp_ns, "camera")
        yield Frame(rgb.copy(), stamp_ns, "camera", None, reference)


class TwoClocks:
    """The pipeline's timer: tells wall time and notes the processor's time beside it."""

    def __init__(self) -> None:
        self._cpu_ns: list[int] = []

    def __call__(self) -> int:
        """Return nanoseconds of wall time."""
        self._cpu_ns.append(time.process_time_ns())
        return time.perf_counter_ns()

    def cpu_ms(self) -> np.ndarray:
        """Milliseconds of each stage of the frame just processed; forgets them."""
        spent_ms = np.diff(self._cpu_ns) / 1e6
        self._cpu_ns.clear()
        return spent_ms


@dataclass
class Run:
    """One combination of settings and what was measured of it; milliseconds, frames×stages."""

    temporal: str
    fusion: str
    pipeline: PerceptionPipeline
    clocks: TwoClocks
    wall_ms: list[list[float]]
    cpu_ms: list[np.ndarray]
    last: Perception | None = None

    def take(self, frame: Frame) -> None:
        """Process and measure a frame."""
        self.last = self.pipeline.process(frame)
        self.wall_ms.append([self.last.stage_ms[stage] for stage in STAGES])
        self.cpu_ms.append(self.clocks.cpu_ms())


def make_run(engine: Engine, temporal: str, fusion: str) -> Run:
    """Build a pipeline with its clocks."""
    clocks = TwoClocks()
    config = PipelineConfig(
        temporal=TemporalConfig(mode=temporal), fusion=FusionConfig(mode=fusion)
    )
    return Run(temporal, fusion, PerceptionPipeline(engine, config, clocks), clocks, [], [])


def table(times_ms: np.ndarray) -> tuple[list[tuple[float, float]], float]:
    """Summarise stages.

    Args:
        times_ms: Frames×stages.

    Returns:
        p50 and p99 of each stage and, last, of the frame's sum of all but the engine; and the
        ratio of that sum's p50 to the engine's.
    """
    engine = times_ms[:, STAGES.index("engine")]
    rest = times_ms.sum(axis=1) - engine
    columns = [*times_ms.T, rest]
    cells = [(float(np.percentile(c, 50)), float(np.percentile(c, 99))) for c in columns]
    return cells, float(np.median(rest) / np.median(engine))


def print_stages(runs: list[Run]) -> None:
    """Two lines for each combination: wall time and the processor's own."""
    heads = [*STAGES, "all but engine"]
    head = "".join(f"{name:>16}" for name in heads)
    print(f"{'filter, fusion':16}{'':5}{head}  to engine")
    for run in runs:
        for clock, values in (("wall", run.wall_ms), ("own", run.cpu_ms)):
            cells, ratio = table(np.array(values[WARM_UP:]))
            name = f"{run.temporal}, {run.fusion}" if clock == "wall" else ""
            row = "".join(f"{middle:9.2f} /{high:5.1f}" for middle, high in cells)
            print(f"{name:16}{clock:5}{row}{ratio:11.2f}")
    for run in runs:
        wall, own = (table(np.array(v[WARM_UP:]))[0][-1][0] for v in (run.wall_ms, run.cpu_ms))
        aim = AIM_MS[run.temporal]
        print(
            f"{run.temporal}, {run.fusion}: all but the engine p50 {wall:.1f} ms wall, "
            f"{own:.1f} ms own (aim: under {aim:g} ms); {_what_ran(run)}"
        )


def _what_ran(run: Run) -> str:
    """Say that the stages did their work, or what they left out."""
    assert run.last is not None
    fused = float(np.mean(run.last.source == SOURCE_FUSED))
    notes = "; ".join((*run.last.quality.conditions, *run.last.notes)) or "no remarks"
    return f"scale {run.last.scale.state}, {fused:.0%} of the pixels fused, {notes}"


def resident_mb() -> float:
    """Memory of this process, megabytes."""
    gc.collect()
    return float(psutil.Process().memory_info().rss / 1e6)


def print_memory(engine: Engine, count: int) -> None:
    """Run all stages over many frames, with the network's answers kept from its first look."""
    run = make_run(CachedEngine(engine), "flow", "fuse")
    shots = scene(PICTURES, SMALL_HW)
    marks, started_s = {}, time.perf_counter()
    marked = {SETTLE: "start", SETTLE + count // 2: "middle", SETTLE + count: "end"}
    for index, frame in enumerate(frames(shots, SETTLE + count + 1)):
        if index in marked:
            marks[marked[index]] = resident_mb()
        # Some frames without a reference, so that holding and handing over take part too.
        whole = index % LOST_EVERY < LOST_EVERY - LOST_EVERY // 10
        run.pipeline.process(frame if whole else _without_reference(frame))
        run.clocks.cpu_ms()
    growth = marks["end"] - marks["start"]
    print(
        f"memory, {count} frames of {SMALL_HW[1]}x{SMALL_HW[0]}, filter flow, fusion fuse, network "
        "answers replayed: resident "
        + ", ".join(f"{value:.1f} MB at the {name}" for name, value in marks.items())
        + f": {growth:+.1f} MB (aim: flat, a few MB); {time.perf_counter() - started_s:.0f} s"
    )


def _without_reference(frame: Frame) -> Frame:
    return Frame(frame.rgb, frame.stamp_ns, frame.frame_id)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=None, help="ONNX file; default: shipped")
    parser.add_argument("--frames", type=int, default=120, help="frames to time; 0: none")
    parser.add_argument("--memory", type=int, default=10_000, help="frames for memory; 0: none")
    parser.add_argument("--threads", type=int, default=2, help="threads of engine and OpenCV")
    parser.add_argument("--grid", help="HEIGHTxWIDTH of the network's answers; default: its own")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    engine: Engine = OnnxEngine(
        options.model or default_model_path(), EngineConfig(threads=options.threads)
    )
    if options.grid:
        height, width = (int(side) for side in options.grid.split("x"))
        engine = FinerEngine(engine, (height, width))
    print(
        f"{SIZE_HW[1]}x{SIZE_HW[0]}, network {'x'.join(map(str, engine.spec.input_size_hw))}, "
        f"{options.threads} threads on {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}: what else the machine does raises these figures, p99 most"
    )
    if options.frames:
        modes = itertools.product(AIM_MS, ("network", "fuse"))
        runs = [make_run(engine, temporal, fusion) for temporal, fusion in modes]
        for frame in frames(scene(PICTURES, SIZE_HW), WARM_UP + options.frames):
            for run in runs:
                run.take(frame)
        print(f"milliseconds, p50 / p99 of {options.frames} frames, a reference with each")
        print_stages(runs)
        print(f"load {os.getloadavg()[0]:.1f} at the end")
    if options.memory:
        print_memory(engine, options.memory)


if __name__ == "__main__":
    main()
