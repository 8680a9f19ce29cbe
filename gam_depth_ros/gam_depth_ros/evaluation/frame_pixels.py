"""The pixels of a frame that have a truth, picked once for all scores of the frame."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.metrics import median_of
from gam_depth_ros.evaluation.observation import Float, Observation

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pixels:
    """A depth at the pixels where it and the truth are known.

    Attributes:
        truth_m: N float32 metres, at least one, finite and positive.
        depth: N float32, finite and positive, in its own unit.
        where: H×W, which pixels these are.
    """

    truth_m: Float
    depth: Float
    where: Mask

    @functools.cached_property
    def ratio(self) -> Float:
        """The depth over the truth, N float32."""
        return np.asarray(self.depth / self.truth_m)

    @functools.cached_property
    def log_ratio(self) -> Float:
        """Its natural logarithm, N float32."""
        return np.asarray(np.log(self.ratio))

    @functools.cached_property
    def median_scale(self) -> float:
        """Ratio of the medians, truth over depth: the protocol's scale of a frame."""
        return median_of(self.truth_m) / median_of(self.depth)

    @functools.cached_property
    def own_scale(self) -> float:
        """Median of the ratios, truth over depth, as the online estimator measures it."""
        # The ratio's inverse is rounded once more; of two in the middle, their geometric mean.
        upper = self.ratio.size // 2
        parted = np.partition(self.ratio, upper)
        if self.ratio.size % 2:
            return 1.0 / float(parted[upper])
        return 1.0 / math.sqrt(float(parted[:upper].max()) * float(parted[upper]))


class FramePixels:
    """What scores of one frame share; each part is made when it is first asked for.

    Args:
        truth_m: H×W metres, NaN or 0 unknown.
        seen: The frame; depths of another size than the truth count as None.
    """

    def __init__(self, truth_m: Float, seen: Observation) -> None:
        self.truth_m = truth_m
        self._seen = seen

    @functools.cached_property
    def valid(self) -> Mask:
        """Where the truth is a depth, H×W."""
        return valid_pixels(self.truth_m)

    @functools.cached_property
    def depth(self) -> Pixels | None:
        """The network's depth; None where no pixel has both."""
        return self._picked(self._seen.depth)

    @functools.cached_property
    def steady(self) -> Pixels | None:
        """The depth after the filter over time."""
        return self._picked(self._seen.steady_depth)

    @functools.cached_property
    def metric(self) -> Pixels | None:
        """The metres of the scale learnt online."""
        return self._picked(self._seen.metric_depth_m)

    @functools.cached_property
    def _truths(self) -> Float:
        return self.truth_m[self.valid]

    def _picked(self, depth: Float | None) -> Pixels | None:
        if depth is None or depth.shape != self.truth_m.shape:
            return None
        values = depth[self.valid]
        usable = (values > 0) & (values < np.inf)
        if usable.all():  # as a rule: every pixel has a prediction
            return Pixels(self._truths, values, self.valid) if values.size else None
        if not usable.any():
            return None
        where = self.valid & (depth > 0) & (depth < np.inf)
        return Pixels(self._truths[usable], values[usable], where)


def valid_pixels(truth_m: Float) -> Mask:
    """Return where the truth is a depth: finite and above zero, without an upper limit."""
    return np.asarray((truth_m > 0) & (truth_m < np.inf))
