"""The pipeline in use, and how another one takes its place between two frames. No ROS here."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.frame import Frame, Perception
from gam_depth_ros.core.pipeline import FrameError, Outputs, PerceptionPipeline
from gam_depth_ros.shadow import compared

Watcher = Callable[[Frame, Perception, PerceptionPipeline], None]


class Exchange:
    """Perceives with one pipeline until another is put in its place.

    :meth:`process` is for the worker; the rest may be called from any thread. A frame takes its
    pipeline once, at its start: the one in hand is finished by the pipeline that began it.

    Args:
        pipeline: The first one.
        on_change: Called with the pipeline of the next frame whenever that is another one.
    """

    def __init__(
        self, pipeline: PerceptionPipeline, on_change: Callable[[PerceptionPipeline], None]
    ) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._current = pipeline
        self._former: PerceptionPipeline | None = None
        self._candidate: PerceptionPipeline | None = None
        self._watcher: Watcher | None = None
        self._fault = ""

    @property
    def current(self) -> PerceptionPipeline:
        """The pipeline of the next frame."""
        return self._current

    @property
    def fault(self) -> str:
        """Why the last swap on probation was taken back; empty if it was not."""
        return self._fault

    def join(self, candidate: PerceptionPipeline) -> None:
        """Let a pipeline that is not in use yet follow settings and resets as the others do."""
        with self._lock:
            candidate.configure(self._current.config)
            self._candidate = candidate

    def swap(self, pipeline: PerceptionPipeline, *, probation: bool = False) -> None:
        """Perceive with this pipeline from the next frame on.

        Args:
            pipeline: The new one.
            probation: Keep the former one: it takes over again, with the very frame, at the first
                frame that it can perceive and the new one cannot.
        """
        with self._lock:
            self._former = self._current if probation else None
            self._candidate = None if pipeline is self._candidate else self._candidate
            self._current = pipeline
            self._fault = "" if probation else self._fault
        self._on_change(pipeline)

    def roll_back(self, fault: str) -> None:
        """Take the last swap back, if it is on probation still."""
        with self._lock:
            if self._former is None:
                return
            self._current, self._former, self._fault = self._former, None, fault
            restored = self._current
        self._on_change(restored)

    def settle(self) -> None:
        """End comparison and probation: let go of every pipeline but the one in use."""
        with self._lock:
            self._former = self._candidate = None
            self._watcher = None

    def watch(self, watcher: Watcher | None) -> None:
        """Show a watcher every frame perceived, by which pipeline too; in the worker's thread.

        The perceptions are made for a comparison.
        """
        self._watcher = watcher

    def configure(self, config: PipelineConfig) -> None:
        """Take over changed settings."""
        for pipeline in self._all():
            pipeline.configure(config)

    def reset(self) -> None:
        """Forget all that frames have taught."""
        for pipeline in self._all():
            pipeline.reset()

    def reset_scale(self) -> None:
        """Forget the scale."""
        for pipeline in self._all():
            pipeline.reset_scale()

    def process(self, frame: Frame, outputs: Outputs) -> tuple[Perception, PerceptionPipeline]:
        """Perceive one frame; returns also the pipeline that did.

        Raises:
            FrameError: The frame cannot be perceived, by a former pipeline on call neither.
        """
        pipeline, watcher = self._current, self._watcher
        if watcher is not None:
            outputs = compared(outputs)
        try:
            perception = pipeline.process(frame, outputs)
        except (FrameError, EngineError) as error:
            former = self._former
            if former is None or pipeline is not self._current:
                raise
            perception, pipeline = former.process(frame, outputs), former
            self.roll_back(str(error))
        if watcher is not None:
            watcher(frame, perception, pipeline)
        return perception, pipeline

    def _all(self) -> list[PerceptionPipeline]:
        with self._lock:
            known = (self._current, self._former, self._candidate)
        return [pipeline for pipeline in known if pipeline is not None]
