"""What the network's sigma and confidence are worth, fitted on data and carried in the model file.

A network says how unsure it is in a currency of its own. A calibration is the exchange rate: curves
over its sigma and the range, and factors to the intervals that users ask for.
``gam-depth-train calibrate`` fits all of it; files with only k68, k90 and k95 load as well.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.medians import median
from gam_depth_ros.core.sampling import grid_step

Floats = npt.NDArray[np.float32]

_MEDIAN_PIXELS = 768
_TABLE_SIZE = 16_384

LEVELS = (0.683, 0.90, 0.954)
"""Shares of pixels that the intervals of k68, k90 and k95 promise to cover."""


@dataclass(frozen=True)
class Curve:
    """A piecewise linear function, constant beyond its ends. Without knots it is not there.

    Attributes:
        at: Knots, rising.
        value: Values at the knots, as many.

    Raises:
        ValueError: one knot alone, knots that do not rise, or numbers that are not finite.
    """

    at: tuple[float, ...] = ()
    value: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.at) != len(self.value) or len(self.at) == 1:
            raise ValueError(
                f"a curve of {len(self.at)} knots and {len(self.value)} values, expected as many "
                "of both, none or two and more"
            )
        finite = all(math.isfinite(number) for number in (*self.at, *self.value))
        if not finite or not _rises(self.at, strictly=True):
            raise ValueError(f"a curve's knots {self.at}, which do not rise or are not finite")

    def __bool__(self) -> bool:
        """Whether there is a curve."""
        return bool(self.at)

    def __call__(self, values: npt.NDArray[Any]) -> Floats:
        """Return the curve at ``values``, same shape; there must be a curve.

        Looked up in a table of evenly spaced entries, several times as fast as a search among the
        knots; off by at most a thirty-thousandth of the range between the outer knots.
        """
        low, high = self.at[0], self.at[-1]
        places = np.multiply(values, np.float32((_TABLE_SIZE - 1) / (high - low)), dtype=np.float32)
        places += np.float32(0.5 - low * (_TABLE_SIZE - 1) / (high - low))
        np.clip(places, 0, _TABLE_SIZE - 1, out=places)
        found: Floats = self._table[places.astype(np.uint16)]
        return found

    @functools.cached_property
    def _table(self) -> Floats:
        evenly = np.linspace(self.at[0], self.at[-1], _TABLE_SIZE)
        return np.interp(evenly, self.at, self.value).astype(np.float32)

    def to_json(self) -> dict[str, list[float]]:
        """Return the curve as plain lists."""
        return {"at": list(self.at), "value": list(self.value)}

    @staticmethod
    def from_json(data: dict[str, Any] | None) -> Curve:
        """Read a curve; None is none. Raises KeyError, TypeError or ValueError."""
        if data is None:
            return Curve()
        at, value = (tuple(float(number) for number in data[key]) for key in ("at", "value"))
        return Curve(at, value)


@dataclass(frozen=True)
class SigmaCalibration:
    """From the network's sigma to half-widths of intervals of log depth.

    half-width(68.3 %) = k68 · width(sigma) · factor(depth / the picture's median depth)

    The two curves are the buckets by confidence and by range. Range is taken relative to the
    picture, since the network's depth has no scale; one product, rather than a table of both, is
    what few rooms can fit.

    Attributes:
        k68: Factor to the 68.3 % interval.
        k90: Factor to the 90 % interval; with ``ratio_90`` the published one is widened to it.
        k95: Factor to the 95.4 % interval.
        data: Name of the data the factors were fitted on; empty while uncalibrated.
        width: Over the network's sigma, never falling; no curve means sigma itself.
        range_factor: Over depth / median depth, positive; no curve means 1.

    Raises:
        ValueError: factors that do not rise above zero, or a curve that breaks what is said above.
    """

    k68: float = 1.0
    k90: float = 1.645
    k95: float = 2.0
    data: str = ""
    width: Curve = field(default_factory=Curve)
    range_factor: Curve = field(default_factory=Curve)

    def __post_init__(self) -> None:
        if not 0.0 < self.k68 <= self.k90 <= self.k95 < math.inf:
            raise ValueError(
                f"sigma factors {self.k68}, {self.k90}, {self.k95}, which do not rise above zero"
            )
        if self.width and not (self.width.value[0] > 0 and _rises(self.width.value)):
            raise ValueError(f"widths {self.width.value}, which fall or are not above zero")
        if self.range_factor and min(self.range_factor.value) <= 0:
            raise ValueError(f"range factors {self.range_factor.value}, not all above zero")

    @property
    def ratio_90(self) -> float:
        """Half-width of the 90 % interval over that of the 68.3 % interval."""
        return self.k90 / self.k68

    @property
    def ratio_95(self) -> float:
        """Half-width of the 95.4 % interval over that of the 68.3 % interval."""
        return self.k95 / self.k68

    def half_width(self, sigma: Floats, relative_depth: Floats) -> Floats:
        """Return the half-width of the 68.3 % interval of log depth, without the scale's part.

        Args:
            sigma: Float32, any shape, the network's own.
            relative_depth: Float32, same shape, positive: depth over the picture's median.
        """
        half: Floats = (self.width(sigma) if self.width else sigma) * np.float32(self.k68)
        if self.range_factor:
            half = half * self.range_factor(relative_depth)
        return half

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as JSON knows it; curves that are not there are left out."""
        return {
            "k68": self.k68,
            "k90": self.k90,
            "k95": self.k95,
            "data": self.data,
            **({"width": self.width.to_json()} if self.width else {}),
            **({"range_factor": self.range_factor.to_json()} if self.range_factor else {}),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> SigmaCalibration:
        """Read a calibration. Raises AttributeError, KeyError, TypeError or ValueError."""
        return SigmaCalibration(
            k68=float(data["k68"]),
            k90=float(data["k90"]),
            k95=float(data["k95"]),
            data=str(data["data"]),
            width=Curve.from_json(data.get("width")),
            range_factor=Curve.from_json(data.get("range_factor")),
        )


@dataclass(frozen=True)
class ConfidenceCalibration:
    """From the network's label confidence to the share of pixels that are right at it.

    Attributes:
        share: Over the confidence, 0 to 1 and never falling; no curve means the confidence itself.
        data: Name of the data it was fitted on; empty while uncalibrated.

    Raises:
        ValueError: a curve that falls or leaves 0 to 1.
    """

    share: Curve = field(default_factory=Curve)
    data: str = ""

    def __post_init__(self) -> None:
        values = self.share.value
        if self.share and not (values[0] >= 0 and values[-1] <= 1 and _rises(values)):
            raise ValueError(f"shares {values}, which fall or leave 0 to 1")

    def calibrated(self, confidence: Floats) -> Floats:
        """Return the share of right labels to expect, same shape."""
        return self.share(confidence) if self.share else confidence

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as JSON knows it."""
        return {"share": self.share.to_json(), "data": self.data}

    @staticmethod
    def from_json(data: dict[str, Any] | None) -> ConfidenceCalibration:
        """Read a calibration; None is none. Raises KeyError, TypeError or ValueError."""
        if data is None:
            return ConfidenceCalibration()
        return ConfidenceCalibration(Curve.from_json(data["share"]), str(data["data"]))


def relative_depth(depth: Floats) -> Floats:
    """Return depth over the picture's median, from which the scale drops out.

    Args:
        depth: H×W float32, positive: a whole picture, at the network's size.
    """
    # A grid of some hundred pixels has the same median for a fraction of the time.
    step = grid_step(depth.size, _MEDIAN_PIXELS)
    middle = np.float32(median(depth[::step, ::step].ravel()))
    relative: Floats = depth * (np.float32(1.0) / middle)
    return relative


def _rises(values: tuple[float, ...], *, strictly: bool = False) -> bool:
    pairs = itertools.pairwise(values)
    return all(a < b if strictly else a <= b for a, b in pairs)
