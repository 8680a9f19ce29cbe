"""Distributions of picture statistics, synthetic beside recorded, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gam_depth_training.domain_gap import STATISTICS, Gap, Samples

COLUMNS = 3
BINS = 30


def draw_domain_gap(
    synthetic: Samples, rooms: Mapping[str, Samples], gaps: Mapping[str, Gap], path: Path
) -> None:
    """Draw one small histogram for each statistic: synthetic filled, each room a line.

    Args:
        synthetic: From :func:`~gam_depth_training.domain_gap.quantiles_of`.
        rooms: The same of each recorded room.
        gaps: What to draw, and the distances in the titles.
        path: PNG to write.
    """
    rows = -(-len(gaps) // COLUMNS)
    figure = Figure(figsize=(11, 2.6 * rows), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, (name, gap) in zip(grid, gaps.items(), strict=False):
        with_it = {room: samples[name] for room, samples in rooms.items() if name in samples}
        _histograms(axes, synthetic[name], with_it)
        apart = "" if np.isnan(gap.between_rooms) else f" (rooms {gap.between_rooms:.2f})"
        axes.set_title(f"{name}: {gap.distance:.2f}{apart}", fontsize=10)
        axes.set_xlabel(STATISTICS[name], fontsize=8)
    for axes in grid[len(gaps) :]:
        axes.remove()
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _histograms(axes: Axes, synthetic: np.ndarray, rooms: Mapping[str, np.ndarray]) -> None:
    everything = np.concatenate([synthetic, *rooms.values()])
    edges = np.linspace(*np.quantile(everything, [0.002, 0.998]), BINS + 1)
    axes.hist(synthetic, edges, density=True, color="0.8", label="synthetic rooms")
    for index, (room, values) in enumerate(rooms.items()):
        axes.hist(values, edges, density=True, histtype="step", color=f"C{index}", label=room)
    axes.set_yticks([])
