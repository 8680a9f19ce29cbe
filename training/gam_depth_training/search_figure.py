"""The front of a sweep as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from gam_depth_training.search import Point

_MARKERS = {"float": "o", "int8": "s"}


def draw_front(points: Sequence[Point], path: Path) -> None:
    """Draw latency against error, the front joined by a line; one marker to a precision."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    for precision, marker in _MARKERS.items():
        chosen = [point for point in points if point.precision == precision]
        axes.scatter(
            [point.latency_ms for point in chosen],
            [point.error for point in chosen],
            marker=marker,
            label=precision,
        )
    for point in points:
        axes.annotate(
            f"{point.width:g} · {point.size_hw[0]}×{point.size_hw[1]}",
            (point.latency_ms, point.error),
            textcoords="offset points",
            xytext=(4, 4),
            fontsize=7,
        )
    front = sorted((p.latency_ms, p.error) for p in points if p.on_front)
    axes.plot([x for x, _ in front], [y for _, y in front], color="grey", linewidth=1)
    axes.set_xscale("log")
    axes.margins(x=0.15)  # room for the last one's name
    for formatter in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        formatter("{x:g}")
    axes.set_xlabel("latency of one picture, ms; names are share of the channels · input")
    axes.set_ylabel("AbsRel")
    axes.legend()
    figure.savefig(path, dpi=120)
