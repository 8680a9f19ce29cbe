"""Collects what happens to the node's frames: counts, rates, ages, times; and sums it up.

The executor thread and the worker both report here: what is counted is under one lock, and what is
only ever replaced whole (a line, a state) is not.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gam_depth_ros.core.frame import FrameQuality
from gam_depth_ros.machine import (
    ZONES,
    ProcessorTime,
    cpu_temperature_c,
    processor_time,
    resident_mb,
)
from gam_depth_ros.snapshot import NO_SCALE, Faults, Interval, ModelFacts, Snapshot
from gam_depth_ros.stopwatch import LATENCY, WAIT, spread

WINDOW_FRAMES = 300
RATE_WINDOW_S = 5.0
NOTES_KEPT = 5
SHOWN = 4
# Why an image was given up before its turn.
NEWER, RATE, OVERTAKEN, STOPPED = "newer image", "ladder", "late stamp", "deactivated"
DROP_REASONS = (NEWER, RATE, OVERTAKEN, STOPPED)


class Health:
    """Collects what happens to frames; :meth:`snapshot` sums it up.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.model = ModelFacts()
        self.thermal_zones = ZONES
        # One line each, empty while all is well; whoever finds a fault writes it here.
        self.problem = self.transport_warning = self.namesake = ""
        self.qos_faults: tuple[str, ...] = ()
        self.waiting_for = ""
        self.given_up: tuple[str, ...] = ()
        self.reload = ""
        self.restart()

    def restart(self) -> None:
        """Forget all counts, as at activation."""
        self.quality, self.scale = FrameQuality(), NO_SCALE
        self.silent_inputs: tuple[str, ...] = ()
        self._hung = self._untold_hang = ""
        self.slow = self.stale = self.degraded = self.log_problem = ""
        with self._lock:
            self._in = self._published = self._failed = self._idle = self._replaced = 0
            self._dropped = dict.fromkeys(DROP_REASONS, 0)
            self._in_times: deque[float] = deque(maxlen=WINDOW_FRAMES)
            self._out_times: deque[float] = deque(maxlen=WINDOW_FRAMES)
            self._stages: dict[str, deque[float]] = {}
            self._notes: deque[str] = deque(maxlen=NOTES_KEPT)
            self._arrivals: dict[str, float] = {}
            self._gaps_s: dict[str, float] = {}
            self._active_since_s = self._clock()
            self._begin_interval(processor_time())

    @property
    def hung(self) -> str:
        """Why a frame hangs; empty while none does."""
        return self._hung

    @hung.setter
    def hung(self, line: str) -> None:
        # A hang that is cured between two reports is told in the next one all the same.
        self._untold_hang = line or self._untold_hang
        self._hung = line

    def expect(self, inputs: Sequence[str]) -> None:
        """Report the ages of these inputs, of which nothing has arrived yet."""
        with self._lock:
            self._arrivals = dict.fromkeys(inputs, math.nan)
            self._gaps_s = dict.fromkeys(inputs, math.nan)

    def arrived(self, name: str) -> None:
        """Note that a message of an input arrived."""
        with self._lock:
            now_s = self._clock()
            self._gaps_s[name] = now_s - self._arrivals.get(name, math.nan)
            self._arrivals[name] = now_s

    def gap_s(self, name: str) -> float:
        """Return the seconds between an input's last two messages; NaN before the second."""
        with self._lock:
            return self._gaps_s.get(name, math.nan)

    def silence_s(self, name: str) -> tuple[float, bool]:
        """Return the seconds since an input's last message, and whether there ever was one.

        Without one the seconds count from activation.
        """
        with self._lock:
            at_s = self._arrivals.get(name, math.nan)
            ever = not math.isnan(at_s)
            return self._clock() - (at_s if ever else self._active_since_s), ever

    def frame_in(self, wanted: bool) -> None:
        """Count an image that arrived; one that nobody wants is idle and goes no further."""
        with self._lock:
            self._in_times.append(self._clock())
            if wanted:
                self._in += 1
            else:
                self._idle += 1

    def dropped(self, reason: str = NEWER) -> None:
        """Count an image that was given up before its turn."""
        with self._lock:
            self._dropped[reason] += 1

    def failed(self) -> None:
        """Count an image that could not be read or processed."""
        with self._lock:
            self._failed += 1

    def replaced(self) -> None:
        """Count an engine that was replaced because it hung."""
        with self._lock:
            self._replaced += 1

    def published(self, stage_ms: Mapping[str, float]) -> None:
        """Count a frame whose outputs are out, with the milliseconds of each stage."""
        with self._lock:
            self._published += 1
            self._out_times.append(self._clock())
            work_ms = sum(ms for name, ms in stage_ms.items() if name not in (WAIT, LATENCY))
            self._work.append(work_ms)
            for name, value_ms in stage_ms.items():
                self._stages.setdefault(name, deque(maxlen=WINDOW_FRAMES)).append(value_ms)
                self._lately.setdefault(name, []).append(value_ms)

    def any_frame(self) -> bool:
        """Whether any image has arrived since activation."""
        with self._lock:
            return bool(self._in_times)

    def note(self, text: str) -> None:
        """Keep a one-line remark for the next report."""
        with self._lock:
            if text not in self._notes:
                self._notes.append(text)

    def snapshot(self) -> Snapshot:
        """Sum up; drops, failures and notes are told in the first report after they happened."""
        # Before the lock: some thermal zones take their time, and every image waits for the lock.
        rss_mb, temperature_c = resident_mb(), cpu_temperature_c(self.thermal_zones)
        processor = processor_time()
        with self._lock:
            interval, faults = self._end_interval(processor), self._faults()
            notes = tuple(self._notes)
            self._notes.clear()
            now_s, failed = self._clock(), interval.failed
            warnings = [f"{failed} frames failed since the last report"] if failed else []
            warnings += faults.warnings
            warnings += [f"picture {self.quality.reason}"] if self.quality.reason else []
            # Dropping is how a slow machine keeps up, so it is told but is no warning.
            remark = f"{interval.dropped} frames dropped since the last report: newer ones arrived"
            stages = {name: tuple(values) for name, values in self._stages.items()}
            snapshot = Snapshot(
                frames_in=self._in,
                frames_published=self._published,
                frames_failed=self._failed,
                frames_idle=self._idle,
                dropped=dict(self._dropped),
                rate_in_hz=self._rate(self._in_times),
                rate_out_hz=self._rate(self._out_times),
                stage_ms={},
                input_age_s={name: now_s - at_s for name, at_s in self._arrivals.items()},
                engines_replaced=self._replaced,
                faults=faults,
                warning="; ".join(warnings),
                remark=remark if interval.dropped else "",
                waiting_for=self.waiting_for,
                rss_mb=rss_mb,
                temperature_c=temperature_c,
                notes=notes,
                interval=interval,
                given_up=self.given_up,
                reload=self.reload,
                qos_faults=self.qos_faults,
                silent_inputs=self.silent_inputs,
                scale=self.scale,
                quality=self.quality,
                model=self.model,
            )
        # After the lock, for which every image waits too.
        return replace(snapshot, stage_ms={name: spread(v)[:2] for name, v in stages.items()})

    def _faults(self) -> Faults:
        hung, self._untold_hang = self._hung or self._untold_hang, ""
        return Faults(
            problem=self.problem,
            hung=hung,
            slow=self.slow,
            stale=self.stale,
            degraded=self.degraded,
            log=self.log_problem,
            transport=self.transport_warning,
            qos="; ".join(self.qos_faults[:SHOWN]),
            namesake=self.namesake,
            silent="; ".join(self.silent_inputs),
        )

    def _begin_interval(self, processor: ProcessorTime) -> None:
        self._began_s, self._processor = self._clock(), processor
        self._seen = (self._in, self._dropped[NEWER], self._dropped[RATE], self._failed)
        self._work: list[float] = []
        self._lately: dict[str, list[float]] = {}

    def _end_interval(self, processor: ProcessorTime) -> Interval:
        arrived, newer, thinned, failed = self._seen
        interval = Interval(
            span_s=self._clock() - self._began_s,
            handed=self._in - arrived - (self._dropped[RATE] - thinned),
            dropped=self._dropped[NEWER] - newer,
            failed=self._failed - failed,
            work_ms=tuple(self._work),
            stage_ms={name: tuple(values) for name, values in self._lately.items()},
            processor=processor.since(self._processor),
        )
        self._begin_interval(processor)
        return interval

    def _rate(self, times: deque[float]) -> float:
        now_s = self._clock()
        recent = [at_s for at_s in times if now_s - at_s <= RATE_WINDOW_S]
        span_s = recent[-1] - recent[0] if recent else 0.0
        return (len(recent) - 1) / span_s if span_s > 0.0 else 0.0
