"""The slowest seconds of a node's performance log: which stage was slow, and who had the processor.

A node that shares its cores is slow for two reasons that look alike from outside: its own work took
longer, or something else had the processor. The log tells one from the other.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gam_depth_ros.evaluation.performance import read_performance_log

LARGEST = 2  # of median, 99th percentile and largest
SHOWN_STAGES = 4


def slowest_seconds(path: Path, count: int, since_ns: int = 0) -> list[str]:
    """Return a line for each of the seconds with the slowest frames, the slowest first.

    Args:
        path: A performance log.
        count: How many lines at most.
        since_ns: Only what was written after this moment, by the node's clock; times count from it.
    """
    records = [
        row
        for row in read_performance_log(path).records
        if "latency" in row["stage_ms"] and row["stamp_ns"] >= since_ns
    ]
    slowest = sorted(records, key=lambda row: -row["stage_ms"]["latency"][LARGEST])
    begun_ns = since_ns or min((row["stamp_ns"] for row in records), default=0)
    return [_line(row, (row["stamp_ns"] - begun_ns) / 1e9) for row in slowest[:count]]


def _line(row: dict[str, Any], at_s: float) -> str:
    most = {name: values[LARGEST] for name, values in row["stage_ms"].items()}
    latency_ms = most.pop("latency")
    stages = sorted(most.items(), key=lambda item: -item[1])[:SHOWN_STAGES]
    text = f"at {at_s:5.1f} s: {latency_ms:.0f} ms; most in a stage: " + ", ".join(
        f"{name} {value:.0f}" for name, value in stages
    )
    spent = row.get("processor")
    if spent is not None:
        text += (
            f"; the node kept {_told(spent['own'])} cores busy, all together "
            f"{_told(spent['busy_share'])} of the machine, the hypervisor took "
            f"{_told(spent['stolen_share'])}; preempted {spent['preempted']} times"
        )
    return text


def _told(value: float | None) -> str:
    return "?" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    print("\n".join(slowest_seconds(Path(sys.argv[1]), 5)))
