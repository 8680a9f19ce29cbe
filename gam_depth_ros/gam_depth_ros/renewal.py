"""A new engine in the place of one that hangs, made in the thread that will run it."""

from __future__ import annotations

import logging
import threading
import time

from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.pipeline import load_pipeline
from gam_depth_ros.exchange import Exchange
from gam_depth_ros.supervisor import Supervisor

log = logging.getLogger(__name__)

# A GPU's engine may take this much longer to make than a frame may take.
MAKING_S = 120.0
RETRY_S = 5.0


class Renewal:
    """Loads the running model's file once more and puts it in the place of what hangs.

    The pipeline that hangs is let go of whole: what its thread still does to it, and the scale it
    had learnt, end with it.

    Args:
        exchange: Holds the pipeline that hangs.
        supervisor: Sees to it that the making does not hang as well, and hears of its end.
    """

    def __init__(self, exchange: Exchange, supervisor: Supervisor) -> None:
        self._exchange = exchange
        self._supervisor = supervisor
        self._watchdog = supervisor.watchdog
        self._stopped = threading.Event()
        self.over = False  # whether frames are perceived again

    def stop(self) -> None:
        """Make no further attempt."""
        self._stopped.set()

    def run(self) -> bool:
        """Make it, however many attempts that takes; returns whether frames may begin."""
        former = self._exchange.current
        path = former.engine.info.get("path") or None
        while not self._stopped.is_set():
            ticket = self._watchdog.started(time.monotonic_ns(), more_s=MAKING_S)
            try:
                pipeline = load_pipeline(path, former.config)
            except (ValueError, OSError, EngineError, MemoryError) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                log.error("new engine: %s; tried again in %.0f s", reason, RETRY_S)
                self._watchdog.finished(ticket, time.monotonic_ns(), published=False)
                self._stopped.wait(RETRY_S)
                continue
            if not self._watchdog.holds(ticket):
                return False
            if pipeline.engine.sha256 != former.engine.sha256:
                log.warning("new engine: %s is another file than it was", path)
            renewed = self._exchange.swap(pipeline, instead_of=former)
            self._watchdog.finished(ticket, time.monotonic_ns(), published=False)
            self._supervisor.recovered()
            self.over = True
            if renewed:
                log.info("new engine: %s runs; the scale is learnt anew", path)
            else:
                log.info("new engine: not needed, another model was loaded meanwhile")
            return True
        return False
