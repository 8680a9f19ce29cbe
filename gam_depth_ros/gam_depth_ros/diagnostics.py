"""What the node knows about itself -> ``/diagnostics`` and ``~/status``."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from gam_depth_ros.messages import PerceptionStatus
from gam_depth_ros.snapshot import Snapshot
from gam_depth_ros.stopwatch import LATENCY

# Fast DDS's default shared-memory segment; a larger best-effort message is mostly lost in it.
DEFAULT_SEGMENT_BYTES = 512 * 1024
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


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
    facts = {**_counts(snapshot), **_state(snapshot)}
    for input_name, age_s in snapshot.input_age_s.items():
        facts[f"last {input_name} (s ago)"] = "never" if math.isnan(age_s) else f"{age_s:.1f}"
    for quantity, index in snapshot.quality.drift.items():
        facts[f"drift of {quantity} (PSI)"] = f"{index:.2f}"
    for stage, (p50_ms, p99_ms) in snapshot.stage_ms.items():
        facts[f"{stage} p50 (ms)"] = f"{p50_ms:.1f}"
        facts[f"{stage} p99 (ms)"] = f"{p99_ms:.1f}"
    for index, line in enumerate(snapshot.qos_faults):
        facts[f"QoS fault {index + 1}"] = line
    for index, line in enumerate(snapshot.silent_inputs):
        facts[f"silent input {index + 1}"] = line
    for index, note in enumerate(snapshot.notes):
        facts[f"note {index + 1}"] = note
    status = DiagnosticStatus(
        level=bytes([snapshot.level]),
        name=f"{name}: perception",
        message=snapshot.health,
        hardware_id=snapshot.model.provider,
        values=[KeyValue(key=key, value=str(value)) for key, value in facts.items()],
    )
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message


def _counts(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "frames in": snapshot.frames_in,
        "frames published": snapshot.frames_published,
        "frames dropped": snapshot.frames_dropped,
        **{f"frames dropped: {reason}": count for reason, count in snapshot.dropped.items()},
        "frames failed": snapshot.frames_failed,
        "frames idle (no subscriber)": snapshot.frames_idle,
        "rate in (Hz)": f"{snapshot.rate_in_hz:.1f}",
        "rate out (Hz)": f"{snapshot.rate_out_hz:.1f}",
    }


def _state(snapshot: Snapshot) -> dict[str, Any]:
    degrees_c, age_s = snapshot.temperature_c, snapshot.scale.age_s
    return {
        "model": snapshot.model.name,
        "model path": snapshot.model.path,
        "model sha256": snapshot.model.sha256,
        "provider": snapshot.model.provider,
        "precision": snapshot.model.precision,
        "engines replaced": snapshot.engines_replaced,
        "reload": snapshot.reload or "none yet",
        "scale": snapshot.scale.reason,
        "scale state": snapshot.scale.state,
        "scale value": f"{snapshot.scale.value:.4g}",
        "scale age (s)": f"{age_s:.1f}" if math.isfinite(age_s) else "never",
        "picture": snapshot.quality.reason or "healthy",
        "drift": snapshot.quality.drift_line,
        "boundary agreement": f"{snapshot.quality.agreement:.2f}",
        "given up": ", ".join(snapshot.given_up) or "nothing",
        "waiting for": snapshot.waiting_for,
        "memory (MB)": f"{snapshot.rss_mb:.0f}",
        "CPU temperature (°C)": "unknown" if math.isnan(degrees_c) else f"{degrees_c:.0f}",
    }


def to_status(snapshot: Snapshot, head: Header) -> Any:
    """Write a snapshot as gam_depth_msgs/PerceptionStatus."""
    nothing, age_s = (math.nan, math.nan), snapshot.scale.age_s
    quality = snapshot.quality
    stages = {name: span for name, span in snapshot.stage_ms.items() if name != LATENCY}
    latency_ms = snapshot.stage_ms.get(LATENCY, nothing)
    return PerceptionStatus(
        header=head,
        level=snapshot.level,
        health=snapshot.health,
        notes=list(snapshot.notes),
        model_name=snapshot.model.name,
        model_sha256=snapshot.model.sha256,
        provider=snapshot.model.provider,
        precision=snapshot.model.precision,
        engines_replaced=snapshot.engines_replaced,
        frames_in=snapshot.frames_in,
        frames_published=snapshot.frames_published,
        frames_dropped=snapshot.frames_dropped,
        frames_failed=snapshot.frames_failed,
        frames_idle=snapshot.frames_idle,
        drop_reasons=list(snapshot.dropped),
        drop_counts=list(snapshot.dropped.values()),
        input_names=list(snapshot.input_age_s),
        input_age_s=list(snapshot.input_age_s.values()),
        rate_in_hz=snapshot.rate_in_hz,
        rate_out_hz=snapshot.rate_out_hz,
        latency_p50_ms=latency_ms[0],
        latency_p99_ms=latency_ms[1],
        stage_names=list(stages),
        stage_p50_ms=[span[0] for span in stages.values()],
        stage_p99_ms=[span[1] for span in stages.values()],
        scale_state=snapshot.scale.state,
        scale_value=float(snapshot.scale.value),
        picture=list(quality.conditions),
        drift=quality.drift_line,
        given_up=list(snapshot.given_up),
        memory_mb=snapshot.rss_mb,
        cpu_temperature_c=snapshot.temperature_c,
        reload=snapshot.reload,
        scale_age_s=float(age_s) if math.isfinite(age_s) else math.nan,
        qos_faults=list(snapshot.qos_faults),
        silent_inputs=list(snapshot.silent_inputs),
        drift_names=list(quality.drift),
        drift_psi=[float(index) for index in quality.drift.values()],
        drift_outside=[float(quality.drift_outside.get(n, math.nan)) for n in quality.drift],
        boundary_agreement=float(quality.agreement),
    )
