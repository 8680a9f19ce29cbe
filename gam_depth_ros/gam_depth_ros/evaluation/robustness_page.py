"""The robustness card: ``robustness.json`` and one self-contained page, ``robustness.html``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from gam_depth_ros.evaluation.bag_writer import make_directory
from gam_depth_ros.evaluation.page import number, page_environment
from gam_depth_ros.evaluation.pictures import (
    DEPTH_COLORS,
    UNKNOWN_RGB,
    color_bar,
    encode_picture,
    paint_depth,
)
from gam_depth_ros.evaluation.plotting import FLOOR, MEDIAN, MUTED, legend_above, render_plot
from gam_depth_ros.evaluation.robustness import RobustnessRun
from gam_depth_ros.evaluation.robustness_scores import CLEAN

FORMAT_VERSION = 1
JSON_NAME = "robustness.json"
HTML_NAME = "robustness.html"
PROTOCOL = (
    "DEE = (AbsRel − δ1 + 1) / 2 of each picture, under per-image median alignment, predictions "
    "clipped to 0.1–10 m, mean over pictures. The truth is the sensor's for the clean picture, "
    "also where an elastic or zoomed picture has moved against it. CE: DEE summed over the "
    "severities, against the baseline's; RR: mean of 1 − DEE over the severities, against that of "
    "the clean pictures; mCE and mRR: their means over the corruptions."
)
GOOD_RGB, BAD_RGB = (255, 255, 255), (222, 106, 72)
TITLES = {
    "quantisation": "few levels",
    "gaussian": "Gaussian noise",
    "impulse": "impulse noise",
    "shot": "shot noise",
    "iso": "ISO noise",
    "jpeg": "JPEG",
}

Card = dict[str, Any]


def write_robustness(
    run: RobustnessRun, summary: Card, about: Card, out: Path
) -> tuple[Card, tuple[Path, Path]]:
    """Write both files into ``out``, which is made if need be.

    Args:
        run: The pictures and what was refused.
        summary: From :func:`~gam_depth_ros.evaluation.robustness_scores.summarise`.
        about: ``model``, ``baseline``, ``recordings``, ``seed`` and ``frames_asked``.
        out: The directory.

    Returns:
        The content of the JSON file, and the paths of it and of the page.

    Raises:
        BagError: ``out`` cannot be made.
    """
    make_directory(out)
    head = {"format_version": FORMAT_VERSION, "protocol": PROTOCOL}
    card = {**head, **about, **summary, "failures": run.failures}
    json_path, html_path = out / JSON_NAME, out / HTML_NAME
    text = json.dumps(card, indent=2, allow_nan=False, ensure_ascii=False)
    json_path.write_text(text + "\n", encoding="utf-8")
    html_path.write_text(render_robustness(card, run), encoding="utf-8")
    return card, (json_path, html_path)


def render_robustness(card: Card, run: RobustnessRun) -> str:
    """Return the page."""
    limits_m = _limits_m(run)
    return (
        page_environment()
        .get_template("robustness.html.j2")
        .render(
            card=card,
            headline=robustness_headline(card),
            rows=table(card),
            figures=_figures(card),
            sheet=_sheet(run, limits_m),
            depth_bar={
                "image": color_bar(DEPTH_COLORS),
                "places": [f"{limits_m[0]:.1f} m", f"{limits_m[1]:.1f} m"],
            },
        )
    )


def robustness_headline(card: Card) -> str:
    """Return the verdict in one sentence."""
    known = [row for row in card["corruptions"] if row["rr"] is not None]
    if not known:
        return "Nothing could be tried: no frame with a reference depth."
    worst = min(known, key=lambda row: float(row["rr"]))
    kept = f"{100 * card['mrr']:.0f}\u00a0% of its clean score"
    if len(known) == 1:
        return f"Under {title_of(worst['name'])} the model keeps {kept}."
    return (
        f"Corrupted pictures leave the model {kept} on average; "
        f"{title_of(worst['name'])} hurts most and leaves {100 * worst['rr']:.0f}\u00a0%."
    )


def title_of(name: str) -> str:
    """Return a corruption's name in words."""
    return TITLES.get(name, name)


def table(card: Card) -> list[Card]:
    """Return the rows of the table: figures of each corruption, its cells with their shade."""
    clean = card["clean"]["dee"] or 0.0
    worst = max(
        (cell["dee"] or 0.0 for row in card["corruptions"] for cell in row["severities"]),
        default=0.0,
    )
    span = max(worst - clean, 1e-6)
    return [
        {
            "title": title_of(row["name"]),
            "ce": number(row["ce"]),
            "rr": number(row["rr"]),
            "noticing": number(row["sigma_rank_correlation"], 2),
            "cells": [
                {
                    "text": number(cell["dee"]),
                    "color": _shade(((cell["dee"] or 0.0) - clean) / span),
                    "sigma": number(cell["sigma_ratio"], 2),
                    "alarm": number(cell["alarm_share"], 2),
                }
                for cell in row["severities"]
            ],
        }
        for row in card["corruptions"]
    ]


def _shade(share: float) -> str:
    position = min(max(share, 0.0), 1.0)
    mixed = np.array(GOOD_RGB) + position * (np.array(BAD_RGB) - np.array(GOOD_RGB))
    return "#{:02x}{:02x}{:02x}".format(*mixed.round().astype(int))


def _figures(card: Card) -> list[dict[str, str]]:
    candidates = (
        (
            "Does sigma notice?",
            "Each dot: one corruption in one severity. Right: depth got worse; up: sigma rose.",
            _draw_noticing,
        ),
        (
            "Where the error is against the baseline",
            f"CE: summed DEE against {card['baseline']['name']}; below 1 is better than it.",
            _draw_ce,
        ),
    )
    found = []
    for title, caption, draw in candidates:
        image = render_plot(draw, card)
        if image:
            found.append({"title": title, "caption": caption, "image": image})
    return found


def _draw_noticing(axes: Axes, card: Card) -> bool:
    cells = [
        cell
        for row in card["corruptions"]
        for cell in row["severities"]
        if cell["dee_rise"] is not None and cell["sigma_ratio"] is not None
    ]
    if not cells:
        return False
    axes.axhline(1.0, color=MUTED, lw=0.8)
    axes.axvline(0.0, color=MUTED, lw=0.8)
    for severity, color in enumerate(mpl.colormaps["viridis_r"](np.linspace(0.1, 1.0, 5)), 1):
        shown = [cell for cell in cells if cell["severity"] == severity]
        axes.plot(
            [cell["dee_rise"] for cell in shown],
            [cell["sigma_ratio"] for cell in shown],
            color=color,
            lw=0,
            marker="o",
            ms=4,
            label=str(severity),
        )
    legend_above(axes, columns=5)
    axes.set_xlabel("rise of DEE against the clean picture")
    axes.set_ylabel("sigma ÷ clean sigma")
    return True


def _draw_ce(axes: Axes, card: Card) -> bool:
    rows = [row for row in card["corruptions"] if row["ce"] is not None][::-1]
    if not rows:
        return False
    names = [title_of(row["name"]) for row in rows]
    axes.barh(names, [row["ce"] for row in rows], color=MEDIAN, height=0.62)
    axes.axvline(1.0, color=FLOOR, lw=1.4, ls=(0, (4, 3)), label=card["baseline"]["name"])
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", labelsize=6.5)
    axes.set_xlabel("CE")
    legend_above(axes)
    return True


def _limits_m(run: RobustnessRun) -> tuple[float, float]:
    """Return the ends of the depth colours: the middle of the truth that is shown."""
    truth = np.empty(0) if run.truth_m is None else run.truth_m[np.isfinite(run.truth_m)]
    truth = truth[truth > 0.0]
    if not truth.size:
        return 0.5, 5.0
    near, far = np.percentile(truth, [2.0, 98.0])
    return float(max(0.2, near)), float(max(far, 1.5 * near))


def _sheet(run: RobustnessRun, limits_m: tuple[float, float]) -> list[dict[str, Any]]:
    """Return a row for each corruption: pictures of all severities, and the depth of each."""
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(picture.corruption for picture in run.sheet):
        pictures = [picture for picture in run.sheet if picture.corruption == name]
        depths = [
            np.full_like(picture.rgb, UNKNOWN_RGB)
            if picture.depth_m is None
            else paint_depth(picture.depth_m, limits_m)
            for picture in pictures
        ]
        colors = [picture.rgb for picture in pictures]
        if name == CLEAN and run.truth_m is not None:
            colors.append(depths[0])
            known = np.where(run.truth_m > 0.0, run.truth_m, np.nan).astype(np.float32)
            colors.append(paint_depth(known, limits_m))
            depths = []
        rows.append(
            {
                "title": "clean" if name == CLEAN else title_of(name),
                "is_clean": name == CLEAN,
                "pictures": encode_picture(_strip(colors), ".jpg"),
                "depths": encode_picture(_strip(depths), ".jpg") if depths else "",
            }
        )
    return rows


def _strip(pictures: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Put pictures of one size side by side, a thin white gap between."""
    gap = np.full((pictures[0].shape[0], 3, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)][:-1]
    return np.concatenate(parts, axis=1)
