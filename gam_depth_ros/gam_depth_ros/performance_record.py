"""One line of the performance log: a snapshot as plain values that JSON can hold.

The format is the interface between robot and desk: ``evaluation.performance`` reads it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gam_depth_ros.snapshot import LEVELS, Snapshot

FORMAT = "gam_depth performance 1"


def record(snapshot: Snapshot, stamp_ns: int) -> dict[str, Any]:
    """Return a snapshot as a record; what is unknown is None.

    Args:
        snapshot: The snapshot; percentiles are those of its interval, counts since activation.
        stamp_ns: The node's clock.
    """
    quality, scale = snapshot.quality, snapshot.scale
    return {
        "format": FORMAT,
        "stamp_ns": stamp_ns,
        "span_s": round(snapshot.interval.span_s, 3),
        "model": snapshot.model.name,
        "sha256": snapshot.model.sha256[:12],
        "provider": snapshot.model.provider,
        "precision": snapshot.model.precision,
        "level": LEVELS[snapshot.level],
        "health": snapshot.health,
        "frames": {
            "in": snapshot.frames_in,
            "published": snapshot.frames_published,
            "failed": snapshot.frames_failed,
            "idle": snapshot.frames_idle,
        },
        "dropped": dict(snapshot.dropped),
        "rate_hz": {"in": _number(snapshot.rate_in_hz), "out": _number(snapshot.rate_out_hz)},
        "stage_ms": {
            name: _spread(values) for name, values in snapshot.interval.stage_ms.items()
        },
        "busy_share": _number(snapshot.interval.busy_share),
        "input_age_s": {name: _number(age_s) for name, age_s in snapshot.input_age_s.items()},
        "scale": {
            "state": scale.state,
            "value": _number(scale.value),
            "sigma_log": _number(scale.sigma_log),
            "age_s": _number(scale.age_s),
        },
        "picture": list(quality.conditions),
        "sigma_factor": _number(quality.sigma_factor),
        "drift": {name: _number(value) for name, value in quality.drift.items()},
        "given_up": list(snapshot.given_up),
        "engines_replaced": snapshot.engines_replaced,
        "memory_mb": _number(snapshot.rss_mb),
        "temperature_c": _number(snapshot.temperature_c),
    }


def _spread(values: tuple[float, ...]) -> list[float | None]:
    """Return median, 99th percentile and largest."""
    p50, p99 = np.percentile(np.array(values), [50, 99])
    return [_number(float(value)) for value in (p50, p99, max(values))]


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
