"""What the node knows about itself: counts, rates, latencies -> /diagnostics and ~/status.

The executor thread and the worker both report here, so every access is under one lock.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from gam_depth_ros.core.engine import Engine
from gam_depth_ros.core.frame import FrameQuality

WINDOW_FRAMES = 300
RATE_WINDOW_S = 5.0
NOTES_KEPT = 5
# Fast DDS's default shared-memory segment; a larger best-effort message is mostly lost in it.
DEFAULT_SEGMENT_BYTES = 512 * 1024
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


@dataclass(frozen=True)
class ModelFacts:
    """What is loaded; empty until the node is configured."""

    name: str = ""
    sha256: str = ""
    provider: str = ""
    precision: str = ""
    path: str = ""

    def line(self) -> str:
        """Return the facts as one line for the log."""
        return f"{self.name} ({self.path}) on {self.provider}, {self.precision}"


def model_facts(engine: Engine) -> ModelFacts:
    """Read what diagnostics tell of a loaded model."""
    return ModelFacts(
        name=engine.spec.name,
        sha256=engine.sha256,
        provider=engine.provider,
        precision=engine.precision,
        path=engine.info.get("path", ""),
    )


@dataclass(frozen=True)
class Snapshot:
    """One look at the counters. Counts are since activation; rates in Hz; latencies in ms."""

    frames_in: int
    frames_published: int
    frames_dropped: int
    frames_failed: int
    frames_idle: int
    rate_in_hz: float
    rate_out_hz: float
    stage_ms: dict[str, tuple[float, float]]
    problem: str
    warning: str
    remark: str
    waiting_for: str
    scale: str
    rss_mb: float
    notes: tuple[str, ...]
    quality: FrameQuality = field(default_factory=FrameQuality)
    model: ModelFacts = field(default_factory=ModelFacts)

    @property
    def level(self) -> bytes:
        """DiagnosticStatus level."""
        if self.problem:
            return bytes(DiagnosticStatus.ERROR)
        return bytes(DiagnosticStatus.WARN if self.warning else DiagnosticStatus.OK)

    @property
    def health(self) -> str:
        """OK, or what is wrong, and what is worth knowing though nothing is wrong: one line."""
        waiting = f"waiting for {self.waiting_for}" if self.waiting_for else ""
        return "; ".join(filter(None, (self.problem or self.warning or "OK", waiting, self.remark)))


class Health:
    """Collects what happens to frames; :meth:`snapshot` sums it up.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.model = ModelFacts()
        self.problem = ""
        self.waiting_for = ""
        self.transport_warning = ""
        self.scale = "unknown"
        self.restart()

    def restart(self) -> None:
        """Forget all counts, as at activation."""
        self.quality = FrameQuality()
        with self._lock:
            self._in = self._published = self._dropped = self._failed = self._idle = 0
            self._dropped_seen = self._failed_seen = 0
            self._in_times: deque[float] = deque(maxlen=WINDOW_FRAMES)
            self._out_times: deque[float] = deque(maxlen=WINDOW_FRAMES)
            self._stages: dict[str, deque[float]] = {}
            self._notes: deque[str] = deque(maxlen=NOTES_KEPT)

    def frame_in(self, wanted: bool) -> None:
        """Count an image that arrived; one that nobody wants is idle and goes no further."""
        with self._lock:
            self._in_times.append(self._clock())
            if wanted:
                self._in += 1
            else:
                self._idle += 1

    def dropped(self) -> None:
        """Count an image that a newer one replaced."""
        with self._lock:
            self._dropped += 1

    def failed(self) -> None:
        """Count an image that could not be read or processed."""
        with self._lock:
            self._failed += 1

    def published(self, stage_ms: Mapping[str, float]) -> None:
        """Count a frame whose outputs are out, with the milliseconds of each stage."""
        with self._lock:
            self._published += 1
            self._out_times.append(self._clock())
            for name, value_ms in stage_ms.items():
                self._stages.setdefault(name, deque(maxlen=WINDOW_FRAMES)).append(value_ms)

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
        with self._lock:
            dropped, failed = self._dropped - self._dropped_seen, self._failed - self._failed_seen
            self._dropped_seen, self._failed_seen = self._dropped, self._failed
            notes = tuple(self._notes)
            self._notes.clear()
            warnings = [f"{failed} frames failed since the last report"] if failed else []
            warnings += [self.transport_warning] if self.transport_warning else []
            warnings += [f"picture {self.quality.reason}"] if self.quality.reason else []
            # Dropping is how a slow machine keeps up, so it is told but is no warning.
            remark = f"{dropped} frames dropped since the last report: newer ones had arrived"
            return Snapshot(
                frames_in=self._in,
                frames_published=self._published,
                frames_dropped=self._dropped,
                frames_failed=self._failed,
                frames_idle=self._idle,
                rate_in_hz=self._rate(self._in_times),
                rate_out_hz=self._rate(self._out_times),
                stage_ms={name: _percentiles(values) for name, values in self._stages.items()},
                problem=self.problem,
                warning="; ".join(warnings),
                remark=remark if dropped else "",
                waiting_for=self.waiting_for,
                scale=self.scale,
                rss_mb=resident_mb(),
                notes=notes,
                quality=self.quality,
                model=self.model,
            )

    def _rate(self, times: deque[float]) -> float:
        recent = [at_s for at_s in times if self._clock() - at_s <= RATE_WINDOW_S]
        span_s = recent[-1] - recent[0] if recent else 0.0
        return (len(recent) - 1) / span_s if span_s > 0.0 else 0.0


def transport_warning(
    image_bytes: int, best_effort: bool, rmw: str, environment: Mapping[str, str] = os.environ
) -> str:
    """Say so when images of this size are likely lost on their way; empty when not."""
    if image_bytes <= DEFAULT_SEGMENT_BYTES or not best_effort or "fastrtps" not in rmw:
        return ""
    if any(environment.get(name) for name in PROFILE_VARIABLES):
        return ""
    return (
        f"images of {image_bytes // 1024} KB arrive best effort over Fast DDS's default "
        f"{DEFAULT_SEGMENT_BYTES // 1024} KB shared memory, most are likely lost; set "
        f"{' and '.join(PROFILE_VARIABLES)} to config/fastdds_large_images.xml for this node and "
        "the camera driver, or make the subscription reliable (qos_overrides)"
    )


def diagnostic_array(snapshot: Snapshot, name: str, stamp: Any) -> DiagnosticArray:
    """Write a snapshot as the message on /diagnostics."""
    facts = {
        "frames in": snapshot.frames_in,
        "frames published": snapshot.frames_published,
        "frames dropped": snapshot.frames_dropped,
        "frames failed": snapshot.frames_failed,
        "frames idle (no subscriber)": snapshot.frames_idle,
        "rate in (Hz)": f"{snapshot.rate_in_hz:.1f}",
        "rate out (Hz)": f"{snapshot.rate_out_hz:.1f}",
        "model": snapshot.model.name,
        "model path": snapshot.model.path,
        "model sha256": snapshot.model.sha256,
        "provider": snapshot.model.provider,
        "precision": snapshot.model.precision,
        "scale": snapshot.scale,
        "picture": snapshot.quality.reason or "healthy",
        "drift": snapshot.quality.drift_line,
        "boundary agreement": f"{snapshot.quality.agreement:.2f}",
        "waiting for": snapshot.waiting_for,
        "memory (MB)": f"{snapshot.rss_mb:.0f}",
    }
    for stage, (p50_ms, p99_ms) in snapshot.stage_ms.items():
        facts[f"{stage} p50 (ms)"] = f"{p50_ms:.1f}"
        facts[f"{stage} p99 (ms)"] = f"{p99_ms:.1f}"
    for index, note in enumerate(snapshot.notes):
        facts[f"note {index + 1}"] = note
    status = DiagnosticStatus(
        level=snapshot.level,
        name=f"{name}: perception",
        message=snapshot.health,
        hardware_id=snapshot.model.provider,
        values=[KeyValue(key=key, value=str(value)) for key, value in facts.items()],
    )
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message


def resident_mb() -> float:
    """Return this process's resident memory in MB; 0 where /proc does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _percentiles(values: deque[float]) -> tuple[float, float]:
    p50, p99 = np.percentile(np.array(values), [50, 99])
    return float(p50), float(p99)
