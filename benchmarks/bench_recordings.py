"""What benchmarks put around recordings and pipelines: clocks, a cut, an endless repetition."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.frame import Frame, Perception
from gam_depth_ros.core.model_spec import NetworkOutput
from gam_depth_ros.core.pipeline import PerceptionPipeline

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
