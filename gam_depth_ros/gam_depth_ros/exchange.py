"""The pipeline in use, and how another one takes its place between two frames. No ROS here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.frame import Frame, Perception
from gam_depth_ros.core.pipeline import FrameError, Outputs, PerceptionPipeline
from gam_depth_ros.shadow import compared

Watcher = Callable[[Frame, Perception, PerceptionPipeline], None]


@dataclass(eq=False)
class _Hand:
    """A frame in hand: a thread that was given up may let go of its own only."""

    pipeline: PerceptionPipeline


class Exchange:
    """Perceives with one pipeline until another is put in its place.

    :meth:`process` is for the worker; the rest may be called from any thread. A frame takes its
    pipeline once, at its start: the one in hand is finished by the pipeline that began it.

    Args:
        pipeline: The first one.
        on_change: Called with the pipeline of the next frame whenever that is another one; of two
            changes at a time the last call tells of the one that stands.
    """

    def __init__(
        self, pipeline: PerceptionPipeline, on_change: Callable[[PerceptionPipeline], None]
    ) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._current = pipeline
        self._in_hand: _Hand | None = None
        self._former: PerceptionPipeline | None = None
        self._candidate: PerceptionPipeline | None = None
        self._watcher: Watcher | None = None
        self._fault = ""

    @property
    def current(self) -> PerceptionPipeline:
        """The pipeline of the next frame."""
        return self._current

    @property
    def busy(self) -> bool:
        """Whether a frame is in hand that was not given up."""
        return self._in_hand is not None

    @property
    def fault(self) -> str:
        """Why the last swap on probation was taken back; empty if it was not."""
        return self._fault

    def join(self, candidate: PerceptionPipeline) -> None:
        """Let a pipeline that is not in use yet follow settings and resets as the others do."""
        with self._lock:
            candidate.configure(self._current.config)
            self._candidate, self._fault = candidate, ""

    def swap(
        self,
        pipeline: PerceptionPipeline,
        *,
        probation: bool = False,
        instead_of: PerceptionPipeline | None = None,
    ) -> bool:
        """Perceive with this pipeline from the next frame on.

        Args:
            pipeline: The new one.
            probation: Keep the former one: it takes over again, with the very frame, at the first
                frame that it can perceive and the new one cannot.
            instead_of: The one it was made to replace: where another thread was quicker to replace
                that, nothing is done. None: whichever is in use.

        Returns:
            Whether it was put in place.
        """
        with self._lock:
            if instead_of is not None and instead_of is not self._current:
                return False
            self._former = self._current if probation else None
            self._candidate = None if pipeline is self._candidate else self._candidate
            self._current = pipeline
            self._fault = "" if probation else self._fault
        self._tell()
        return True

    def roll_back(self, fault: str) -> None:
        """Take the last swap back, if it is on probation still."""
        with self._lock:
            if self._former is None:
                return
            self._current, self._former, self._fault = self._former, None, fault
        self._tell()

    def interrupt(self) -> None:
        """Make the inference of the frame in hand fail, if there is one."""
        if (hand := self._in_hand) is not None:
            hand.pipeline.engine.interrupt()

    def abandon(self, fault: str) -> None:
        """Give the frame in hand up, and with it a swap on probation."""
        self.roll_back(fault)
        self._in_hand = None

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
        self._in_hand = hand = _Hand(pipeline)
        try:
            perception = self._perceived(hand, frame, outputs)
        finally:
            if self._in_hand is hand:
                self._in_hand = None
        if watcher is not None:
            watcher(frame, perception, hand.pipeline)
        return perception, hand.pipeline

    def _perceived(self, hand: _Hand, frame: Frame, outputs: Outputs) -> Perception:
        try:
            return hand.pipeline.process(frame, outputs)
        except (FrameError, EngineError, MemoryError) as error:
            former = self._former
            if former is None or hand.pipeline is not self._current:
                raise
            hand.pipeline = former
            perception = former.process(frame, outputs)
            self.roll_back(str(error) or type(error).__name__)
            return perception

    def _tell(self) -> None:
        with self._telling:
            self._on_change(self._current)

    def _all(self) -> list[PerceptionPipeline]:
        with self._lock:
            known = (self._current, self._former, self._candidate)
        return [pipeline for pipeline in known if pipeline is not None]
