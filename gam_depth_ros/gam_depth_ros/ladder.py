"""What the node gives up, rung by rung, when the machine is too slow or too hot, and takes back.

A state machine fed with numbers: it reads no clock and no sensor, so the same loads give the same
steps. Which rungs there are and in which order is the integrator's to declare: a planner may live
on the cloud and not on the rate, or the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gam_depth_ros.core.setting import setting, validate
from gam_depth_ros.machine import ZONES

CLOUD_OFF, HALF_RATE, QUARTER_RATE = "cloud_off", "half_rate", "quarter_rate"
SMALLER_INPUT = "smaller_input"
RUNGS = {
    CLOUD_OFF: "no ~/points",
    HALF_RATE: "every second image",
    QUARTER_RATE: "every fourth image",
    SMALLER_INPUT: "the network at half its input's width and height",
}
DIVIDERS = {HALF_RATE: 2, QUARTER_RATE: 4}
# What taking a rung back multiplies the worker's load by, at most; of the cloud nobody knows.
GROWTH = {CLOUD_OFF: 1.0, HALF_RATE: 2.0, QUARTER_RATE: 2.0, SMALLER_INPUT: 4.0}
# A rung is taken back only where the load, so multiplied, stays below this share of its limit.
HEADROOM = 0.8
COOL_BY_C = 5.0
LONGEST_PATIENCE = 16


@dataclass(frozen=True)
class LadderConfig:
    """When to give something up, and what."""

    enabled: bool = setting(
        default=False,
        description="Whether the node gives up what ladder.rungs names while the machine is too "
        "slow or too hot. Off: older images are dropped, and nothing else.",
        live=True,
    )
    rungs: tuple[str, ...] = setting(
        (CLOUD_OFF, HALF_RATE, QUARTER_RATE),
        "What is given up, in this order, each beside those before it: "
        + "; ".join(f"{name} ({what})" for name, what in RUNGS.items())
        + ".",
    )
    max_drop_share: float = setting(
        0.25,
        "Share of the images handed to the worker that newer ones may replace before that counts "
        "as too slow.",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    max_temperature_c: float = setting(
        90.0,
        "CPU temperature above which the machine is too hot, degrees Celsius; 0: not watched.",
        minimum=0.0,
        maximum=150.0,
        live=True,
    )
    thermal_zones: str = setting(
        str(ZONES),
        "Directory with the thermal zones (thermal_zone*/type, and temp in thousandths of a degree "
        "Celsius): the kernel's, or one where the robot's own monitor writes what the kernel does "
        "not tell, or not inside a container.",
        live=True,
    )
    down_s: float = setting(
        5.0,
        "Seconds of overload without a break before the next rung is taken.",
        minimum=0.1,
        maximum=600.0,
        live=True,
    )
    up_s: float = setting(
        30.0,
        "Seconds of room without a break before a rung is taken back; twice as many after each "
        f"return that did not last, {LONGEST_PATIENCE} times as many at most.",
        minimum=0.1,
        maximum=3600.0,
        live=True,
    )

    def __post_init__(self) -> None:
        validate(self)
        unknown = [name for name in self.rungs if name not in RUNGS]
        if unknown or not self.rungs:
            raise ValueError(
                f"rungs: got {', '.join(unknown) or 'none'}, expected one or more of "
                f"{', '.join(RUNGS)}; correct the name, or set enabled to false"
            )
        order = [DIVIDERS[name] for name in self.rungs if name in DIVIDERS]
        if len(set(self.rungs)) < len(self.rungs) or order != sorted(order):
            raise ValueError(
                f"rungs: got {', '.join(self.rungs)}, expected each once and {HALF_RATE} before "
                f"{QUARTER_RATE}; correct the order"
            )


@dataclass(frozen=True)
class Load:
    """What the last interval asked of the machine.

    Attributes:
        now_s: Time of the interval's end, seconds, monotonic.
        work_ms: Median time of a frame in the worker, milliseconds; NaN where none was done.
        budget_ms: What that may be; 0: anything.
        busy_share: Share of the interval that the worker worked, 0 to 1.
        drop_share: Share of the images handed to the worker that newer ones replaced, 0 to 1.
        temperature_c: Of the CPU, degrees Celsius; NaN where it cannot be read.
    """

    now_s: float
    work_ms: float = math.nan
    budget_ms: float = 0.0
    busy_share: float = 0.0
    drop_share: float = 0.0
    temperature_c: float = math.nan


@dataclass(frozen=True)
class LadderState:
    """Where on the ladder the node stands.

    Attributes:
        taken: The rungs taken, in order; empty: nothing is given up.
        reason: One line: why the last step was made; empty before the first.
        left_out: One line on declared rungs that do not exist for this model; empty if none.
    """

    taken: tuple[str, ...] = ()
    reason: str = ""
    left_out: str = ""

    @property
    def rate_divider(self) -> int:
        """Every how manieth image is processed."""
        return max([DIVIDERS[name] for name in self.taken if name in DIVIDERS], default=1)

    def gives_up(self, rung: str) -> bool:
        """Whether a rung is taken."""
        return rung in self.taken

    def line(self) -> str:
        """Return what is given up and why, for people; empty where nothing is."""
        if not self.taken:
            return ""
        return f"degraded: {', '.join(RUNGS[name] for name in self.taken)} ({self.reason})"


class Ladder:
    """Steps down under overload and up again with hysteresis.

    Two steps are never closer than ``down_s``, and a step up never closer to the one before it than
    ``up_s``. A return that is undone within the patience it took doubles the patience of the next
    one; a return that lasts sets it back.

    Args:
        config: Limits and rungs.
        absent: Rungs that cannot be taken, each with the reason; they are left out.
    """

    def __init__(self, config: LadderConfig, absent: Mapping[str, str] | None = None) -> None:
        self._config = config
        self._absent = dict(absent or {})
        self._rungs: tuple[str, ...] = ()
        self.restart()

    @property
    def state(self) -> LadderState:
        """Where it stands now."""
        return self._state

    def restart(self) -> None:
        """Take everything back and forget the past."""
        self._patience = 1
        self._strained_since_s: float | None = None
        self._roomy_since_s: float | None = None
        self._raised_s: float | None = None
        self._state = LadderState()
        self.configure(self._config)

    def configure(self, config: LadderConfig) -> None:
        """Take over changed settings; switched off, everything is taken back at once."""
        self._config = config
        self._rungs = tuple(name for name in config.rungs if name not in self._absent)
        left_out = "; ".join(
            f"{name} does not exist here: {self._absent[name]}"
            for name in config.rungs
            if name in self._absent
        )
        depth = sum(name in self._rungs for name in self._state.taken)
        taken = self._rungs[:depth] if config.enabled else ()
        self._state = LadderState(taken, self._state.reason if taken else "", left_out)

    def leave_out(self, rung: str, why: str) -> None:
        """Note that a rung does not exist, and why; an empty reason: that it does."""
        self._absent.pop(rung, None)
        if why:
            self._absent[rung] = why
        self.configure(self._config)

    def update(self, load: Load) -> LadderState:
        """Take one interval in and return where the ladder stands after it.

        Args:
            load: The interval; times must not fall.
        """
        if not self._config.enabled:
            return self._state
        strain = self._strain(load)
        self._strained_since_s = _since(self._strained_since_s, load.now_s, bool(strain))
        roomy = not strain and self._has_room(load)
        self._roomy_since_s = _since(self._roomy_since_s, load.now_s, roomy)
        depth = len(self._state.taken)
        if strain and depth < len(self._rungs):
            if _lasted(self._strained_since_s, load.now_s, self._config.down_s):
                self._step(depth + 1, strain, load.now_s)
        elif roomy and depth > 0:
            patience_s = self._config.up_s * self._patience
            if _lasted(self._roomy_since_s, load.now_s, patience_s):
                self._step(depth - 1, f"room for {patience_s:.0f} s", load.now_s)
        return self._state

    def _strain(self, load: Load) -> str:
        """Return what exceeds its limit, with the numbers; empty where nothing does."""
        config = self._config
        found = []
        if 0.0 < load.budget_ms < load.work_ms:
            found.append(f"a frame took {load.work_ms:.0f} of {load.budget_ms:.0f} ms")
        if load.drop_share > config.max_drop_share:
            found.append(
                f"{load.drop_share:.0%} of the images dropped, {config.max_drop_share:.0%} allowed"
            )
        if 0.0 < config.max_temperature_c < load.temperature_c:
            found.append(f"CPU at {load.temperature_c:.0f} of {config.max_temperature_c:.0f} °C")
        return ", ".join(found)

    def _has_room(self, load: Load) -> bool:
        if not self._state.taken:
            return False
        config = self._config
        growth = GROWTH[self._state.taken[-1]]
        heavier = growth if self._state.taken[-1] == SMALLER_INPUT else 1.0  # of a single frame
        slow = 0.0 < load.budget_ms * HEADROOM < load.work_ms * heavier
        hot = 0.0 < config.max_temperature_c < load.temperature_c + COOL_BY_C
        dropping = load.drop_share > config.max_drop_share / 2.0
        return not (slow or hot or dropping) and load.busy_share * growth <= HEADROOM

    def _step(self, depth: int, reason: str, now_s: float) -> None:
        up = depth < len(self._state.taken)
        if up:
            self._raised_s = now_s
        elif self._raised_s is not None:
            lasted_s = now_s - self._raised_s
            hasty = lasted_s <= self._config.up_s * self._patience
            self._patience = min(self._patience * 2, LONGEST_PATIENCE) if hasty else 1
            self._raised_s = None
        self._strained_since_s = self._roomy_since_s = None
        self._state = LadderState(self._rungs[:depth], reason, self._state.left_out)


def _since(before_s: float | None, now_s: float, holds: bool) -> float | None:
    """Return since when something holds without a break; None while it does not."""
    if not holds:
        return None
    return now_s if before_s is None else before_s


def _lasted(since_s: float | None, now_s: float, wanted_s: float) -> bool:
    return since_s is not None and now_s - since_s >= wanted_s
