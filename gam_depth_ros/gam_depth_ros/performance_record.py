"""One line of the performance log: a snapshot as plain values that JSON can hold.

The format is the interface between robot and desk: ``evaluation.performance`` reads it.
"""

from __future__ import annotations

import math
from typing import Any

from gam_depth_ros.snapshot import LEVELS, Interval, Snapshot
from gam_depth_ros.stopwatch import spread

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
            name: [_number(value) for value in spread(values)]
            for name, values in snapshot.interval.stage_ms.items()
        },
        "busy_share": _number(snapshot.interval.busy_share),
        "processor": _processor(snapshot.interval),
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


def _processor(interval: Interval) -> dict[str, Any]:
    """Return how many processors the node kept busy, and what share of all the others had."""
    spent = interval.processor
    span_s = interval.span_s if interval.span_s > 0.0 else math.nan
    all_s = spent.all_s if spent.all_s > 0.0 else math.nan
    return {
        "own": _number(spent.own_s / span_s),
        "busy_share": _number(spent.busy_s / all_s),
        "stolen_share": _number(spent.stolen_s / all_s),
        "preempted": spent.preempted,
    }


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
