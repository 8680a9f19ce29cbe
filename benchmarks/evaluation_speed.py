"""What offline evaluation costs beside the engine: replay, metrics, decoding, memory.

    python benchmarks/evaluation_speed.py RECORDING

Replay: everything beside the engine as a share of the engine's time, with the depth asked for.
Metrics: milliseconds a frame, all scores, with truth. Decoding: seconds of a bag read in a second.
Memory: of the scoring over a thousand and ten thousand small frames, whose size does not change
what is kept of a frame.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import psutil

from gam_depth_ros.core.config import EngineConfig, PipelineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.model_spec import NetworkOutput
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.evaluation.bag import open_recording, sequence_to_bag
from gam_depth_ros.evaluation.observation import Observation, observe
from gam_depth_ros.evaluation.replay import replay
from gam_depth_ros.evaluation.sequence_folder import is_sequence_folder
from gam_depth_ros.evaluation.tally import Tally

SMALL_HW = (120, 160)
DISTINCT = 24
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
        kept = time_metrics(bag, pipeline, arguments.frames)
    watch_memory(kept, pipeline.config, arguments.long)


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
    started = time.perf_counter()
    result = replay(FirstFrames(open_recording(bag), frames), pipeline, out, copy_inputs=False)  # type: ignore[arg-type]
    rest = time.perf_counter() - started - engine.seconds
    print(
        f"replay: {result.frames_out} frames, engine {1e3 * engine.seconds / frames:.1f} ms, "
        f"everything else {1e3 * rest / frames:.1f} ms a frame: "
        f"{100 * rest / engine.seconds:.0f} % of the engine (asked: below 25 %)"
    )


def time_metrics(bag: Path, pipeline: PerceptionPipeline, frames: int) -> list[Observation]:
    """Print what scoring costs a frame; return some frames that have truth, small."""
    tally = Tally(pipeline.engine.spec.labels, pipeline.config)
    events = observe(open_recording(bag), pipeline, time.perf_counter_ns)
    times_ms, cpu_ms, kept = [], [], []
    for event in itertools.islice(events, frames):
        started, cpu_started = time.perf_counter(), time.process_time()
        tally.take(event)
        if isinstance(event, Observation) and event.sample.frame.reference is not None:
            times_ms.append(1e3 * (time.perf_counter() - started))
            cpu_ms.append(1e3 * (time.process_time() - cpu_started))
            if len(kept) < DISTINCT:
                kept.append(_small(event))
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
    return kept


def watch_memory(kept: list[Observation], config: PipelineConfig, frames: int) -> None:
    """Print the process's memory while scoring goes on."""
    process, tally = psutil.Process(), Tally(NYU13, config)
    marks = {frames // 10: 0.0, frames: 0.0}
    for index in range(frames):
        seen = kept[index % len(kept)]
        stamp_ns = FRAME_NS * (1 + index)
        frame = seen.sample.frame
        reference = replace(frame.reference, stamp_ns=stamp_ns)
        sample = replace(
            seen.sample, frame=replace(frame, stamp_ns=stamp_ns, reference=reference)
        )
        tally.take(replace(seen, sample=sample))
        if index + 1 in marks:
            marks[index + 1] = process.memory_info().rss / 1e6
    words = ", ".join(f"{megabytes:.0f} MB after {count}" for count, megabytes in marks.items())
    first, last = marks.values()
    print(
        f"memory: {words} frames: {1e3 * (last - first) / (frames * 0.9):.2f} kB a frame "
        "(asked: below 1000 MB and flat)"
    )


def _small(seen: Observation) -> Observation:
    frame = seen.sample.frame
    fields = ("depth", "metric_depth_m", "sigma_log", "metric_sigma_m", "labels",
              "label_confidence", "steady_depth", "published_depth_m", "published_sigma_m",
              "source")  # fmt: skip
    small = {name: _shrunk(getattr(seen, name)) for name in fields}
    reference = replace(frame.reference, depth_m=_shrunk(frame.reference.depth_m))
    shrunk = replace(frame, rgb=_shrunk(frame.rgb), intrinsics=None, reference=reference)
    return replace(seen, sample=replace(seen.sample, frame=shrunk), **small)


def _shrunk(image: np.ndarray | None) -> np.ndarray | None:
    if image is None or not image.size:
        return image
    return cv2.resize(image, SMALL_HW[::-1], interpolation=cv2.INTER_NEAREST)


if __name__ == "__main__":
    main()
