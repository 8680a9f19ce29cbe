"""Notices a frame that never ends, and frames that take too long, and says what is to be done.

Fed with times: it reads no clock and touches no thread. The node asks it several times a second.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from gam_depth_ros.core.setting import setting, validate

NONE, INTERRUPT, REPLACE, GIVE_UP = "none", "interrupt", "replace", "give_up"
NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class WatchdogConfig:
    """When a frame is slow, when it hangs, and when an input is missing."""

    budget_ms: float = setting(
        500.0,
        "Time one frame may take from the worker's hand to its last output, milliseconds; 0: any.",
        minimum=0.0,
        maximum=60_000.0,
        live=True,
    )
    slow_frames: int = setting(
        10,
        "Frames in a row beyond the budget before that is a warning, and within it before it "
        "is none any more.",
        minimum=1,
        maximum=10_000,
        live=True,
    )
    hang_s: float = setting(
        10.0,  # well beyond what a starved machine needs: a new engine does not help that
        "Time after which a frame counts as hung: the inference is interrupted, and where that "
        "does not help the engine is replaced; seconds, 0: never.",
        minimum=0.0,
        maximum=600.0,
        live=True,
    )
    grace_s: float = setting(
        1.0,
        "Time an interrupted inference has to end before its engine is replaced, seconds.",
        minimum=0.0,
        maximum=60.0,
        live=True,
    )
    max_replacements: int = setting(
        3,
        "Engines replaced without one good frame between them before the node stops trying: each "
        "that hangs keeps its thread and its memory.",
        minimum=0,
        maximum=100,
        live=True,
    )
    stale_s: float = setting(
        2.0,
        "Time without an image after which the node reports STALE, seconds; 0: never.",
        minimum=0.0,
        maximum=3600.0,
        live=True,
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class Verdict:
    """What the watchdog found.

    Attributes:
        action: ``none``, ``interrupt`` (end the running inference), ``replace`` (abandon worker and
            engine, start new ones) or ``give_up``. All but ``none`` are said once.
        problem: One line where a frame hangs; empty while none does.
        warning: One line where frames are slow; empty while they are not.
    """

    action: str = NONE
    problem: str = ""
    warning: str = ""


class Watchdog:
    """Follows the one frame in the worker's hand; any thread may call.

    Args:
        config: Limits.
    """

    def __init__(self, config: WatchdogConfig) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._ticket = 0
        self.restart()

    def restart(self) -> None:
        """Forget everything, as at activation; tickets given out before hold no longer."""
        with self._lock:
            self._ticket += 1
            self._end()
            self._replaced = self._over = self._within = 0
            self._slow = self._gave_up = False
            self._last_ms = 0.0

    def started(self, now_ns: int, more_s: float = 0.0) -> int:
        """Note that a frame, or the making of an engine, was begun; returns its ticket.

        Args:
            now_ns: Monotonic nanoseconds.
            more_s: What this may take beyond ``hang_s``, seconds.
        """
        with self._lock:
            self._ticket += 1
            self._started_ns, self._interrupted_ns, self._more_s = now_ns, None, more_s
            return self._ticket

    def holds(self, ticket: int) -> bool:
        """Whether what a ticket stands for was not given up: only then may it be published."""
        with self._lock:
            return ticket == self._ticket

    def finished(self, ticket: int, now_ns: int, published: bool) -> None:
        """Note that what was begun has ended; a ticket given up changes nothing.

        Args:
            ticket: From :meth:`started`.
            now_ns: Monotonic nanoseconds.
            published: Whether it was a frame whose outputs are out.
        """
        with self._lock:
            if ticket != self._ticket or self._started_ns is None:
                return
            self._last_ms = (now_ns - self._started_ns) / 1e6
            self._end()
            self._gave_up = False
            if published:
                self._replaced = 0
                self._count()

    def check(self, now_ns: int) -> Verdict:
        """Judge the frame in hand, and those before it.

        Args:
            now_ns: Monotonic nanoseconds.
        """
        with self._lock:
            warning = self._slow_line() if self._slow else ""
            allowed_s = self.config.hang_s + self._more_s
            hung_s = 0.0 if self._started_ns is None else (now_ns - self._started_ns) / NS_PER_S
            if self.config.hang_s <= 0.0 or hung_s < allowed_s:
                return Verdict(warning=warning)
            problem = f"inference hangs: {hung_s:.1f} s on one frame, {allowed_s:.1f} s allowed"
            if self._interrupted_ns is None:
                self._interrupted_ns = now_ns
                return Verdict(INTERRUPT, problem, warning)
            if (now_ns - self._interrupted_ns) / NS_PER_S < self.config.grace_s:
                return Verdict(NONE, problem, warning)
            return self._give_up(problem, warning)

    def _give_up(self, problem: str, warning: str) -> Verdict:
        if self._replaced < self.config.max_replacements:
            self._replaced += 1
            self._ticket += 1
            self._end()
            return Verdict(REPLACE, problem, warning)
        action = NONE if self._gave_up else GIVE_UP
        self._gave_up = True
        return Verdict(
            action,
            f"{problem}; {self._replaced} engines were replaced in vain: restart the node",
            warning,
        )

    def _end(self) -> None:
        self._started_ns: int | None = None
        self._interrupted_ns: int | None = None
        self._more_s = 0.0

    def _count(self) -> None:
        late = 0.0 < self.config.budget_ms < self._last_ms
        self._over, self._within = (self._over + 1, 0) if late else (0, self._within + 1)
        if self._over >= self.config.slow_frames:
            self._slow = True
        elif self._within >= self.config.slow_frames:
            self._slow = False

    def _slow_line(self) -> str:
        return (
            f"slow: the last frame took {self._last_ms:.0f} ms of {self.config.budget_ms:.0f} "
            f"allowed, {self._over} in a row beyond that"
        )
