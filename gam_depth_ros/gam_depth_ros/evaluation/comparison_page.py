"""A comparison as ``compare.json`` and one self-contained page, ``compare.html``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gam_depth_ros.evaluation.bag_writer import make_directory
from gam_depth_ros.evaluation.comparison import BETTER, EQUAL, NOT_JUDGED, UNKNOWN, WORSE
from gam_depth_ros.evaluation.page import page_environment
from gam_depth_ros.evaluation.plotting import FLOOR, MEDIAN, MUTED, ONLINE, render_plot

JSON_NAME = "compare.json"
HTML_NAME = "compare.html"
COLORS = {BETTER: "#1d7f4e", WORSE: "#c8372d"}
PLAIN_COLOR = "#6b7686"
SHORT = {
    "abs_rel": "AbsRel median",
    "rmse": "RMSE median",
    "d1": "δ < 1.25 median",
    "online_abs_rel": "AbsRel online",
    "online_rmse": "RMSE online",
    "online_d1": "δ < 1.25 online",
}
"""What the terminal calls a metric: it has 80 columns."""

Comparison = dict[str, Any]


def write_comparison(comparison: Comparison, out: Path) -> tuple[Path, Path]:
    """Write both files into ``out``, which is made if need be; return their paths.

    Raises:
        BagError: ``out`` cannot be made.
    """
    make_directory(out)
    json_path, html_path = out / JSON_NAME, out / HTML_NAME
    text = json.dumps(comparison, indent=2, allow_nan=False, ensure_ascii=False)
    json_path.write_text(text + "\n", encoding="utf-8")
    html_path.write_text(render_comparison(comparison), encoding="utf-8")
    return json_path, html_path


def render_comparison(comparison: Comparison) -> str:
    """Return the page."""
    return (
        page_environment()
        .get_template("compare.html.j2")
        .render(
            c=comparison,
            headline=comparison_headline(comparison),
            rows=comparison_rows(comparison["metrics"]),
            recordings=[
                {**recording, "rows": comparison_rows(recording["metrics"])}
                for recording in comparison["recordings"]
            ],
            figures=_figures(comparison),
        )
    )


def comparison_headline(comparison: Comparison) -> str:
    """Return the verdict in one sentence, on AbsRel or the first metric that there is."""
    first = comparison["metrics"][0]
    others = [row for row in comparison["metrics"] if row["verdict"] != NOT_JUDGED]
    counts = {
        verdict: sum(row["verdict"] == verdict for row in others) for verdict in (BETTER, WORSE)
    }
    opening = {
        BETTER: "B is better than A",
        WORSE: "B is worse than A",
        NOT_JUDGED: "No metric in common gives a verdict",
        EQUAL: "No difference between B and A can be told",
        UNKNOWN: "Too few frames for a verdict",
    }[first["verdict"]]
    tail = f"{counts[BETTER]} of {len(others)} metrics better, {counts[WORSE]} worse"
    return f"{opening}: {first['title']} {first['b']:.3f} against {first['a']:.3f}; {tail}."


def comparison_rows(metrics: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the table's rows as text: A, B, the difference with its interval, the verdict."""
    rows = []
    for row in metrics:
        unit = f", {row['unit']}" if row["unit"] else ""
        digits = 1 if row["unit"] == "ms" else 4
        interval = "–"
        if row["low"] is not None:
            interval = f"{row['low']:+.{digits}f} to {row['high']:+.{digits}f}"
        rows.append(
            {
                "short": SHORT.get(row["name"], row["title"]) + unit,
                "title": row["title"] + unit,
                "arrow": "↑" if row["higher_is_better"] else "↓",
                "a": f"{row['a']:.{digits}f}",
                "b": f"{row['b']:.{digits}f}",
                "difference": f"{row['difference']:+.{digits}f}",
                "interval": interval,
                "verdict": row["verdict"],
                "color": COLORS.get(row["verdict"], PLAIN_COLOR),
                "frames": str(row["frames"]),
                "block": str(row["block_frames"]),
            }
        )
    return rows


def _figures(comparison: Comparison) -> list[dict[str, str]]:
    figures = []
    for recording in comparison["recordings"]:
        image = render_plot(_draw_differences, recording)
        if image:
            figures.append({"title": recording["name"], "image": image})
    return figures


def _draw_differences(axes: Axes, recording: dict[str, Any]) -> bool:
    rows = recording["differences"]
    if not rows:
        return False
    seconds = np.array([row["seconds"] for row in rows])
    values = np.array([row["difference"] for row in rows])
    better = values < 0.0
    for shown, color in ((better, MEDIAN), (~better, ONLINE)):
        axes.plot(seconds[shown], values[shown], color=color, lw=0, marker="o", ms=2.6)
    axes.axhline(0.0, color=MUTED, lw=0.8)
    axes.axhline(float(values.mean()), color=FLOOR, lw=1.4, ls=(0, (4, 3)))
    axes.set_xlabel("seconds")
    axes.set_ylabel("AbsRel, B − A")
    return True
