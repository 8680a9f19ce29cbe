"""An evaluation as ``report.json`` and as one self-contained page, ``report.html``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gam_depth_ros.evaluation.bag_writer import make_directory
from gam_depth_ros.evaluation.cards import ALIGNED, cards, metric_alignment
from gam_depth_ros.evaluation.evaluate import EvaluationResult
from gam_depth_ros.evaluation.figure_kinds import DEPTH_KINDS, KINDS
from gam_depth_ros.evaluation.figures import all_figures
from gam_depth_ros.evaluation.film import film_strip
from gam_depth_ros.evaluation.page import page_environment
from gam_depth_ros.evaluation.pictures import (
    DEPTH_COLORS,
    ERROR_COLORS,
    ERROR_LIMIT,
    SIGMA_COLORS,
    SIGMA_LIMIT,
    color_bar,
    depth_limits_m,
    legend,
    picture_rows,
)
from gam_depth_ros.evaluation.trust import trust_rows
from gam_depth_ros.evaluation.verdict import headline, remarks

ONE_SCALE = "one scale for the whole sequence"
LEAST_SHOWN_SHARE = 0.01
JSON_NAME = "report.json"
HTML_NAME = "report.html"

COLUMNS = tuple((name, kind.heading) for name, kind in DEPTH_KINDS.items())
"""Name in the JSON and heading; the arrow points to the better side."""

Report = dict[str, Any]


def write_report(result: EvaluationResult, out: Path) -> tuple[Path, Path]:
    """Write both files into ``out``, which is made if need be.

    Returns:
        The paths of the JSON file and of the page.

    Raises:
        BagError: ``out`` cannot be made.
    """
    make_directory(out)
    json_path, html_path = out / JSON_NAME, out / HTML_NAME
    json_path.write_text(json_text(result.report), encoding="utf-8")
    html_path.write_text(render(result), encoding="utf-8")
    return json_path, html_path


def json_text(report: Report) -> str:
    """Return the content of ``report.json``."""
    return json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def render(result: EvaluationResult) -> str:
    """Return the page."""
    report, limits_m = result.report, depth_limits_m(result.pictures)
    return page_environment().get_template("report.html.j2").render(
        report=report,
        headline=headline(report),
        remarks=remarks(report),
        cards=cards(report),
        columns=COLUMNS,
        kinds=KINDS,
        rows=table_rows(report),
        trust=trust_rows(report),
        figures=all_figures(report),
        pictures=picture_rows(result.pictures, result.labels, limits_m),
        causes=failure_rows(result, limits_m),
        film=film_strip(result.film, result.labels, limits_m),
        parts=part_tables(report),
        legend=legend(result.labels, result.pictures),
        bars=color_bars(result, limits_m),
        accounts=accounts(report),
    )


def failure_rows(
    result: EvaluationResult, limits_m: tuple[float, float]
) -> list[dict[str, Any]]:
    """Return cause, meaning, number of frames and the worst pictures of each, by cause."""
    return [
        {
            **group,
            "rows": picture_rows(
                [("", picture) for picture in result.failures.get(group["cause"], [])],
                result.labels,
                limits_m,
            ),
        }
        for group in result.report["failure_causes"]
    ]


def part_tables(report: Report) -> list[dict[str, Any]]:
    """Return the tables of errors by region, by class and by range that the report has."""
    by_range = [
        {
            **row,
            "name": f"{row['from_m']:g}–{row['to_m']:g} m",
            "about": "",
        }
        for row in (report["depth"] or {}).get("by_range", [])
        if row["pixel_share"] >= LEAST_SHOWN_SHARE
    ]
    candidates = (
        ("Region", report["by_region"]),
        ("Class, as predicted", report["by_class"]),
        ("Range, all pixels pooled", by_range),
    )
    return [
        {
            "title": title,
            "rows": rows,
            "columns": [name for name in ("abs_rel", "bias", "d1") if name in rows[0]],
        }
        for title, rows in candidates
        if rows
    ]


def color_bars(result: EvaluationResult, limits_m: tuple[float, float]) -> list[dict[str, Any]]:
    """Return the colour bars that the pictures need: title, image, and what its places mean."""
    shown = [picture for _, picture in result.pictures]
    near, far = limits_m
    metric = any(picture.alignment != "up to scale" for picture in shown)
    places = [
        f"{depth:.1f} {'m' if metric else 'units'}" for depth in (near, math.sqrt(near * far), far)
    ]
    bars = [{"title": "Depth", "image": color_bar(DEPTH_COLORS), "places": places}]
    if any(picture.truth_m is not None for picture in shown):
        places = [
            f"−{100 * ERROR_LIMIT:.0f} % too near",
            "0",
            f"+{100 * ERROR_LIMIT:.0f} % too far",
        ]
        bars.append({"title": "Error", "image": color_bar(ERROR_COLORS), "places": places})
    if any(picture.relative_sigma is not None for picture in shown):
        places = ["0 %", f"{100 * SIGMA_LIMIT:.0f} % of depth"]
        bars.append({"title": "Sigma", "image": color_bar(SIGMA_COLORS), "places": places})
    return bars


def table_rows(report: Report) -> list[dict[str, Any]]:
    """Return the rows of the depth table: what, against what, and the scores."""
    rows: list[dict[str, Any]] = []
    metric = metric_alignment(report)
    nothing = {name: None for name, _ in COLUMNS}
    for key, truth in (("depth", "sensor depth"), ("depth_exact", "exact depth")):
        scores = report[key]
        if scores is None:
            continue
        floor = scores["constant_floor"]
        for title, short, note, entry in (
            ("Network", "median", ALIGNED, scores["per_frame_median"]),
            ("Constant depth", "floor", ALIGNED, floor["per_frame_median"]),
            ("Network", "online", metric, scores["online_scale"]),
            ("Constant depth", "floor", "scale learnt online", floor["online_scale"]),
            ("Network", "sequence", ONE_SCALE, scores["per_sequence"]),
            ("Network", "raw", "as the network gives it, scale 1", scores["raw"]),
        ):
            rows.append(
                {
                    "title": title,
                    "short": short if key == "depth" else f"{short} (exact)",
                    "note": f"{note}, against {truth}",
                    "scores": {**nothing, **entry},
                    "is_floor": title != "Network",
                }
            )
    return rows


def accounts(report: Report) -> list[dict[str, Any]]:
    """Return where every image went, in the order of the bar."""
    frames = report["frames"]
    meanings = (
        ("evaluated", "evaluated", "#1f5fbf"),
        ("without_truth", "without reference depth", "#b9c3d0"),
        ("dropped", "dropped", "#e0a33a"),
        ("failed", "failed", "#c8372d"),
    )
    return [
        {"title": title, "count": frames[name], "color": color}
        for name, title, color in meanings
        if frames[name] or name == "evaluated"
    ]
