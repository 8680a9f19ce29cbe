"""The report's plots of labels: how right, how sure, what is mistaken for what."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from gam_depth_ros.evaluation.plotting import FLOOR, INK, MEDIAN, Report, legend_above


def draw_labels(axes: Axes, report: Report) -> bool:
    """Draw the IoU of each class; False where there are no true labels."""
    if report["segmentation"] is None:
        return False
    scores = sorted(report["segmentation"]["iou"].items(), key=lambda item: item[1])
    axes.barh([name for name, _ in scores], [100 * v for _, v in scores], color=MEDIAN, height=0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 100)
    axes.set_xlabel("IoU, %")
    return True


def draw_reliability(axes: Axes, report: Report) -> bool:
    """Draw the share of right pixels by confidence; False where that is not known."""
    found = (report["segmentation"] or {}).get("reliability")
    if found is None:
        return False
    axes.plot([0, 1], [0, 1], color=FLOOR, lw=1.4, ls=(0, (4, 3)), label="perfect")
    axes.plot(
        found["confidence"], found["accuracy"], color=MEDIAN, lw=1.8, marker="o", ms=3.5,
        label=f"ECE {report['segmentation']['ece']:.3f}",
    )
    axes.bar(found["confidence"], found["pixel_share"], width=0.04, color="#e8ecf1", zorder=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("confidence")
    axes.set_ylabel("right; bars: pixels")
    legend_above(axes)
    return True


def draw_confusion(axes: Axes, report: Report) -> bool:
    """Draw the confusion matrix, each row a true class; False without true labels."""
    found = (report["segmentation"] or {}).get("confusion")
    if found is None:
        return False
    pixels = np.array(found["pixels"], np.float64)
    there = (pixels.sum(axis=0) + pixels.sum(axis=1)) > 0
    names = [name for name, shown in zip(found["names"], there, strict=True) if shown]
    pixels = pixels[there][:, there]
    shares = pixels / np.maximum(pixels.sum(axis=1, keepdims=True), 1.0)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    for row, column in zip(*np.nonzero(shares >= 0.1), strict=True):
        share = shares[row, column]
        color = "white" if share > 0.6 else INK
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=6.5,
                  color=color)  # fmt: skip
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return True
