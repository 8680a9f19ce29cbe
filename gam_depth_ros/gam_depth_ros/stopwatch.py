"""How long each stage of a frame takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

# Not the worker's own time: before it begins, and from end to end.
WAIT, LATENCY = "wait", "latency"
# A stamp this old is a recording's or another clock's: then latency counts from the arrival.
OLDEST_LIVE_STAMP_S = 10.0


class Stopwatch:
    """Times the stages of one frame, in milliseconds.

    Args:
        started_ns: Monotonic time of the image's arrival.
        clock: Monotonic nanoseconds.
    """

    def __init__(self, started_ns: int, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._started_ns = self._lap_ns = started_ns
        self.laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Book the time since the last lap on a stage."""
        now_ns = self._clock()
        self.laps[stage] = (now_ns - self._lap_ns) / 1e6
        self._lap_ns = now_ns

    def skip(self) -> None:
        """Start the next lap here: the time since the last one is booked elsewhere."""
        self._lap_ns = self._clock()

    def latency(self, now_ns: int, stamp_ns: int) -> dict[str, float]:
        """Return the latency from stamp to now by the node's clock, or from arrival.

        Args:
            now_ns: The node's clock, nanoseconds.
            stamp_ns: The image's stamp by the same clock, or a recording's.
        """
        age_s = (now_ns - stamp_ns) / 1e9
        if 0.0 <= age_s <= OLDEST_LIVE_STAMP_S:
            return {LATENCY: age_s * 1e3}
        return {LATENCY: (self._clock() - self._started_ns) / 1e6}


def spread(values: Iterable[float]) -> tuple[float, float, float]:
    """Return median, 99th percentile and largest of values, of which there must be one at least.

    Percentiles lie on the line between two values, as numpy's do, which takes seven times as long
    for a few hundred: once a second for every stage, and meanwhile no frame gets the interpreter.
    """
    ordered = sorted(values)
    return _percentile(ordered, 0.5), _percentile(ordered, 0.99), ordered[-1]


def _percentile(ordered: list[float], share: float) -> float:
    at = (len(ordered) - 1) * share
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
