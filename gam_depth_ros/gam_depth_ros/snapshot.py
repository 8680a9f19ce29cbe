"""What the node knows about itself at one moment: plain values, no ROS and no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gam_depth_ros.core.engine import Engine
from gam_depth_ros.core.frame import UNKNOWN, FrameQuality, ScaleState
from gam_depth_ros.machine import ProcessorTime

# As in diagnostic_msgs/DiagnosticStatus.
OK, WARN, ERROR, STALE = 0, 1, 2, 3
LEVELS = {OK: "OK", WARN: "WARN", ERROR: "ERROR", STALE: "STALE"}
NO_SCALE = ScaleState(UNKNOWN, "", math.nan, math.inf, math.inf, "unknown")


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
class Interval:
    """What happened between two snapshots.

    Attributes:
        span_s: How long that was, seconds.
        handed: Images handed to the worker; of these ``dropped`` were replaced by newer ones.
        dropped: See ``handed``.
        failed: Images that could not be read or processed.
        work_ms: What each published frame took in the worker, milliseconds.
        stage_ms: By stage, what each published frame took.
        processor: Who had the processor.
    """

    span_s: float = 0.0
    handed: int = 0
    dropped: int = 0
    failed: int = 0
    work_ms: tuple[float, ...] = ()
    stage_ms: dict[str, tuple[float, ...]] = field(default_factory=dict)
    processor: ProcessorTime = field(default_factory=ProcessorTime)

    @property
    def busy_share(self) -> float:
        """Share of the interval that the worker spent on frames, 0 to 1."""
        return min(sum(self.work_ms) / 1e3 / self.span_s, 1.0) if self.span_s > 0.0 else 0.0

    @property
    def drop_share(self) -> float:
        """Share of the images handed over that newer ones replaced, 0 to 1."""
        return min(self.dropped / self.handed, 1.0) if self.handed else 0.0


@dataclass(frozen=True)
class Faults:
    """What is wrong with the node, one line each; empty where nothing is.

    Attributes:
        problem: It does not work: the configuration failed.
        hung: A frame hangs, or engines were replaced in vain.
        slow: Frames exceed their budget.
        stale: No images arrive.
        degraded: What the ladder gives up.
        log: The performance log cannot be written.
        transport: Images are likely lost on their way.
        qos: Somebody offers or asks for a quality of service that does not fit ours.
        namesake: Another node has our name.
        silent: Inputs beside the images that stopped, or cannot be heard.
    """

    problem: str = ""
    hung: str = ""
    slow: str = ""
    stale: str = ""
    degraded: str = ""
    log: str = ""
    transport: str = ""
    qos: str = ""
    namesake: str = ""
    silent: str = ""

    @property
    def errors(self) -> tuple[str, ...]:
        """Those that stop the node's work."""
        return tuple(filter(None, (self.problem, self.hung)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those that it works with."""
        graph = (self.silent, self.transport, self.qos, self.namesake)
        return tuple(filter(None, (self.slow, self.degraded, self.log, *graph)))


@dataclass(frozen=True)
class Snapshot:
    """One look at the counters. Counts are since activation; rates in Hz; latencies in ms."""

    frames_in: int
    frames_published: int
    frames_failed: int
    frames_idle: int
    dropped: dict[str, int]
    rate_in_hz: float
    rate_out_hz: float
    stage_ms: dict[str, tuple[float, float]]
    input_age_s: dict[str, float]
    engines_replaced: int
    faults: Faults
    warning: str
    remark: str
    waiting_for: str
    rss_mb: float
    temperature_c: float
    notes: tuple[str, ...]
    interval: Interval = field(default_factory=Interval)
    given_up: tuple[str, ...] = ()
    reload: str = ""
    qos_faults: tuple[str, ...] = ()
    silent_inputs: tuple[str, ...] = ()
    scale: ScaleState = NO_SCALE
    quality: FrameQuality = field(default_factory=FrameQuality)
    model: ModelFacts = field(default_factory=ModelFacts)

    @property
    def frames_dropped(self) -> int:
        """Images given up before their turn, for whatever reason."""
        return sum(self.dropped.values())

    @property
    def level(self) -> int:
        """Level as in DiagnosticStatus: OK, WARN, ERROR, or STALE where images do not arrive."""
        if self.faults.errors:
            return ERROR
        if self.faults.stale:
            return STALE
        return WARN if self.warning else OK

    @property
    def health(self) -> str:
        """OK, or what is wrong, and what is worth knowing though nothing is wrong: one line."""
        faults = (*self.faults.errors, self.faults.stale, self.warning)
        # What is stale is waited for too: once is enough.
        waits = self.waiting_for and not self.faults.stale
        waiting = f"waiting for {self.waiting_for}" if waits else ""
        said = "; ".join(filter(None, faults)) or "OK"
        return "; ".join(filter(None, (said, waiting, self.remark)))
