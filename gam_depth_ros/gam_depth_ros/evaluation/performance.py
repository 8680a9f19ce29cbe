"""The node's performance log, read back and summed up.

A line is what ``performance_record`` of the node writes: counts since activation, and the
percentiles of one second. Files turn over by size; the older ones lie beside it as LOG.1, LOG.2...
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gam_depth_ros.evaluation.bag import BagError

FORMAT = "gam_depth performance 1"
LONGEST_LINE = 100_000
"""Bytes; the node's are about a thousand."""
GAP_S = 5.0
LATENCY = "latency"

Record = dict[str, Any]


@dataclass(frozen=True)
class PerformanceLog:
    """The usable lines of a log, oldest first.

    Attributes:
        records: The lines.
        files: How many files they came from.
        refused: Lines that are none of the node's: torn by a full disk, or of another program.
    """

    records: tuple[Record, ...]
    files: int
    refused: int


def read_performance_log(path: Path) -> PerformanceLog:
    """Read a log and the older files beside it.

    Raises:
        BagError: there is no such file, or no usable line in it; one line.
    """
    if not path.is_file():
        raise BagError(
            f"{path}: got no file, expected a performance log; the node writes one where its "
            "parameter performance_log.path says"
        )
    paths = [*_older(path), path]
    records: list[Record] = []
    refused = 0
    for part in paths:
        for line in _lines(part):
            record = _parsed(line)
            if record is None:
                refused += 1
            else:
                records.append(record)
    if not records:
        raise BagError(
            f"{path}: got {refused} lines and none of a performance log, expected '{FORMAT}'; "
            "choose the file that performance_log.path names"
        )
    return PerformanceLog(tuple(records), len(paths), refused)


def summarise(log: PerformanceLog) -> dict[str, Any]:
    """Sum a log up.

    Returns:
        Plain values: seconds covered, runs (activations), counts over all runs, stages
        (``median_ms`` of the seconds' medians, ``p99_ms`` exceeded in 1 % of the seconds by their
        99th percentile, ``max_ms``), rates, seconds by level, scale state and rung, memory,
        temperature. Unknown is None.
    """
    records = log.records
    ends = [first for first, second in pairwise(records) if _restarted(first, second)]
    ends.append(records[-1])
    steps_s = [_step_s(record) for record in records]
    return {
        "lines": len(records),
        "refused_lines": log.refused,
        "runs": len(ends),
        "seconds": float(sum(steps_s)),
        "model": records[-1]["model"],
        "models": sorted({f"{record['model']} {record['sha256']}" for record in records}),
        "provider": records[-1]["provider"],
        "precision": records[-1]["precision"],
        "frames": _total(ends, "frames"),
        "dropped": _total(ends, "dropped"),
        "engines_replaced": sum(record["engines_replaced"] for record in ends),
        "stages": _stages(records),
        "rate_hz": {
            side: _median([record["rate_hz"][side] for record in records])
            for side in ("in", "out")
        },
        "level_s": _seconds(records, steps_s, lambda record: [record["level"]]),
        "scale_s": _seconds(records, steps_s, lambda record: [record["scale"]["state"]]),
        "given_up_s": _seconds(records, steps_s, lambda record: record["given_up"]),
        "memory_mb": _first_last_max([record["memory_mb"] for record in records]),
        "temperature_c": _first_last_max([record["temperature_c"] for record in records]),
        "said": _said(records),
    }


def seconds_since_start(records: Sequence[Record]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return each record's time since the first, seconds; stamps that step back do not count."""
    stamps_s = np.array([record["stamp_ns"] / 1e9 for record in records])
    steps_s = np.diff(stamps_s)
    return np.concatenate([[0.0], np.cumsum(np.maximum(steps_s, 0.0))])


def _older(path: Path) -> list[Path]:
    """Return the full files beside a log, the oldest first."""
    numbered = re.compile(re.escape(path.name) + r"\.([0-9]{1,4})")
    found = [
        (int(match.group(1)), other)
        for other in path.parent.iterdir()
        if (match := numbered.fullmatch(other.name)) and other.is_file()
    ]
    return [other for _, other in sorted(found, reverse=True)]


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while line := stream.readline(LONGEST_LINE):
            if line.strip():
                yield line


def _parsed(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        return None
    return record


def _restarted(before: Record, after: Record) -> bool:
    """Whether counting began anew between two lines: the node was activated."""
    counts = [sum(record["frames"].values()) for record in (before, after)]
    return bool(counts[1] < counts[0])


def _step_s(record: Record) -> float:
    return float(min(record["span_s"], GAP_S))


def _total(ends: Sequence[Record], name: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for record in ends:
        total.update(record[name])
    return dict(total)


def _stages(records: Sequence[Record]) -> dict[str, dict[str, float]]:
    names = list(dict.fromkeys(name for record in records for name in record["stage_ms"]))
    stages = {}
    for name in names:
        rows = [record["stage_ms"][name] for record in records if name in record["stage_ms"]]
        p50_ms, p99_ms, most_ms = (np.array(column, float) for column in zip(*rows, strict=True))
        stages[name] = {
            "median_ms": float(np.median(p50_ms)),
            "p99_ms": float(np.percentile(p99_ms, 99)),
            "max_ms": float(most_ms.max()),
        }
    return stages


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _first_last_max(values: Sequence[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    if not known:
        return {"first": None, "last": None, "max": None}
    return {"first": known[0], "last": known[-1], "max": max(known)}


def _seconds(records: Sequence[Record], steps_s: Sequence[float], names: Any) -> dict[str, float]:
    total: Counter[str] = Counter()
    for record, step_s in zip(records, steps_s, strict=True):
        for name in names(record):
            total[name] += step_s  # type: ignore[assignment]
    return {name: float(value) for name, value in total.items()}


def _said(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return when the node was not well, and what it said first: one row for each stretch."""
    rows: list[dict[str, Any]] = []
    at_s = seconds_since_start(records)
    before = "OK"
    for record, second in zip(records, at_s, strict=True):
        level = record["level"]
        if level != "OK" and level != before:
            rows.append({"second": float(second), "level": level, "health": record["health"]})
        before = level
    return rows
