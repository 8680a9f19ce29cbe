"""How another model compares with the running one on the same frames. No ROS here.

Depth is known up to scale, and two networks have two scales: the median ratio is taken out first,
and is what one network's metric scale has to be divided by to serve the other.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.frame import LOCKED, Perception, ScaleState
from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.core.request import Outputs

ENGINE = "engine"
# Frames that a comparison is made on at most: half a minute at 30 Hz.
MAX_FRAMES = 1000
# A sixteenth of the pixels gives the medians of a picture to a thousandth.
_STEP = 4
# Below this spread of log depth between the tenth and the ninetieth percentile nothing is seen.
_FLAT_LOG = 0.005
_STRUCTURED_LOG = 0.05
# Half-widths of log depth that say nothing (a factor e) or cannot be true (a thousandth).
_SIGMA_LIMITS = (1e-3, 1.0)
# A ratio measured on few frames is no better known than this.
_RATIO_SIGMA_FLOOR = 0.02


def compared(outputs: Outputs) -> Outputs:
    """Return a request with what a comparison needs on top."""
    return replace(outputs, network_depth=True, labels=True, sigma=True)


@dataclass(frozen=True)
class Look:
    """What one perception shows of its model.

    Attributes:
        spread_log: Logarithm of the ratio of the 90th to the 10th percentile of network depth.
        sigma_log: Median of the calibrated sigma of log depth.
        engine_ms: Time of the network, milliseconds.
    """

    spread_log: float
    sigma_log: float
    engine_ms: float


def look(perception: Perception) -> Look:
    """Look at a perception made for :func:`compared`."""
    low, high = np.percentile(_thinned(perception.network_depth), [10, 90])
    return Look(
        spread_log=math.log(high / low),
        sigma_log=float(np.median(_thinned(perception.network_sigma_log))),
        engine_ms=perception.stage_ms[ENGINE],
    )


@dataclass(frozen=True)
class Difference:
    """One frame seen by both.

    Attributes:
        running: The running model's look.
        other: The other model's.
        log_ratio: Median of log(other depth / running depth).
        depth: Median of |log ratio - log_ratio|.
        labels: Share of pixels with the same label; NaN for other label sets.
    """

    running: Look
    other: Look
    log_ratio: float
    depth: float
    labels: float


def difference(running: Perception, other: Perception, *, same_labels: bool) -> Difference:
    """Compare two perceptions of one frame, both made for :func:`compared`."""
    log_ratios = np.log(_thinned(other.network_depth) / _thinned(running.network_depth))
    log_ratio = float(np.median(log_ratios))
    agree = _thinned(running.labels) == _thinned(other.labels)
    return Difference(
        running=look(running),
        other=look(other),
        log_ratio=log_ratio,
        depth=float(np.median(np.abs(log_ratios - log_ratio))),
        labels=float(agree.mean()) if same_labels else math.nan,
    )


def same_labels(one: LabelSet, other: LabelSet) -> bool:
    """Whether the ids of two label sets mean the same."""
    return one.names == other.names


@dataclass(frozen=True)
class Comparison:
    """Medians over the frames compared; NaN where there was none.

    Attributes:
        frames: How many.
        scale_ratio: Other over running network depth.
        ratio_sigma_log: How well the logarithm of that is known for the next frame.
        depth_difference: Median |log ratio| after alignment.
        label_agreement: Mean share of pixels with one label.
        latency_ms: Of the other network, beside the running one.
        running_latency_ms: Of the running one meanwhile.
    """

    frames: int = 0
    scale_ratio: float = math.nan
    ratio_sigma_log: float = math.nan
    depth_difference: float = math.nan
    label_agreement: float = math.nan
    latency_ms: float = math.nan
    running_latency_ms: float = math.nan

    def line(self) -> str:
        """Return the figures as one line; empty where nothing was compared."""
        if not self.frames:
            return ""
        labels = (
            "the label sets differ"
            if math.isnan(self.label_agreement)
            else f"labels agree on {self.label_agreement:.1%}"
        )
        return (
            f"over {self.frames} frames depth differs by {self.depth_difference:.1%} after "
            f"alignment (scale ratio {self.scale_ratio:.3f}), {labels}, the network took "
            f"{self.latency_ms:.1f} ms beside {self.running_latency_ms:.1f} ms"
        )


@dataclass
class Shadow:
    """Collects the last ``MAX_FRAMES`` differences."""

    seen: deque[Difference] = field(default_factory=lambda: deque(maxlen=MAX_FRAMES))

    def update(self, one: Difference) -> None:
        """Take a frame's difference."""
        self.seen.append(one)

    def comparison(self) -> Comparison:
        """Sum up."""
        if not self.seen:
            return Comparison()
        log_ratios = np.array([one.log_ratio for one in self.seen])
        middle = float(np.median(log_ratios))
        # 1.4826: from the median absolute deviation to a normal law's standard deviation.
        spread = 1.4826 * float(np.median(np.abs(log_ratios - middle)))
        return Comparison(
            frames=len(self.seen),
            scale_ratio=math.exp(middle),
            ratio_sigma_log=max(spread, _RATIO_SIGMA_FLOOR),
            depth_difference=float(np.median([one.depth for one in self.seen])),
            label_agreement=float(np.mean([one.labels for one in self.seen])),
            latency_ms=float(np.median([one.other.engine_ms for one in self.seen])),
            running_latency_ms=float(np.median([one.running.engine_ms for one in self.seen])),
        )

    def problem(self) -> str:
        """Return why the other model is not healthy, empty if it is."""
        return health_problem(
            [one.other for one in self.seen], [one.running.spread_log for one in self.seen]
        )


def health_problem(looks: list[Look], running_spreads_log: list[float]) -> str:
    """Return why what a model gave to some frames is not healthy, empty if it is.

    Args:
        looks: What it gave.
        running_spreads_log: Spread of log depth that the model before it gave to these or the
            frames before; empty where there were none. A flat answer is a fault only where that
            one saw a shape.
    """
    if not looks:
        return ""
    structured = bool(running_spreads_log) and np.median(running_spreads_log) > _STRUCTURED_LOG
    spread = float(np.median([one.spread_log for one in looks]))
    if structured and spread < _FLAT_LOG:
        return (
            f"health: got depth that varies by {spread:.2%} over the picture, expected a shape "
            f"where the model before saw {np.median(running_spreads_log):.0%}"
        )
    sigma = float(np.median([one.sigma_log for one in looks]))
    low, high = _SIGMA_LIMITS
    if not low <= sigma <= high:
        return (
            f"health: got a median sigma of log depth of {sigma:.2g}, expected {low:g} to {high:g}"
        )
    return ""


def handed_over(scale: ScaleState, comparison: Comparison) -> ScaleState | None:
    """Return the running model's scale as the other's, None where it is unknown.

    Metres are scale times network depth: log s' = log s - log ratio, and the variances add.
    """
    if not scale.known or not comparison.frames:
        return None
    return ScaleState(
        LOCKED,
        scale.source,
        scale.value / comparison.scale_ratio,
        math.hypot(scale.sigma_log, comparison.ratio_sigma_log),
        scale.age_s,
        "handed over from the model before",
    )


def _thinned(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return picture[_STEP // 2 :: _STEP, _STEP // 2 :: _STEP]
