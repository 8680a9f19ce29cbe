"""The figure of fault runs: a row a fault; errors, the scale with its band, states as strips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from faults import NONE
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gam_depth_ros.core.frame import ACQUIRING, HOLDING, LOCKED, LOST, UNKNOWN
from gam_depth_ros.evaluation.plotting import INK, MUTED, STYLE

CLEAN_COLOUR, NETWORK_COLOUR, FUSE_COLOUR, FAULT_SHADE = "#9aa4b1", "#d9622b", "#1f5fbf", "#f3e9df"
STATES = {
    LOCKED: "#4f9d69",
    HOLDING: "#e5b93c",
    ACQUIRING: "#7fb3d5",
    UNKNOWN: "#c9ced6",
    LOST: "#b5433a",
}
PICTURES = {"fine": "#dfe7e1", "sigma widened": "#c58bd0", "withheld": "#3d3a4b"}
ROW_INCHES, WIDTH_INCHES, DPI = 1.2, 10.0, 80
ERROR_LIMIT = 3.0  # times the largest clean error


def draw(courses: list[Any], span_s: tuple[float, float], path: Path, name: str) -> None:
    """Draw the courses (fault_runs.Course) with those without a fault behind them."""
    clean = {c.mode: c.steps for c in courses if c.fault is NONE}
    names = list(dict.fromkeys(c.fault.name for c in courses if c.fault is not NONE))
    top = ERROR_LIMIT * np.nanpercentile([s.abs_rel for s in clean["network"]], 95)
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH_INCHES, ROW_INCHES * len(names) + 1.1), layout="constrained")
        grid = figure.subplots(2 * len(names), 2, sharex=True, height_ratios=[5, 1] * len(names))
        for number, fault_name in enumerate(names):
            runs = {c.mode: c.steps for c in courses if c.fault.name == fault_name}
            errors, scales = grid[2 * number]
            _draw_errors(errors, runs, clean, top)
            _draw_scale(scales, runs["network"], clean["network"])
            _draw_strips(grid[2 * number + 1], runs["network"])
            for axes in (errors, scales):
                axes.axvspan(*span_s, color=FAULT_SHADE, zorder=0, linewidth=0)
            errors.set_title(fault_name, loc="left", fontsize=9.5, color=INK, pad=3)
        grid[0, 1].set_title("scale, m per unit, ± sigma", loc="left", fontsize=9, color=MUTED)
        grid[0, 0].set_title("AbsRel", loc="right", fontsize=9, color=MUTED)
        for axes in grid[-1]:
            axes.set_xlabel("seconds")
        figure.legend(handles=_legend(), ncols=5, loc="outside lower center", fontsize=8.5)
        figure.suptitle(f"Faults on {name}: shaded while they last", x=0.01, ha="left", fontsize=11)
        figure.savefig(path, dpi=DPI)


def _draw_errors(axes: Axes, runs: dict[str, Any], clean: dict[str, Any], top: float) -> None:
    axes.plot(*_known(clean["network"]), color=CLEAN_COLOUR, linewidth=1.1)
    for mode, colour in (("fuse", FUSE_COLOUR), ("network", NETWORK_COLOUR)):
        if mode in runs:
            times, values = _known(runs[mode])
            axes.plot(times, np.minimum(values, 0.98 * top), color=colour, linewidth=1.3)
    axes.set_ylim(0, top)
    axes.set_yticks([0, 0.2, 0.4] if top < 0.6 else [0, 0.5])


def _known(steps: Any) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the frames with truth: a gap where there is truth and no output, not elsewhere."""
    with_truth = [s for s in steps if np.isfinite(s.abs_rel) or s.unknown_share == 1.0]
    return np.array([s.at_s for s in with_truth]), np.array([s.abs_rel for s in with_truth])


def _draw_scale(axes: Axes, steps: Any, clean: Any) -> None:
    times = np.array([s.at_s for s in steps])
    value = np.array([s.scale for s in steps])
    band = np.exp([s.scale_sigma_log for s in steps])
    usual = np.array([s.scale for s in clean])
    axes.fill_between(times, value / band, value * band, color=NETWORK_COLOUR, alpha=0.22, lw=0)
    axes.plot(times, usual, color=CLEAN_COLOUR, linewidth=1.1)
    axes.plot(times, value, color=NETWORK_COLOUR, linewidth=1.3)
    low, high = np.nanpercentile(usual, (0, 100))
    axes.set_ylim(0.75 * low, 1.25 * high)


def _draw_strips(pair: Any, steps: Any) -> None:
    """The scale's state under the scale, what the picture is worth under the errors."""
    worth = [_worth(s) for s in steps]
    for axes, names, colours in (
        (pair[0], worth, PICTURES),
        (pair[1], [s.state for s in steps], STATES),
    ):
        times = [s.at_s for s in steps]
        ends = [*times[1:], 2 * times[-1] - times[-2]]
        widths = np.subtract(ends, times)
        axes.broken_barh(
            list(zip(times, widths, strict=True)),
            (0, 1),
            facecolors=[colours[name] for name in names],
            linewidth=0,
            antialiased=False,
        )
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xlim(times[0], ends[-1])


def _worth(step: Any) -> str:
    if step.withheld:
        return "withheld"
    return "sigma widened" if step.conditions else "fine"


def _legend() -> list[Any]:
    lines = [
        Line2D([], [], color=NETWORK_COLOUR, label="with the fault"),
        Line2D([], [], color=FUSE_COLOUR, label="the same, fused: hidden blocks"),
        Line2D([], [], color=CLEAN_COLOUR, label="without the fault"),
    ]
    states = [Patch(color=colour, label=f"scale {name}") for name, colour in STATES.items()]
    pictures = [Patch(color=colour, label=f"picture {name}") for name, colour in PICTURES.items()]
    return [*lines, *states, *pictures]
