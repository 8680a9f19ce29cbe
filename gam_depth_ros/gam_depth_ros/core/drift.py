"""Has the world moved away from what the model was trained on? Running statistics, one number each.

The population stability index compares the recent share of frames in each bin of a quantity with
its share in training. It tells when to record and retrain, not whether one frame is good.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.health_config import DriftConfig
from gam_depth_ros.core.model_statistics import LABEL_SHARES, ModelStatistics

# A bin never counts as emptier than this share, else one frame there would make the index infinite.
_LEAST_SHARE = 1e-3


@dataclass(frozen=True)
class DriftState:
    """How far recent frames are from training.

    Attributes:
        psi: Population stability index by quantity, ``label_shares`` among them; 0 is the same
            distribution. Empty while there are too few frames.
        outside: Share of recent frames in the outermost bins, by quantity.
        worst: The quantity with the largest index; empty while there are too few frames.
        strangest: The quantity with the largest share outside.
        line: One line for people.
        frames: Frames the figures stand on, counting older ones less.
    """

    psi: dict[str, float] = field(default_factory=dict)
    outside: dict[str, float] = field(default_factory=dict)
    worst: str = ""
    strangest: str = ""
    line: str = "drift: no frames yet"
    frames: float = 0.0


def population_stability_index(
    actual: npt.NDArray[np.float64], expected: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return Σ (a − e) · ln(a / e) over the last axis: the symmetric Kullback-Leibler divergence.

    Siddiqi (2006), "Credit Risk Scorecards": below 0.1 nothing moved, above 0.25 much did. That
    is said of independent samples. The frames of one room are far from that: each of nine
    recordings scored above 3 against the synthetic rooms, which half of themselves scored below 0.1
    against. So one room's index says how special it is, and the share outside whether training
    lacks it.

    Args:
        actual: Shares that sum to 1 along the last axis.
        expected: Shares of the reference, of the same shape.
    """
    a, e = np.maximum(actual, _LEAST_SHARE), np.maximum(expected, _LEAST_SHARE)
    return np.asarray(((a - e) * np.log(a / e)).sum(axis=-1))


class DriftMonitor:
    """Counts recent frames into the bins of the training reference.

    Every frame's count fades with the ones after it (by a time constant in frames), so memory is
    constant and old rooms are forgotten.

    Args:
        statistics: The training reference; None where the model carries none: then nothing is
            known and the line says so.
        config: Window and the index at which to speak.
    """

    def __init__(
        self, statistics: ModelStatistics | None, config: DriftConfig | None = None
    ) -> None:
        self._config = config or DriftConfig()
        reference = {} if statistics is None else statistics.distributions
        self._names = tuple(reference)
        self._edges = tuple(reference[name].edges for name in self._names)
        bins = max((len(edges) + 1 for edges in self._edges), default=0)
        # One row a quantity; bins past the last of a row stay empty on both sides and count zero.
        self._expected = np.zeros((len(self._names), bins))
        for row, name in enumerate(self._names):
            self._expected[row, : len(reference[name].shares)] = reference[name].shares
        self._label_expected = np.array(
            () if statistics is None else statistics.label_shares, np.float64
        )
        self.reset()

    def reset(self) -> None:
        """Forget every frame."""
        self._frames = 0.0
        self._counts = np.zeros(self._expected.shape)
        self._labels = np.zeros(len(self._label_expected))
        self._label_frames = 0.0

    def update(
        self,
        quantities: Mapping[str, float],
        label_shares: npt.NDArray[np.floating] | None = None,
    ) -> DriftState:
        """Count one frame and return how far recent frames are from training.

        Args:
            quantities: By name, as ``frame_health.frame_quantities`` gives them; NaN and names
                without a reference are left out.
            label_shares: Share of the pixels of each class, None where there are no labels.
        """
        keep = 1.0 - 1.0 / self._config.window_frames
        self._frames = keep * self._frames + 1.0
        for row, name in enumerate(self._names):
            value = quantities.get(name, math.nan)
            if math.isfinite(value):
                self._counts[row] *= keep
                self._counts[row, bisect_right(self._edges[row], value)] += 1.0
        if label_shares is not None and len(label_shares) == len(self._labels):
            self._labels = keep * self._labels + label_shares
            self._label_frames = keep * self._label_frames + 1.0
        return self.state()

    def state(self) -> DriftState:
        """Return how far the frames counted so far are from training."""
        if not self._names:
            line = (
                "drift: unknown, the model carries no training statistics; "
                "run `gam-depth-train statistics`"
            )
            return DriftState(line=line, frames=self._frames)
        # The count cannot exceed the window, which may be set below the least number of frames.
        least = min(self._config.min_frames, 0.6 * self._config.window_frames)
        if self._frames < least:
            return DriftState(line=f"drift: unknown until {least:.0f} frames", frames=self._frames)
        totals = self._counts.sum(axis=1)
        seen = totals > 0
        shares = self._counts[seen] / totals[seen, None]
        indices = population_stability_index(shares, self._expected[seen])
        names = [name for name, there in zip(self._names, seen, strict=True) if there]
        psi = dict(zip(names, indices.tolist(), strict=True))
        last = [len(edges) for edges, there in zip(self._edges, seen, strict=True) if there]
        beyond = shares[:, 0] + shares[np.arange(len(last)), last]
        outside = dict(zip(names, beyond.tolist(), strict=True))
        if self._label_frames > 0 and len(self._labels):
            labels = self._labels / self._label_frames
            psi[LABEL_SHARES] = float(population_stability_index(labels, self._label_expected))
        worst = max(psi, key=psi.__getitem__, default="")
        strangest = max(outside, key=outside.__getitem__, default="")
        line = "drift: unknown, no quantity of the training statistics was seen"
        if strangest:
            line = self._line(f"{worst} has PSI {psi[worst]:.2f}", psi[worst], strangest, outside)
        return DriftState(psi, outside, worst, strangest, line, self._frames)

    def _line(
        self, index: str, worst_psi: float, strangest: str, outside: dict[str, float]
    ) -> str:
        """Say whether frames are like training, of a part of it, or beyond it."""
        share = outside[strangest]
        beyond = f"{share:.0%} of the frames at the rim of training or beyond in {strangest}"
        if share >= self._config.outside_warn:
            return f"drift: beyond training, {beyond}; {index}"
        if worst_psi >= self._config.psi_warn:
            return f"drift: a part of training, {index}; {beyond}"
        return f"drift: as in training, {index}"
