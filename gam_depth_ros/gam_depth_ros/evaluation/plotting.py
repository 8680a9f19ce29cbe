"""How every plot of the pages is drawn: SVG, small, sharp on any screen and in print."""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID = "#1c2430", "#5d6775", "#e3e7ec"
MEDIAN, ONLINE, FLOOR = "#1f5fbf", "#d9622b", "#9aa4b1"
PAGE_FONTS = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
SIZE_INCHES = (4.5, 2.75)  # drawn small and shown large, so that the text stays legible on a phone
LEGEND_CHARACTERS, LEGEND_HANDLE_CHARACTERS = 58.0, 4.5
"""What fits side by side above a plot of that size, and what line and gaps of an entry take."""
STYLE: Any = {
    "svg.hashsalt": "gam-depth",  # the same input gives the same file
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",  # wider than the page's fonts: what fits in it fits in them
    "font.size": 9.0,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "text.color": INK,
    "lines.solid_capstyle": "round",
}

Report = dict[str, Any]


def render_plot(draw: Any, report: Report) -> str:
    """Return a plot as a data URI, empty where there is nothing to draw.

    Args:
        draw: Draws on the axes; False says that there was nothing.
        report: What ``draw`` gets.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        if not draw(figure.add_subplot(), report):
            return ""
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue().replace("'DejaVu Sans'", PAGE_FONTS)
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def legend_above(axes: Axes, columns: int = 3) -> None:
    """Put the legend above the plot, at most so many entries to a row, fewer where they are long.

    A row that is wider than the plot would push the plot together.
    """
    handles, names = axes.get_legend_handles_labels()
    if handles:
        while columns > 1 and _legend_characters(names, columns) > LEGEND_CHARACTERS:
            columns -= 1
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 0.99),
            ncols=columns,
            borderaxespad=0.2,
            handlelength=1.4,
            columnspacing=1.1,
        )


def _legend_characters(names: list[str], columns: int) -> float:
    """Return how wide a legend is, whose entries go down one column after the other."""
    parts = np.array_split([len(name) for name in names], columns)
    return float(sum(LEGEND_HANDLE_CHARACTERS + part.max() for part in parts if part.size))
