"""What offline evaluation costs beside the engine: decoding, replay, metrics, memory.

    python benchmarks/evaluation_speed.py RECORDING

Decoding: seconds of a bag read in a second.
Replay: what is waited for beside the engine, as a share of its time: with the pipeline's own stages
and without, since reading and writing go on while the pipeline works. Once for the shipped model,
and once for a network of its shape with random weights at the paper's size, 288x384, which needs
PyTorch to be made and is left out without.
Metrics: milliseconds a frame, all scores, with truth.
Memory: of replaying the recording over and over, and of evaluating it; a line after every thousand
frames, so that it may be stopped at any time. All but the network runs: its answers are remembered.

A few minutes on two quiet cores. For ten thousand frames in as many, at a quarter of the pixels:

    python benchmarks/evaluation_speed.py RECORDING --only memory --long 10000 --shrink 2
"""

from __future__ import annotations

import argparse
import itertools
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from bench_recordings import FirstFrames, Repeated, TimedEngine, TimedPipeline
from cached_engine import CachedEngine

from gam_depth_ros.core.config import EngineConfig, PipelineConfig
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.evaluation.bag import open_recording, sequence_to_bag
from gam_depth_ros.evaluation.evaluate import evaluate
from gam_depth_ros.evaluation.observation import Observation, observe
from gam_depth_ros.evaluation.replay import replay
from gam_depth_ros.evaluation.report import json_text, render
from gam_depth_ros.evaluation.sequence_folder import is_sequence_folder
from gam_depth_ros.evaluation.tally import Tally

MARK = 1000
"""Frames from one reading of the memory to the next."""
PAPER_SIZE = "288x384"
PARTS = ("decode", "replay", "metrics", "memory", "memory-of-evaluation")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recording", type=Path)
    parser.add_argument("--only", action="append", choices=PARTS, help="may be repeated")
    parser.add_argument("--frames", type=int, default=120, help="for replay and metrics")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--long", type=int, default=2000, help="frames of the memory test")
    parser.add_argument("--shrink", type=int, default=1, help="memory test: sides by this factor")
    arguments = parser.parse_args()
    parts = arguments.only or PARTS[:-1]  # the last is the second half of the one before
    config = EngineConfig(threads=arguments.threads)
    engine = TimedEngine(default_model_path(), config)
    pipeline = PerceptionPipeline(engine, PipelineConfig())
    with tempfile.TemporaryDirectory() as folder:
        bag = arguments.recording
        if is_sequence_folder(bag):
            sequence_to_bag(bag, Path(folder) / "bag")
            bag = Path(folder) / "bag"
        if "decode" in parts:
            time_decoding(bag)
        if "replay" in parts:
            time_replay(bag, engine, arguments.frames, Path(folder) / "out")
            large = model_of_paper_size(Path(folder))
            if large is not None:
                time_replay(
                    bag, TimedEngine(large, config), arguments.frames, Path(folder) / "large"
                )
        if "metrics" in parts:
            time_metrics(bag, pipeline, arguments.frames)
        if "memory" in parts:
            watch_replay(bag, pipeline, arguments, Path(folder) / "long")
        if {"memory", "memory-of-evaluation"} & set(parts):
            watch_evaluation(bag, pipeline, arguments)


def model_of_paper_size(folder: Path) -> Path | None:
    """Return a model of the shipped shape at 288x384, its weights random; None without PyTorch.

    Made by a process of its own: PyTorch alone would hold more than all that is measured here.
    """
    path = folder / "paper_size.onnx"
    maker = Path(__file__).with_name("random_model.py")
    made = subprocess.run(
        [sys.executable, str(maker), str(path), "--size", PAPER_SIZE],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if made.returncode == 0:
        return path
    why = made.stderr.strip().splitlines()[-1:] or ["no reason given"]
    print(f"replay at {PAPER_SIZE} left out: {why[0]}", flush=True)
    return None


def time_decoding(bag: Path) -> None:
    """Print how much faster than it was recorded a bag is read."""
    started, cpu_started = time.perf_counter(), time.process_time()
    stamps = [frame.stamp_ns for frame in open_recording(bag).frames()]
    took, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    recorded = (max(stamps) - min(stamps)) / 1e9
    print(
        f"decode: {len(stamps)} frames of {recorded:.1f} s in {took:.2f} s, "
        f"{recorded / took:.1f} x real time (asked: 5 x), {cpu:.2f} s of CPU",
        flush=True,
    )


def time_replay(bag: Path, engine: TimedEngine, frames: int, out: Path) -> None:
    """Print what replay costs beside the engine."""
    pipeline = PerceptionPipeline(engine, PipelineConfig())
    pipeline.process(next(iter(open_recording(bag).frames())))  # the first run is slower
    engine.seconds = 0.0
    timed: Any = TimedPipeline(pipeline)
    recording: Any = FirstFrames(open_recording(bag), frames)
    started, cpu_started = time.perf_counter(), time.thread_time()
    result = replay(recording, timed, out, copy_inputs=False)
    took, cpu = time.perf_counter() - started, time.thread_time() - cpu_started
    done = max(1, result.frames_out)
    around = timed.seconds - engine.seconds
    rest = took - timed.seconds
    height, width = engine.spec.input_size_hw
    print(
        f"replay at {height}x{width}, {engine.precision}: {result.frames_out} frames, engine "
        f"{1e3 * engine.seconds / done:.1f} ms, the pipeline's other stages "
        f"{1e3 * around / done:.1f}, waiting for the rest {1e3 * rest / done:.1f} ms a frame: "
        f"{100 * rest / engine.seconds:.0f} % of the engine, "
        f"{100 * (rest + around) / engine.seconds:.0f} % with the stages (asked: below 25 %); "
        f"reading and writing {1e3 * cpu / done:.1f} ms of CPU a frame",
        flush=True,
    )
    shutil.rmtree(out)


def time_metrics(bag: Path, pipeline: PerceptionPipeline, frames: int) -> None:
    """Print what scoring costs a frame."""
    tally = Tally(pipeline.engine.spec.labels, pipeline.config)
    events = observe(open_recording(bag), pipeline, time.perf_counter_ns)
    times_ms, cpu_ms = [], []
    for event in itertools.islice(events, frames):
        started, cpu_started = time.perf_counter(), time.process_time()
        tally.take(event)
        if isinstance(event, Observation) and event.sample.frame.reference is not None:
            times_ms.append(1e3 * (time.perf_counter() - started))
            cpu_ms.append(1e3 * (time.process_time() - cpu_started))
    started = time.perf_counter()
    tally.depth.summary()
    tally.uncertainty.summary()
    tally.regions.summary()
    intervals_s = time.perf_counter() - started
    print(
        f"metrics: {np.median(times_ms):.1f} ms a frame with truth, 90 % below "
        f"{np.percentile(times_ms, 90):.1f} (asked: 60), {np.median(cpu_ms):.1f} ms of "
        f"CPU; intervals at the end {intervals_s:.2f} s",
        flush=True,
    )


def endless(bag: Path, arguments: argparse.Namespace) -> Any:
    """Return the recording's first frames over and over."""
    first = FirstFrames(open_recording(bag), arguments.frames)
    return Repeated(first, arguments.long, arguments.shrink)


def watch_replay(
    bag: Path, pipeline: PerceptionPipeline, arguments: argparse.Namespace, out: Path
) -> None:
    """Print the process's memory while a long recording is replayed."""
    quick = PerceptionPipeline(CachedEngine(pipeline.engine), pipeline.config)
    marks = MemoryMarks("replay")
    replay(endless(bag, arguments), quick, out, copy_inputs=False, on_frame=marks.frame)
    marks.close()
    shutil.rmtree(out)


def watch_evaluation(
    bag: Path, pipeline: PerceptionPipeline, arguments: argparse.Namespace
) -> None:
    """Print the process's memory while a long recording is evaluated, and with its page."""
    quick = PerceptionPipeline(CachedEngine(pipeline.engine), pipeline.config)
    marks = MemoryMarks("evaluation")
    result = evaluate(endless(bag, arguments), quick, on_frame=marks.frame)
    marks.close()
    json_text(result.report)
    page = render(result)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(
        f"memory: {marks.now():.0f} MB with the page of {len(page) / 1e6:.1f} MB, never above "
        f"{peak:.0f} MB (asked: below 1000 MB and flat)"
    )


class MemoryMarks:
    """Prints the process's memory as frames go by.

    Args:
        what: What goes on.
    """

    def __init__(self, what: str) -> None:
        self._what, self._frames = what, 0
        self._process = psutil.Process()
        self._marks: list[tuple[int, float]] = []
        self._started = time.perf_counter()

    def now(self) -> float:
        """Return the memory that is held, megabytes."""
        return float(self._process.memory_info().rss) / 1e6

    def frame(self) -> None:
        """Count a frame; print at every thousandth."""
        self._frames += 1
        if self._frames % MARK == 0:
            self._marks.append((self._frames, self.now()))
            took_s = time.perf_counter() - self._started
            print(
                f"memory, {self._what}: {self._marks[-1][1]:.0f} MB after {self._frames} frames, "
                f"{took_s:.0f} s",
                flush=True,
            )

    def close(self) -> None:
        """Print how much it grew from the first mark to the last."""
        if len(self._marks) > 1:
            (first, low), (last, high) = self._marks[0], self._marks[-1]
            grown = 1e3 * (high - low) / (last - first)
            print(
                f"memory, {self._what}: {high - low:+.1f} MB from {first} to {last} frames, "
                f"{grown:.2f} kB a frame",
                flush=True,
            )


if __name__ == "__main__":
    main()
