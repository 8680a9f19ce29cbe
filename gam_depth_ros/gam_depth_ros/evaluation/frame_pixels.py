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
Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Truth:
    """The truth at some pixels, and what more than one depth is held against.

    Attributes:
        metres: N float32, at least one, finite and positive.
    """

    metres: Float

    @functools.cached_property
    def median_m(self) -> float:
        """Their median."""
        return median_of(self.metres)

    @functools.cached_property
    def largest_m(self) -> float:
        """The largest of them."""
        return float(self.metres.max())

    @functools.cached_property
    def log(self) -> Float:
        """Their natural logarithm, N float32."""
        return np.asarray(np.log(self.metres))


@dataclass(frozen=True)
class Pixels:
    """A depth at the pixels where it and the truth are known.

    Attributes:
        truth: The truth there, N pixels.
        depth: N float32, finite and positive, in its own unit.
        places: N, which pixels these are: row·W + column, ascending.
    """

    truth: Truth
    depth: Float
    places: Places

    @property
    def truth_m(self) -> Float:
        """The truth, N float32 metres."""
        return self.truth.metres

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
        return self.truth.median_m / median_of(self.depth)

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
    def _places(self) -> Places:
        return np.flatnonzero(self.valid)

    @functools.cached_property
    def _truth(self) -> Truth:
        return Truth(values_at(self.truth_m, self._places))

    def _picked(self, depth: Float | None) -> Pixels | None:
        if depth is None or depth.shape != self.truth_m.shape:
            return None
        values = values_at(depth, self._places)
        if not values.size:
            return None
        if values.min() > 0 and values.max() < np.inf:  # as a rule; NaN is neither
            return Pixels(self._truth, values, self._places)
        usable = (values > 0) & (values < np.inf)
        if not usable.any():
            return None
        truth = Truth(self._truth.metres[usable])
        return Pixels(truth, values[usable], self._places[usable])


def values_at(image: Float, places: Places) -> Float:
    """Return an image's values at some places, as :attr:`Pixels.places` counts them."""
    return np.asarray(image.ravel().take(places))


def valid_pixels(truth_m: Float) -> Mask:
    """Return where the truth is a depth: finite and above zero, without an upper limit."""
    return np.asarray((truth_m > 0) & (truth_m < np.inf))
