"""A pipeline whose network answers when it is let go, in this process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from plain_pipeline import plain_pipeline

from gam_depth_ros.core.pipeline import PerceptionPipeline


class Hanging:
    """An engine that answers when it is let go, and remembers interrupts."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.begun, self.release, self.interrupted = (threading.Event() for _ in range(3))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run(self, batch: Any) -> Any:
        """Run the network, some time or other."""
        self.begun.set()
        assert self.release.wait(20.0)
        return self._engine.run(batch)

    def interrupt(self) -> None:
        """Remember it, and do nothing."""
        self.interrupted.set()


def hanging_pipeline(model: Path) -> PerceptionPipeline:
    """Return a pipeline on such an engine, which hangs from the first frame on."""
    pipeline = plain_pipeline(model)
    pipeline._engine = Hanging(pipeline.engine)
    return pipeline
