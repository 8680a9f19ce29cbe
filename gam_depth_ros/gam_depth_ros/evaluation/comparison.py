"""Two evaluations of the same recordings, held against each other frame by frame.

Both saw the same pictures, so what a picture has of difficulty drops out of B − A, and a
difference far smaller than the spread of the errors can be told. The interval of its mean comes
from :mod:`~gam_depth_ros.evaluation.bootstrap`; where it holds zero, there is no verdict.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.bootstrap import (
    CONFIDENCE,
    RESAMPLES,
    Interval,
    interval_of_mean,
)
from gam_depth_ros.evaluation.evaluate import PROTOCOL_MODE
from gam_depth_ros.evaluation.report import JSON_NAME

FORMAT_VERSION = 1
BETTER, WORSE, EQUAL, UNKNOWN = "better", "worse", "no difference", "too few frames"
NOT_JUDGED = "not judged"
PROTOCOL = (
    "B − A of each frame that both scored, mean over frames, then over recordings with the same "
    f"weight; intervals of {100 * CONFIDENCE:.0f} % by a circular block bootstrap within each "
    f"recording ({RESAMPLES} resamples). A verdict needs an interval without zero. Latency "
    "gets none: the two runs had the machine at different times."
)
OF_PICTURES = (
    " A test set's pictures are no neighbours: where a figure is of such pictures alone, each is "
    "drawn by itself."
)

Report = dict[str, Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """A figure that the reports keep of every frame.

    Attributes:
        name: Its key in the report's series.
        title: In words, with its alignment.
        unit: Unit; empty for a plain ratio.
        higher_is_better: Direction.
        judged: Whether a difference is the model's doing.
    """

    name: str
    title: str
    unit: str = ""
    higher_is_better: bool = False
    judged: bool = True


METRICS = (
    Metric("abs_rel", "AbsRel, aligned per image"),
    Metric("rmse", "RMSE, aligned per image", "m"),
    Metric("d1", "δ < 1.25, aligned per image", higher_is_better=True),
    Metric("online_abs_rel", "AbsRel, scale learnt online"),
    Metric("online_rmse", "RMSE, scale learnt online", "m"),
    Metric("online_d1", "δ < 1.25, scale learnt online", higher_is_better=True),
    Metric("latency_ms", "Latency", "ms", judged=False),
)
METRIC_OF = {metric.name: metric for metric in METRICS}


def load_results(path: Path) -> list[Report]:
    """Read evaluations: one report.json, a folder that has one, or a folder of such folders.

    Raises:
        BagError: nothing there, or something that no evaluation wrote.
    """
    files = [path] if path.is_file() else [path / JSON_NAME]
    if path.is_dir() and not files[0].exists():
        files = sorted(path.glob(f"*/{JSON_NAME}"))
    if not files or not files[0].exists():
        raise BagError(
            f"{path}: got no {JSON_NAME} there, expected what `gam-depth evaluate` writes, or an "
            ".onnx file; evaluate first"
        )
    return [_load(file) for file in files]


def _load(file: Path) -> Report:
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        named = str(report["recording"]["name"])
        rows = [(int(row["stamp_ns"]), str(row["status"])) for row in report["series"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BagError(
            f"{file}: got {error!r} while reading it, expected a report of `gam-depth evaluate`; "
            "evaluate again"
        ) from error
    if not named or not rows:
        raise BagError(f"{file}: got a report without frames, expected some; evaluate again")
    return dict(report)


def pair_results(a: Sequence[Report], b: Sequence[Report]) -> list[tuple[Report, Report]]:
    """Bring together the reports on the same recording; a single one of each is a pair as it is.

    Raises:
        BagError: no recording that both evaluated.
    """
    if len(a) == len(b) == 1:
        return [(a[0], b[0])]
    of_b = {report["recording"]["name"]: report for report in b}
    pairs = [
        (report, of_b[report["recording"]["name"]])
        for report in a
        if report["recording"]["name"] in of_b
    ]
    if not pairs:
        names = ", ".join(sorted({report["recording"]["name"] for report in a}))
        raise BagError(
            f"results: got none of {names} in B, expected a recording that both evaluated; "
            "evaluate B on the same recordings"
        )
    return pairs


def compare(pairs: Sequence[tuple[Report, Report]], *, seed: int = 0) -> dict[str, Any]:
    """Compare B with A.

    Args:
        pairs: A's and B's report of each recording.
        seed: Of the bootstrap; the same gives the same figures.

    Returns:
        The content of ``compare.json``: for each metric that both have, over all recordings and
        for each, the means, the difference, its interval and the verdict on B.

    Raises:
        BagError: no frame that both scored.
    """
    recordings = []
    for a, b in pairs:
        metrics = [_compared(metric, [(a, b)], seed) for metric in METRICS]
        recordings.append(
            {
                "name": a["recording"]["name"],
                "frames_a": a["frames"]["in"],
                "frames_b": b["frames"]["in"],
                "metrics": [entry for entry in metrics if entry is not None],
                "differences": _differences(a, b, "abs_rel"),
            }
        )
    overall = [_compared(metric, pairs, seed) for metric in METRICS]
    known = [entry for entry in overall if entry is not None]
    if not known:
        raise BagError(
            "results: got no frame with scores in both, expected the same stamps in A and B; "
            "evaluate both on the same recording, with reference depth"
        )
    return {
        "format_version": FORMAT_VERSION,
        "protocol": PROTOCOL + OF_PICTURES if any(map(_of_pictures, pairs)) else PROTOCOL,
        "confidence": CONFIDENCE,
        "a": _about(pairs[0][0]),
        "b": _about(pairs[0][1]),
        "metrics": known,
        "recordings": recordings,
        "notes": _notes(pairs),
    }


def _compared(
    metric: Metric, pairs: Sequence[tuple[Report, Report]], seed: int
) -> dict[str, Any] | None:
    """Return the row of a metric; None where no pair has frames with it."""
    values = [_paired(a, b, metric.name) for a, b in pairs]
    values = [pair for pair in values if pair[0].size]
    if not values:
        return None
    pictures = all(map(_of_pictures, pairs))
    interval = interval_of_mean(
        [b - a for a, b in values], seed=seed, block_frames=1 if pictures else None
    )
    known = math.isfinite(interval.low)
    return {
        "name": metric.name,
        "title": metric.title,
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        "a": float(np.mean([a.mean() for a, _ in values])),
        "b": float(np.mean([b.mean() for _, b in values])),
        "difference": interval.mean,
        "low": interval.low if known else None,
        "high": interval.high if known else None,
        "verdict": _verdict(metric, interval),
        "frames": interval.frames,
        "block_frames": interval.block_frames,
    }


def _of_pictures(pair: tuple[Report, Report]) -> bool:
    return all(report.get("mode") == PROTOCOL_MODE for report in pair)


def _verdict(metric: Metric, interval: Interval) -> str:
    low, high = interval.low, interval.high
    if not metric.judged:
        return NOT_JUDGED
    if not (math.isfinite(low) and math.isfinite(high)):
        return UNKNOWN
    if low <= 0.0 <= high:
        return EQUAL
    return BETTER if (low > 0.0) == metric.higher_is_better else WORSE


def _paired(a: Report, b: Report, name: str) -> tuple[Floats, Floats]:
    """Return a metric of the frames that both have, in the order of their stamps."""
    of_a, of_b = _by_stamp(a, name), _by_stamp(b, name)
    stamps = sorted(of_a.keys() & of_b.keys())
    return np.array([of_a[s] for s in stamps]), np.array([of_b[s] for s in stamps])


def _by_stamp(report: Report, name: str) -> dict[int, float]:
    return {
        row["stamp_ns"]: float(row[name])
        for row in report["series"]
        if row.get(name) is not None
    }


def _differences(a: Report, b: Report, name: str) -> list[dict[str, float]]:
    """Return B − A over time, for the plot."""
    of_a, of_b = _by_stamp(a, name), _by_stamp(b, name)
    stamps = sorted(of_a.keys() & of_b.keys())
    return [
        {"seconds": (stamp - stamps[0]) / 1e9, "difference": of_b[stamp] - of_a[stamp]}
        for stamp in stamps
    ]


def _about(report: Report) -> dict[str, str]:
    model = report["model"]
    return {key: str(model.get(key, "")) for key in ("name", "path", "sha256", "provider")} | {
        "mode": str(report.get("mode", ""))
    }


def _notes(pairs: Sequence[tuple[Report, Report]]) -> list[str]:
    """Return what a reader of the verdict has to know."""
    notes = []
    for a, b in pairs:
        name, other = a["recording"]["name"], b["recording"]["name"]
        if name != other:
            notes.append(f"A evaluated {name} and B {other}: frames are paired by their stamps")
        shared = len(_paired(a, b, "abs_rel")[0])
        most = max(len(_by_stamp(report, "abs_rel")) for report in (a, b))
        if shared < most:
            notes.append(f"{name}: {shared} of {most} scored frames are in both")
        protocols = {(report["depth"] or {}).get("protocol") for report in (a, b)}
        if len(protocols) > 1:
            notes.append(f"{name}: A and B were scored by different protocols; evaluate both anew")
    if {pair[0]["model"].get("provider") for pair in pairs} != {
        pair[1]["model"].get("provider") for pair in pairs
    }:
        notes.append("A and B ran on different providers: their latencies do not compare")
    return notes
