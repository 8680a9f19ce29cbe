"""The report's plots, as SVG: small, sharp on any screen and in print."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gam_depth_ros.evaluation.label_figures import draw_confusion, draw_labels, draw_reliability
from gam_depth_ros.evaluation.plotting import (
    FLOOR,
    MEDIAN,
    MUTED,
    ONLINE,
    Report,
    legend_above,
    render_plot,
)


def all_figures(report: Report) -> list[dict[str, str]]:
    """Draw every plot that the report has data for.

    Returns:
        Title, caption and image (a data URI) of each.
    """
    candidates = (
        (
            "Error, frame by frame",
            "AbsRel of each frame. Dashed: what a constant depth scores on average.",
            _draw_frames,
        ),
        ("Scale over time", "Metres per unit of network depth.", _draw_scale),
        (
            "Error by range",
            "After median alignment, pooled over all pixels. Bars: share of pixels.",
            _draw_ranges,
        ),
        (
            "Does sigma keep its promise?",
            "Share of pixels whose error is within k sigma, against a normal law.",
            _draw_coverage,
        ),
        (
            "Does sigma know where the errors are?",
            "AbsRel of what is left when the least sure pixels are taken away.",
            _draw_sparsification,
        ),
        ("Labels", "Intersection over union by class.", draw_labels),
        (
            "Are labels as sure as they should be?",
            "Share of right pixels by the confidence that the network states.",
            draw_reliability,
        ),
        ("Which labels are mistaken for which?", "Share of each true class.", draw_confusion),
        ("Latency", report["latency_ms"]["of"].capitalize() + ".", _draw_latency),
    )
    figures = []
    for title, caption, draw in candidates:
        image = render_plot(draw, report)
        if image:
            figures.append({"title": title, "caption": caption, "image": image})
    return figures


def _column(report: Report, name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return seconds since the start and values of a series, where it has values."""
    rows = [row for row in report["series"] if row.get(name) is not None]
    if not rows:
        return np.empty(0), np.empty(0)
    start = min(row["stamp_ns"] for row in report["series"] if row["status"] != "failed")
    seconds = np.array([(row["stamp_ns"] - start) / 1e9 for row in rows])
    return seconds, np.array([float(row[name]) for row in rows])


def _draw_frames(axes: Axes, report: Report) -> bool:
    if report["depth"] is None:
        return False
    drawn = False
    for name, color, label in (
        ("online_abs_rel", ONLINE, "online scale"),
        ("abs_rel", MEDIAN, "per image"),
    ):
        seconds, values = _column(report, name)
        if values.size:
            drawn = True
            marker = "o" if values.size < 60 else ""
            axes.plot(seconds, values, color=color, label=label, lw=1.6, marker=marker, ms=3)
    floor = report["depth"]["constant_floor"]["per_frame_median"]["abs_rel"]
    if floor is not None:
        axes.axhline(floor, color=FLOOR, lw=1.4, ls=(0, (4, 3)), label="constant")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("AbsRel")
    legend_above(axes)
    return drawn


def _draw_scale(axes: Axes, report: Report) -> bool:
    seconds, ideal = _column(report, "ideal_scale")
    used_seconds, used = _column(report, "scale")
    if not used.size or (report["mode"] == "recorded" and not ideal.size):
        return False
    if ideal.size and report["mode"] == "offline":
        axes.plot(
            seconds, ideal, color=FLOOR, lw=0, marker="o", ms=3, label="each frame's own ratio"
        )
    band_seconds, spread = _column(report, "scale_sigma_log")
    if spread.size == used.size and np.array_equal(band_seconds, used_seconds):
        low_side, high_side = used * np.exp(-spread), used * np.exp(spread)
        axes.fill_between(
            used_seconds, low_side, high_side, color=ONLINE, alpha=0.18, lw=0, label="its sigma"
        )
    axes.plot(used_seconds, used, color=ONLINE, lw=1.6, label="scale in use")
    everything = np.concatenate([ideal if report["mode"] == "offline" else used, used])
    low, high = float(everything.min()), float(everything.max())
    margin = max(0.1 * (high - low), 0.05 * high)
    axes.set_ylim(max(0.0, low - margin), high + margin)
    axes.set_xlabel("seconds")
    axes.set_ylabel("m per unit")
    legend_above(axes)
    return True


def _draw_ranges(axes: Axes, report: Report) -> bool:
    rows = report["depth"]["by_range"] if report["depth"] else []
    if not rows:
        return False
    centres = np.array([(row["from_m"] + row["to_m"]) / 2 for row in rows])
    shares = axes.twinx()
    shares.bar(centres, [row["pixel_share"] for row in rows], width=0.42, color="#e8ecf1")
    shares.set_axis_off()
    shares.set_ylim(0, 2.2 * max(row["pixel_share"] for row in rows))
    shares.set_zorder(0)
    axes.set_zorder(1)
    axes.patch.set_visible(False)
    common = [row for row in rows if row["pixel_share"] >= 1e-3]
    centres = np.array([(row["from_m"] + row["to_m"]) / 2 for row in common])
    axes.plot(
        centres,
        [100 * row["abs_rel"] for row in common],
        color=MEDIAN,
        lw=1.8,
        marker="o",
        ms=3.5,
        label="absolute",
    )
    axes.plot(
        centres,
        [100 * row["bias"] for row in common],
        color=ONLINE,
        lw=1.4,
        marker="o",
        ms=3,
        label="signed (+ too far)",
    )
    axes.axhline(0, color=MUTED, lw=0.8)
    axes.set_xlim(0, max(row["to_m"] for row in rows))
    axes.set_xlabel("reference depth, m")
    axes.set_ylabel("relative error, %")
    legend_above(axes)
    return True


def _draw_coverage(axes: Axes, report: Report) -> bool:
    if report["uncertainty"] is None:
        return False
    curve = report["uncertainty"]["coverage_curve"]
    sigmas = curve["sigmas"]
    normal = [100 * math.erf(k / math.sqrt(2.0)) for k in sigmas]
    axes.plot(sigmas, normal, color=FLOOR, lw=1.4, ls=(0, (4, 3)), label="promised")
    for name, color, label in (
        ("online_scale", ONLINE, "online scale"),
        ("per_frame_median", MEDIAN, "per image"),
    ):
        if curve[name] is not None:
            axes.plot(sigmas, [100 * v for v in curve[name]], color=color, lw=1.8, label=label)
    axes.axvline(1.0, color=MUTED, lw=0.8)
    axes.set_xlim(0, 3)
    axes.set_ylim(0, 102)
    axes.set_xlabel("k (error within k sigma)")
    axes.set_ylabel("pixels, %")
    legend_above(axes)
    return True


def _draw_sparsification(axes: Axes, report: Report) -> bool:
    curves = (report["uncertainty"] or {}).get("sparsification")
    if not curves:
        return False
    for name, color, label in (
        ("by_uncertainty", MEDIAN, "least sure first"),
        ("by_error", FLOOR, "worst first: the best possible"),
    ):
        values = np.array(curves["abs_rel"][name])
        axes.plot(
            np.linspace(0, 100, len(values), endpoint=False), values, color=color, lw=1.6,
            label=label,
        )
    axes.set_ylim(bottom=0)
    axes.set_xlabel("% of pixels taken away")
    axes.set_ylabel("AbsRel left")
    legend_above(axes)
    return True


def _draw_latency(axes: Axes, report: Report) -> bool:
    _, values = _column(report, "latency_ms")
    if values.size < 2:
        return False
    # A first frame ten times slower than the rest would squeeze the others into one bar.
    top = max(float(np.percentile(values, 99)) * 1.15, float(np.median(values)) * 1.5)
    axes.hist(np.minimum(values, top), bins=40, range=(0, top), color=MEDIAN)
    for name, style in (("p50", "-"), ("p99", (0, (4, 3)))):
        value = report["latency_ms"][name]
        axes.axvline(value, color=ONLINE, lw=1.4, ls=style, label=f"{name} {value:.1f} ms")
    axes.set_xlabel("ms per frame")
    axes.set_ylabel("frames")
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend_above(axes)
    return True
