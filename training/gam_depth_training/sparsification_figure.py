"""Sparsification curves as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gam_depth_ros.core.uncertainty_metrics import METRICS
from gam_depth_training.uncertainty_scores import UncertaintyScore

_TITLES = {"abs_rel": "AbsRel", "rmse": "RMSE, m", "one_minus_d1": "1 − δ1"}


def draw_sparsification(scores: Mapping[str, UncertaintyScore], path: Path) -> None:
    """Draw each method's curve and, dashed, the best that any order of its errors could do.

    Args:
        scores: By method, each with at least one picture.
        path: PNG to write.
    """
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    for axes, metric in zip(figure.subplots(1, len(METRICS)), METRICS, strict=True):
        for index, (name, score) in enumerate(scores.items()):
            curves = score.curves(metric)
            removed = 100 * np.arange(len(curves.by_error)) / len(curves.by_error)
            axes.plot(removed, curves.by_uncertainty, color=f"C{index}", label=name)
            axes.plot(removed, curves.by_error, color=f"C{index}", lw=0.8, ls="--")
        axes.set_title(_TITLES[metric])
        axes.set_xlabel("least sure pixels removed, %")
        axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
