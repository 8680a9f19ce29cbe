"""What offline evaluation costs beside the engine: replay, metrics, decoding, memory.

    python benchmarks/evaluation_speed.py RECORDING

Replay: what is waited for beside the engine, as a share of its time: with the pipeline's own stages
and without, since reading and writing go on while the pipeline works.
Metrics: milliseconds a frame, all scores, with truth. Decoding: seconds of a bag read in a second.
Memory: of evaluating the recording over and over, after a thousand and after ten thousand frames.

Measured on tum_freiburg1_xyz (640×480, truth on every second frame) on a machine that a training
kept busy, so that only processor time and ratios count; OMP_NUM_THREADS=1, before and after in
turn. Scoring a frame with truth: 66 to 70 ms of CPU, where the code before its pixels were counted
together took 93 to 106. Replay, --threads 1: reading and writing 8.7 ms of CPU a frame, 6 % of the
engine's time waited for, 28 % with the pipeline's own stages. Memory, --frames 60 --shrink 4:
365 MB after 3,174 frames, 367 MB after 5,538.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from cached_engine import CachedEngine

from gam_depth_ros.core.config import EngineConfig, PipelineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.frame import Frame, Perception
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.model_spec import NetworkOutput
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.evaluation.bag import open_recording, sequence_to_bag
from gam_depth_ros.evaluation.evaluate import evaluate
from gam_depth_ros.evaluation.observation import Observation, observe
from gam_depth_ros.evaluation.replay import replay
from gam_depth_ros.evaluation.report import json_text, render
from gam_depth_ros.evaluation.sequence_folder import is_sequence_folder
from gam_depth_ros.evaluation.tally import Tally

FRAME_NS = 100_000_000


class TimedEngine(OnnxEngine):
    """An engine that adds up its own time."""

    seconds = 0.0

    def run(self, batch: np.ndarray) -> NetworkOutput:
        """Run, and count the time."""
        started = time.perf_counter()
        try:
            return super().run(batch)
        finally:
            self.seconds += time.perf_counter() - started


@dataclass
class TimedPipeline:
    """A pipeline that adds up its own time."""

    pipeline: PerceptionPipeline
    seconds: float = 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self.pipeline, name)

    def process(self, frame: Frame) -> Perception:
        """Process a frame, and count the time."""
        started = time.perf_counter()
        try:
            return self.pipeline.process(frame)
        finally:
            self.seconds += time.perf_counter() - started


@dataclass
class FirstFrames:
    """A recording cut short."""

    recording: object
    frames: int

    def __getattr__(self, name: str) -> object:
        return getattr(self.recording, name)

    def samples(self) -> Iterator[object]:
        """Yield the first samples."""
        return itertools.islice(self.recording.samples(), self.frames)  # type: ignore[attr-defined]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--frames", type=int, default=60, help="for replay and metrics")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--long", type=int, default=10_000, help="frames of the memory test")
    parser.add_argument("--shrink", type=int, default=1, help="memory test: sides by this factor")
    arguments = parser.parse_args()
    engine = TimedEngine(default_model_path(), EngineConfig(threads=arguments.threads))
    pipeline = PerceptionPipeline(engine, PipelineConfig())
    with tempfile.TemporaryDirectory() as folder:
        bag = arguments.recording
        if is_sequence_folder(bag):
            sequence_to_bag(bag, Path(folder) / "bag")
            bag = Path(folder) / "bag"
        time_decoding(bag)
        time_replay(bag, pipeline, engine, arguments.frames, Path(folder) / "out")
        time_metrics(bag, pipeline, arguments.frames)
        watch_memory(bag, pipeline, arguments)


def time_decoding(bag: Path) -> None:
    """Print how much faster than it was recorded a bag is read."""
    started = time.perf_counter()
    stamps = [frame.stamp_ns for frame in open_recording(bag).frames()]
    took = time.perf_counter() - started
    recorded = (max(stamps) - min(stamps)) / 1e9
    print(
        f"decode: {len(stamps)} frames of {recorded:.1f} s in {took:.2f} s, "
        f"{recorded / took:.1f} x real time (asked: 5 x)"
    )


def time_replay(
    bag: Path, pipeline: PerceptionPipeline, engine: TimedEngine, frames: int, out: Path
) -> None:
    """Print what replay costs beside the engine."""
    pipeline.process(next(iter(open_recording(bag).frames())))  # the first run is slower
    engine.seconds = 0.0
    timed: Any = TimedPipeline(pipeline)
    recording: Any = FirstFrames(open_recording(bag), frames)
    started, cpu_started = time.perf_counter(), time.thread_time()
    result = replay(recording, timed, out, copy_inputs=False)
    took, cpu = time.perf_counter() - started, time.thread_time() - cpu_started
    around = timed.seconds - engine.seconds
    rest = took - timed.seconds
    print(
        f"replay: {result.frames_out} frames, engine {1e3 * engine.seconds / frames:.1f} ms, the "
        f"pipeline's other stages {1e3 * around / frames:.1f}, waiting for the rest "
        f"{1e3 * rest / frames:.1f} ms a frame: {100 * rest / engine.seconds:.0f} % of the engine, "
        f"{100 * (rest + around) / engine.seconds:.0f} % with the stages (asked: below 25 %); "
        f"reading and writing {1e3 * cpu / frames:.1f} ms of CPU a frame"
    )


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
        f"CPU; intervals at the end {intervals_s:.2f} s"
    )


@dataclass
class Repeated:
    """A recording that goes on and on, its stamps with it."""

    recording: object
    length: int
    step: int = 1

    def __getattr__(self, name: str) -> object:
        return getattr(self.recording, name)

    def samples(self) -> Iterator[object]:
        """Yield as many samples, read from the bag anew each time round."""
        return itertools.islice(self._rounds(), self.length)

    def _rounds(self) -> Iterator[object]:
        shift_ns = 0
        while True:
            stamps_ns = []
            for sample in self.recording.samples():  # type: ignore[attr-defined]
                stamps_ns.append(sample.frame.stamp_ns)
                yield _moved(sample, shift_ns, self.step)
            shift_ns += stamps_ns[-1] - stamps_ns[0] + FRAME_NS


def watch_memory(bag: Path, pipeline: PerceptionPipeline, arguments: argparse.Namespace) -> None:
    """Print the process's memory while a long recording is evaluated, and after its page.

    All of ``gam-depth evaluate`` but the network: its answers are remembered.
    """
    process, seen, frames = psutil.Process(), itertools.count(1), arguments.long
    marks = {frames // 10: 0.0, frames: 0.0}

    def mark() -> None:
        count = next(seen)
        if count in marks:
            marks[count] = process.memory_info().rss / 1e6

    quick = PerceptionPipeline(CachedEngine(pipeline.engine), pipeline.config)
    first = FirstFrames(open_recording(bag), arguments.frames)
    recording: Any = Repeated(first, frames, arguments.shrink)
    result = evaluate(recording, quick, on_frame=mark)
    json_text(result.report)
    page = render(result)
    after = process.memory_info().rss / 1e6
    words = ", ".join(f"{megabytes:.0f} MB after {count}" for count, megabytes in marks.items())
    first, last = marks.values()
    print(
        f"memory: {words} frames: {1e3 * (last - first) / (frames * 0.9):.2f} kB a frame; "
        f"{after:.0f} MB with the page of {len(page) / 1e6:.1f} MB "
        "(asked: below 1000 MB and flat)"
    )


def _moved(sample: Any, by_ns: int, step: int) -> Any:
    """Return a sample whose stamps are later, every ``step``-th row and column of it."""
    frame = sample.frame
    parts = {name: _every(step, part) for name, part in (("f", frame), ("r", frame.reference))}
    moved = {
        name: part and replace(part, stamp_ns=part.stamp_ns + by_ns) for name, part in parts.items()
    }
    frame = replace(moved["f"], reference=moved["r"])
    return replace(sample, frame=frame, bag_time_ns=sample.bag_time_ns + by_ns)


def _every(step: int, part: Any) -> Any:
    """Return a frame or a reference of every ``step``-th row and column."""
    if part is None or step == 1:
        return part
    name = "rgb" if hasattr(part, "rgb") else "depth_m"
    image = np.ascontiguousarray(getattr(part, name)[::step, ::step])
    known = part.intrinsics and part.intrinsics.resized(image.shape[1], image.shape[0])
    return replace(part, intrinsics=known, **{name: image})


if __name__ == "__main__":
    main()
