"""Looks after the perceiver: watchdog, ladder, missing inputs, performance log.

What is to be done is decided in pure state machines; here they get their clocks and their numbers,
and what they find is told to health and to the log.
"""

from __future__ import annotations

import logging
import math
import time

import numpy as np

from gam_depth_ros import performance_record, smaller_input
from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.exchange import Exchange
from gam_depth_ros.health import Health
from gam_depth_ros.ladder import SMALLER_INPUT, Ladder, LadderState, Load
from gam_depth_ros.parameters import NodeConfig
from gam_depth_ros.performance_log import PerformanceLog
from gam_depth_ros.snapshot import Snapshot
from gam_depth_ros.watchdog import INTERRUPT, NONE, REPLACE, Watchdog

log = logging.getLogger(__name__)


class Supervisor:
    """From configure to cleanup; for the executor thread, what says so aside.

    Args:
        config: The settings.
        health: What is found is told there.
    """

    def __init__(self, config: NodeConfig, health: Health) -> None:
        self._config = config
        self._health = health
        self._hung = ""
        self._checked: PerceptionPipeline | None = None
        self._misfit = ""  # why the model in use does not run at half its input after all
        self.watchdog = Watchdog(config.watchdog)
        self._ladder = Ladder(config.ladder)
        self._log = PerformanceLog(config.performance_log) if config.performance_log.path else None

    @property
    def ladder(self) -> LadderState:
        """What is given up now."""
        return self._ladder.state

    def restart(self) -> None:
        """Begin anew, as at activation: nothing hangs, nothing is given up, no ticket holds."""
        self._hung = ""
        self._health.hung = self._health.slow = self._health.stale = ""
        self.watchdog.restart()
        self._ladder.restart()
        self._tell_ladder()

    def configure(self, config: NodeConfig) -> None:
        """Take over changed settings."""
        self._config = config
        self.watchdog.config = config.watchdog
        self._ladder.configure(config.ladder)
        self._tell_ladder()

    def look(self) -> str:
        """Judge the frame in hand; returns what is to be done, in watchdog's words."""
        verdict = self.watchdog.check(time.monotonic_ns())
        if verdict.warning and not self._health.slow:
            log.warning(verdict.warning)
        self._health.slow, self._health.hung = verdict.warning, verdict.problem or self._hung
        if verdict.action == INTERRUPT:
            log.error("%s; it is interrupted", verdict.problem)
        elif verdict.action == REPLACE:
            # Nothing hangs from here on, but nothing works either until there is a new engine.
            self._hung = f"{verdict.problem}; the engine is replaced"
            self._health.hung = self._hung
            log.error(self._hung)
        elif verdict.action != NONE:
            log.error(verdict.problem)
        return verdict.action

    def recovered(self) -> None:
        """Note that a new engine stands in the place of the one that hung, and answers."""
        self._hung = ""

    def stale(self, line: str) -> None:
        """Take over why no images arrive, in one line; empty while they do."""
        if line and not self._health.stale:
            log.warning(line)
        elif self._health.stale and not line:
            log.info("images arrive again")
        self._health.stale = line

    def second(self, snapshot: Snapshot, now_ns: int) -> LadderState:
        """Judge the last interval and write it down; returns what is to be given up.

        Args:
            snapshot: The interval.
            now_ns: The node's clock, for the log.
        """
        before = self._ladder.state
        if not snapshot.faults.hung:  # what the load is then, says nothing of what it would be
            self._ladder.update(self._load(snapshot))
        state = self._ladder.state
        if len(state.taken) > len(before.taken):
            log.warning(state.line())
        elif len(state.taken) < len(before.taken):
            log.info("ladder: %s; %s", state.reason, state.line() or "nothing is given up now")
        self._tell_ladder()
        if self._log is not None:
            self._log.put(performance_record.record(snapshot, now_ns))
            self._health.log_problem = self._log.problem
        return state

    def check_rungs(self, exchange: Exchange) -> None:
        """Leave out the rung that the model in use does not have."""
        current = exchange.current
        if current is not self._checked:
            self._checked, self._misfit = current, ""
            self._leave_out(smaller_input.why_not(current))
        elif self._misfit:
            self._leave_out(self._misfit)

    def fit_input(self, exchange: Exchange) -> None:
        """Put the network of the size that the ladder leaves in place; costs one inference.

        In the worker's thread, before a frame: an engine runs for one thread at a time, and the
        watchdog sees this inference too.
        """
        current = exchange.current
        small = self._ladder.state.gives_up(SMALLER_INPUT)
        if small == smaller_input.is_halved(current) or self._misfit:
            return
        try:
            fitted = (smaller_input.halved if small else smaller_input.restored)(current)
        except (EngineError, MemoryError) as error:
            self._misfit = str(error) or type(error).__name__
            return
        # Not over another model that was loaded meanwhile: the next frame looks at that.
        if exchange.swap(fitted, instead_of=current):
            log.info("input: %s; scale starts anew", fitted.engine.info["input"])

    def _leave_out(self, why: str) -> None:
        before = self._ladder.state.left_out
        self._ladder.leave_out(SMALLER_INPUT, why)
        self._tell_ladder()
        left_out = self._ladder.state.left_out
        if self._config.ladder.enabled and left_out != before:
            log.warning("ladder: %s", left_out or f"{SMALLER_INPUT} exists again")

    def close(self) -> None:
        """Write the rest of the log."""
        if self._log is not None:
            self._log.close()
            self._log = None
        self._health.log_problem = ""

    def _load(self, snapshot: Snapshot) -> Load:
        interval = snapshot.interval
        return Load(
            now_s=time.monotonic(),
            work_ms=float(np.median(interval.work_ms)) if interval.work_ms else math.nan,
            budget_ms=self._config.watchdog.budget_ms,
            busy_share=interval.busy_share,
            drop_share=interval.drop_share,
            temperature_c=snapshot.temperature_c,
        )

    def _tell_ladder(self) -> None:
        self._health.given_up = self._ladder.state.taken
        self._health.degraded = self._ladder.state.line()
