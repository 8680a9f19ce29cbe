"""What was mined, as ``mine.json`` and one self-contained page: each pick and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.evaluation.bag_writer import make_directory
from gam_depth_ros.evaluation.mining import REASONS
from gam_depth_ros.evaluation.mining_pictures import PickPicture
from gam_depth_ros.evaluation.page import page_environment
from gam_depth_ros.evaluation.pictures import (
    LABEL_BLEND,
    SIGMA_COLORS,
    SIGMA_LIMIT,
    encode_picture,
    paint,
    paint_depth,
)
from gam_depth_ros.evaluation.plotting import MEDIAN, MUTED, ONLINE, legend_above, render_plot

JSON_NAME = "mine.json"
HTML_NAME = "mine.html"
TITLES = {
    "sigma": "unsure",
    "unfamiliar": "unlike training",
    "scale": "scale surprised",
    "conflict": "depth and labels disagree",
}
CONFLICT_RGB = ((235, 90, 40), (40, 120, 235))
"""Steps in depth without a label boundary, and label boundaries without a step in depth."""

Report = dict[str, Any]


def write_mining(
    report: Report, pictures: Sequence[PickPicture], labels: LabelSet, out: Path
) -> tuple[Path, Path]:
    """Write both files into ``out``; raises BagError where it cannot be made."""
    make_directory(out)
    json_path, html_path = out / JSON_NAME, out / HTML_NAME
    text = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False)
    json_path.write_text(text + "\n", encoding="utf-8")
    html_path.write_text(render_mining(report, pictures, labels), encoding="utf-8")
    return json_path, html_path


def render_mining(report: Report, pictures: Sequence[PickPicture], labels: LabelSet) -> str:
    """Return the page."""
    plots = [("Drift", render_plot(_draw_drift, report))]
    return page_environment().get_template("mine.html.j2").render(
        report=report,
        headline=mining_headline(report),
        rows=[
            {
                "title": f"{pick['recording']}, {pick['seconds']:.1f} s",
                "facts": f"image {pick['index']}",
                "reasons": [_reason(name, share, pick) for name, share in pick["reasons"].items()],
                "panels": _panels(picture, labels),
            }
            for pick, picture in zip(report["picks"], pictures, strict=True)
        ],
        quantities=drift_quantities(report),
        reasons=[(TITLES[name], text) for name, text in REASONS.items()],
        plots=[image for _, image in plots if image],
        conflict_colors=["#{:02x}{:02x}{:02x}".format(*rgb) for rgb in CONFLICT_RGB],
    )


def mining_headline(report: Report) -> str:
    """Return what was found in one sentence."""
    frames = sum(row["frames"] for row in report["recordings"])
    picks = report["picks"]
    if not picks:
        return f"None of {frames} frames stands out: nothing to retrain on here."
    counts = {name: sum(name in pick["reasons"] for pick in picks) for name in REASONS}
    most = max(counts, key=counts.__getitem__)
    return (
        f"{len(picks)} of {frames} frames are worth retraining on, {counts[most]} of them as "
        f"{TITLES[most]}."
    )


def drift_quantities(report: Report) -> list[str]:
    """Return the quantities that drift was measured in, those that moved most first."""
    largest: dict[str, float] = {}
    for row in report["recordings"]:
        for name, value in row["drift"].items():
            largest[name] = max(value, largest.get(name, 0.0))
    return sorted(largest, key=lambda name: -largest[name])


def _reason(name: str, share: float, pick: Report) -> dict[str, str]:
    value = pick["figures"][name]
    return {
        "title": TITLES[name],
        "value": "" if value is None else f"{value:.2f}",
        "share": f"above {100 * share:.0f} % of the frames",
    }


def _panels(picture: PickPicture, labels: LabelSet) -> list[dict[str, str]]:
    panels = [("Colour", "", picture.rgb)]
    if picture.depth is not None:
        near, far = np.percentile(picture.depth, [1.0, 99.0])
        depth = paint_depth(picture.depth, (float(near), max(float(far), 1.01 * float(near))))
        panels.append(("Depth", "up to scale", depth))
    if picture.sigma_log is not None:
        sigma = paint(picture.sigma_log, SIGMA_COLORS, 0.0, SIGMA_LIMIT)
        panels.append(("Sigma", "share of depth", sigma))
    if picture.labels is not None:
        mask = labels.colorize(picture.labels).astype(np.float32)
        blended = LABEL_BLEND * mask + (1.0 - LABEL_BLEND) * picture.rgb
        panels.append(("Labels", "", np.asarray(blended, np.uint8)))
    if picture.conflict is not None:
        marked = (picture.rgb // 2 + 100).astype(np.uint8)
        for bit, color in enumerate(CONFLICT_RGB):
            marked[picture.conflict & (1 << bit) > 0] = color
        panels.append(("Boundaries that do not agree", "", marked))
    return [
        {"title": title, "caption": caption, "image": encode_picture(rgb, ".jpg")}
        for title, caption, rgb in panels
    ]


def _draw_drift(axes: Axes, report: Report) -> bool:
    """Draw the index of the quantities that moved most, recording by recording."""
    names, rows = drift_quantities(report)[:3], report["recordings"]
    if len(rows) < 2 or not names:
        return False
    places = np.arange(len(rows))
    for name, color in zip(names, (MEDIAN, ONLINE, MUTED), strict=False):
        values = [row["drift"].get(name, np.nan) for row in rows]
        axes.plot(places, values, color=color, lw=1.6, marker="o", ms=4, label=name)
    axes.axhline(0.25, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.set_xticks(places, [row["date"][:10] or row["name"][:10] for row in rows], rotation=30)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("PSI")
    legend_above(axes)
    return True
