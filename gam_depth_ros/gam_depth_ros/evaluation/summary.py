"""One table and one page over many recordings and models: ``summary.json``, ``summary.html``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gam_depth_ros.evaluation.batch import BatchEntry
from gam_depth_ros.evaluation.bootstrap import CONFIDENCE
from gam_depth_ros.evaluation.frame_values import FrameValues
from gam_depth_ros.evaluation.page import page_environment
from gam_depth_ros.evaluation.report import HTML_NAME
from gam_depth_ros.evaluation.verdict import headline

SUMMARY_JSON, SUMMARY_HTML = "summary.json", "summary.html"
ALL = "mean over recordings"

Report = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A figure of the table.

    Attributes:
        name: Its key in summary.json.
        title: Heading, with unit and direction.
        path: Where it stands in a report.
        digits: Decimal places.
        better: ``lower``, ``higher``, or empty where neither is.
        series: Its name in the report's series, for the interval; empty where it has none.
    """

    name: str
    title: str
    path: tuple[str, ...]
    digits: int = 3
    better: str = "lower"
    series: str = ""


COLUMNS = (
    Column("abs_rel", "AbsRel ↓", ("depth", "per_frame_median", "abs_rel"), series="abs_rel"),
    Column("floor", "blind guess", ("depth", "constant_floor", "per_frame_median", "abs_rel"),
           better=""),
    Column("rmse", "RMSE, m ↓", ("depth", "per_frame_median", "rmse"), series="rmse"),
    Column("d1", "δ < 1.25 ↑", ("depth", "per_frame_median", "d1"), better="higher", series="d1"),
    Column("online_abs_rel", "AbsRel, online scale ↓", ("depth", "online_scale", "abs_rel"),
           series="online_abs_rel"),
    Column("coverage", "within σ (0.683)", ("uncertainty", "coverage_1sigma", "online_scale"),
           better=""),
    Column("ause", "AUSE ↓", ("uncertainty", "ause_abs_rel")),
    Column("miou", "mIoU ↑", ("segmentation", "miou"), better="higher"),
    Column("opw", "OPW ↓", ("temporal", "opw")),
    Column("latency", "p50, ms", ("latency_ms", "p50"), 1, better=""),
)  # fmt: skip


def summarise_batch(entries: Sequence[BatchEntry]) -> Report:
    """Return the content of summary.json."""
    rows = [_row(entry) for entry in entries]
    return {
        "format_version": 1,
        "protocol": (
            "Figures as in each report; intervals of "
            f"{100 * CONFIDENCE:.0f} % over frames by a circular block bootstrap. Means over "
            "recordings give each the same weight, and count those alone that all models have."
        ),
        "columns": [
            {"name": column.name, "title": column.title, "better": column.better}
            for column in COLUMNS
        ],
        "rows": rows,
        "models": _means(rows),
    }


def write_summary(summary: Report, out: Path) -> tuple[Path, Path]:
    """Write both files into ``out``."""
    json_path, html_path = out / SUMMARY_JSON, out / SUMMARY_HTML
    text = json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False)
    json_path.write_text(text + "\n", encoding="utf-8")
    html_path.write_text(render_summary(summary), encoding="utf-8")
    return json_path, html_path


def render_summary(summary: Report) -> str:
    """Return the page: the means, then a block for each recording."""
    recordings = list(dict.fromkeys(row["recording"] for row in summary["rows"]))
    blocks = [
        {"title": name, "rows": [row for row in summary["rows"] if row["recording"] == name]}
        for name in recordings
    ]
    means = {"title": ALL, "rows": summary["models"]}
    return page_environment().get_template("summary.html.j2").render(
        summary=summary,
        headline=summary_headline(summary),
        blocks=[means, *blocks] if len(recordings) > 1 else blocks,
        columns=shown_columns(summary),
        best={block["title"]: best_of(block["rows"]) for block in [means, *blocks]},
        failures=[row for row in summary["rows"] if row["error"]],
    )


def shown_columns(summary: Report) -> list[Column]:
    """Return the columns that any recording has a figure in; all of them where none has."""
    shown = [
        column
        for column in COLUMNS
        if any(row["figures"][column.name] is not None for row in summary["rows"])
    ]
    return shown or list(COLUMNS)


def summary_headline(summary: Report) -> str:
    """Return the outcome in one sentence."""
    models, scored = summary["models"], [r for r in summary["rows"] if not r["error"]]
    recordings = len({row["recording"] for row in summary["rows"]})
    over = f"{recordings} recording" + ("s" if recordings != 1 else "")
    ranked = sorted(
        (row for row in models if row["figures"]["abs_rel"] is not None),
        key=lambda row: float(row["figures"]["abs_rel"]),
    )
    if not ranked:
        return f"{len(scored)} of {len(summary['rows'])} evaluations done; none has depth to score."
    first = ranked[0]
    text = f"{first['model']} is {100 * first['figures']['abs_rel']:.1f} % off over {over}"
    if len(ranked) < 2:
        return f"{text}, aligned per image."
    others = ", ".join(f"{row['model']} {100 * row['figures']['abs_rel']:.1f} %" for row in
                       ranked[1:4])
    return f"{text}, aligned per image; {others}."


def best_of(rows: Sequence[Report]) -> dict[str, float]:
    """Return the best value of each column with a better side, where there is a choice."""
    best = {}
    for column in COLUMNS:
        known = [row["figures"][column.name] for row in rows]
        known = [value for value in known if value is not None]
        if column.better and len(known) > 1:
            best[column.name] = min(known) if column.better == "lower" else max(known)
    return best


def _row(entry: BatchEntry) -> Report:
    report = entry.report
    row: Report = {
        "recording": entry.job.name,
        "model": entry.model_name,
        "page": f"{entry.model_name}/{entry.job.name}/{HTML_NAME}",
        "error": entry.error,
        "figures": dict.fromkeys(column.name for column in COLUMNS),
        "intervals": {},
        "frames": 0,
        "verdict": "",
    }
    if report is None:
        return row
    row["frames"] = report["frames"]["evaluated"]
    row["verdict"] = headline(report)
    for column in COLUMNS:
        row["figures"][column.name] = _at(report, column.path)
        interval = _interval(report, column.series)
        if interval is not None:
            row["intervals"][column.name] = interval
    return row


def _at(report: Report, path: Sequence[str]) -> float | None:
    found: Any = report
    for name in path:
        if found is None:
            return None
        found = found.get(name)
    return None if found is None else float(found)


def _interval(report: Report, name: str) -> list[float] | None:
    values = FrameValues(shares=("d1",))
    for row in report["series"] if name else ():
        values.add(name, row.get(name))
    return values.interval(name)


def _means(rows: Sequence[Report]) -> list[Report]:
    """Return one row for each model: means over the recordings that every model has a figure of."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    by_model = {name: {r["recording"]: r for r in rows if r["model"] == name} for name in models}
    means = []
    for name in models:
        figures: dict[str, float | None] = {}
        for column in COLUMNS:
            shared = [
                recording
                for recording in by_model[name]
                if all(
                    recording in of and of[recording]["figures"][column.name] is not None
                    for of in by_model.values()
                )
            ]
            values = [by_model[name][place]["figures"][column.name] for place in shared]
            figures[column.name] = float(np.mean(values)) if values else None
        frames = sum(row["frames"] for row in by_model[name].values())
        means.append(
            {"recording": ALL, "model": name, "figures": figures, "intervals": {}, "error": "",
             "frames": frames, "page": ""}
        )  # fmt: skip
    return means
