"""Metres from a depth known up to scale: the median ratio to a reference, smoothed over time.

The estimator works on log scale. Each accepted reference gives a measurement, the median over
pixels of log(reference / network depth), with its own uncertainty; a first-order low-pass with time
constant ``smoothing_time_s`` follows it. Times are stamps of images and references: no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.frame import ReferenceDepth, ScaleState

UNKNOWN = "UNKNOWN"
LOCKED = "LOCKED"
HOLDING = "HOLDING"

FRESH_S = 1.0
"""Age up to which a scale is LOCKED, seconds; past it, it is HOLDING."""

SIGMA_LOG_FLOOR = 0.01
"""No scale is claimed to be better than one percent: about what a depth camera itself reaches."""

_INDEPENDENT_REGIONS = 64
_MAX_SAMPLES = 20_000
_MAX_PENDING = 64
_MAD_TO_SIGMA = 1.4826  # standard deviation over median absolute deviation of a normal law
_MEDIAN_INEFFICIENCY = 1.2533  # sqrt(pi / 2): standard error of a median over that of a mean


class ScaleSource(Protocol):
    """Where the factor from network depth to metres comes from."""

    def estimate(self, stamp_ns: int) -> ScaleState:
        """Return what is known at this stamp from references strictly before it."""

    def update(
        self, stamp_ns: int, reference: ReferenceDepth, network_depth: npt.NDArray[np.float32]
    ) -> str | None:
        """Learn from a reference; returns one line when it was refused, else None."""

    def configure(self, config: ScaleConfig) -> None:
        """Take over changed settings, keeping what was learnt."""

    def reset(self) -> None:
        """Forget everything learnt."""


def median_scale(reference_m: npt.NDArray[Any], depth: npt.NDArray[Any]) -> float:
    """Return the median over pixels of reference / depth, NaN if no pixel has both.

    Args:
        reference_m: Metres, any shape; NaN, infinite or not positive where there is no reading.
        depth: Depth up to scale, same shape.
    """
    log_ratios = _log_ratios(reference_m, depth, 0.0, math.inf)
    return float(np.exp(np.median(log_ratios))) if log_ratios.size else math.nan


@dataclass(frozen=True)
class _Measurement:
    """One reference's log scale: when, how much, how sure."""

    stamp_ns: int
    log_scale: float
    variance: float


class FixedScale:
    """A scale that the user states: known from the first frame, deaf to references."""

    def __init__(self, config: ScaleConfig) -> None:
        self._config = config

    def estimate(self, stamp_ns: int) -> ScaleState:
        """Return the stated value; its sigma is zero because nobody stated one."""
        value = self._config.fixed_value
        return ScaleState(LOCKED, "fixed", value, 0.0, math.inf, f"fixed at {value:g}")

    def update(
        self, stamp_ns: int, reference: ReferenceDepth, network_depth: npt.NDArray[np.float32]
    ) -> str | None:
        """Ignore the reference."""
        return None

    def configure(self, config: ScaleConfig) -> None:
        """Take over a changed value."""
        self._config = config

    def reset(self) -> None:
        """Do nothing: nothing was learnt."""


class ScaleEstimator:
    """Follows the median ratio of a reference depth to the network's.

    A reference with stamp r serves only estimates for stamps later than r. Stamps that go back
    (a bag that loops) reset it: what was learnt lies in the future then.

    The variance of the log scale is the low-passed sum of the measurement's own variance and the
    squared innovation (how far the scale jumped since the last reference). While no reference
    comes it grows, as a random walk does, in proportion to the time held over the time constant.
    """

    def __init__(self, config: ScaleConfig) -> None:
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget everything learnt."""
        self._newest_ns: int | None = None
        self._pending: list[_Measurement] = []
        self._last_ns: int | None = None
        self._log_scale = math.nan
        self._variance = math.inf
        self._why_unknown = "no reference depth accepted yet"

    def configure(self, config: ScaleConfig) -> None:
        """Take over changed settings, keeping the scale."""
        self._config = config

    def estimate(self, stamp_ns: int) -> ScaleState:
        """Return the scale for an image, from references stamped strictly before it.

        Args:
            stamp_ns: The image's stamp, nanoseconds. Going back resets the estimator.
        """
        self._advance(stamp_ns)
        if self._last_ns is None:
            return self._unknown(math.inf, self._why_unknown)
        age_s = (stamp_ns - self._last_ns) / 1e9
        if age_s > self._config.max_age_s:
            return self._unknown(
                age_s,
                f"the last reference is {age_s:.1f} s old, more than {self._config.max_age_s:g} s",
            )
        smoothing_s = max(self._config.smoothing_time_s, 1e-3)
        growth = 1.0 + max(0.0, age_s - FRESH_S) / smoothing_s
        sigma_log = max(SIGMA_LOG_FLOOR, math.sqrt(self._variance * growth))
        fresh = age_s <= FRESH_S
        return ScaleState(
            LOCKED if fresh else HOLDING,
            "median_reference",
            math.exp(self._log_scale),
            sigma_log,
            age_s,
            "following the reference depth" if fresh else f"no fresh reference for {age_s:.1f} s",
        )

    def update(
        self, stamp_ns: int, reference: ReferenceDepth, network_depth: npt.NDArray[np.float32]
    ) -> str | None:
        """Learn from a reference.

        Args:
            stamp_ns: Stamp of the image that ``network_depth`` belongs to.
            reference: Depth registered to that image.
            network_depth: H×W float32, depth up to scale at the reference's size.

        Returns:
            None when it was accepted, else one line: what was got, expected, what to do.
        """
        went_back = self._advance(stamp_ns)
        refusal = self._accept(reference, network_depth)
        if refusal is not None and self._last_ns is None and not self._pending:
            self._why_unknown = f"no reference depth accepted yet; {refusal}"
        notes = [note for note in (went_back, refusal) if note]
        return "; ".join(notes) or None

    def _accept(
        self, reference: ReferenceDepth, network_depth: npt.NDArray[np.float32]
    ) -> str | None:
        """Queue a measurement; returns why it was refused."""
        if reference.depth_m.shape != network_depth.shape:
            return (
                f"reference depth refused: got size {reference.depth_m.shape}, expected "
                f"{network_depth.shape} like the network depth; register it to the colour image"
            )
        newest_ns = self._pending[-1].stamp_ns if self._pending else self._last_ns
        if newest_ns is not None and reference.stamp_ns <= newest_ns:
            return (
                f"reference depth refused: got stamp {reference.stamp_ns}, expected one later than "
                f"the last reference's {newest_ns}; it is stale or a repetition"
            )
        measured, valid_fraction = self._measure(reference, network_depth)
        if measured is None:
            low, high = self._config.min_reference_depth_m, self._config.max_reference_depth_m
            return (
                f"reference depth refused: got {valid_fraction:.1%} valid pixels from {low:g} to "
                f"{high:g} m, expected at least {self._config.min_valid_fraction:.1%}; "
                "check the depth camera, or lower min_valid_fraction"
            )
        self._pending = [*self._pending, measured][-_MAX_PENDING:]
        return None

    def _measure(
        self, reference: ReferenceDepth, network_depth: npt.NDArray[np.float32]
    ) -> tuple[_Measurement | None, float]:
        """Return the measurement (None with too few valid pixels) and the valid fraction."""
        # A regular grid of some thousand pixels gives the same median for a tenth of the time.
        step = max(1, math.isqrt(network_depth.size // _MAX_SAMPLES))
        log_ratios = _log_ratios(
            reference.depth_m[::step, ::step],
            network_depth[::step, ::step],
            self._config.min_reference_depth_m,
            self._config.max_reference_depth_m,
        )
        samples = network_depth[::step, ::step].size
        valid_fraction = log_ratios.size / max(1, samples)
        if not log_ratios.size or valid_fraction < self._config.min_valid_fraction:
            return None, valid_fraction
        median = float(np.median(log_ratios))
        spread = _MAD_TO_SIGMA * float(np.median(np.abs(log_ratios - median)))
        # Errors of neighbouring pixels agree, so pixels are not independent samples: an image is
        # taken for an 8 by 8 grid of independent regions, of which the valid share counts.
        effective = max(1.0, min(log_ratios.size, _INDEPENDENT_REGIONS * valid_fraction))
        sigma = max(SIGMA_LOG_FLOOR, _MEDIAN_INEFFICIENCY * spread / math.sqrt(effective))
        return _Measurement(reference.stamp_ns, median, sigma**2), valid_fraction

    def _advance(self, stamp_ns: int) -> str | None:
        """Fold in every measurement before this stamp; one that goes back resets with a note."""
        note = None
        if self._newest_ns is not None and stamp_ns < self._newest_ns:
            back_s = (self._newest_ns - stamp_ns) / 1e9
            self.reset()
            note = f"stamps went back by {back_s:.3f} s: the scale is learnt anew"
            self._why_unknown = note
        self._newest_ns = stamp_ns
        while self._pending and self._pending[0].stamp_ns < stamp_ns:
            self._fold_in(self._pending.pop(0))
        return note

    def _fold_in(self, measured: _Measurement) -> None:
        """Move the low-pass filter to one measurement."""
        if self._last_ns is None or self._is_too_old(measured.stamp_ns - self._last_ns):
            self._log_scale, self._variance = measured.log_scale, measured.variance
        else:
            elapsed_s = (measured.stamp_ns - self._last_ns) / 1e9
            smoothing_s = self._config.smoothing_time_s
            gain = 1.0 - math.exp(-elapsed_s / smoothing_s) if smoothing_s > 0 else 1.0
            innovation = measured.log_scale - self._log_scale
            self._log_scale += gain * innovation
            self._variance += gain * (measured.variance + innovation**2 - self._variance)
        self._last_ns = measured.stamp_ns

    def _is_too_old(self, age_ns: int) -> bool:
        return age_ns / 1e9 > self._config.max_age_s

    def _unknown(self, age_s: float, reason: str) -> ScaleState:
        return ScaleState(UNKNOWN, "median_reference", math.nan, math.inf, age_s, reason)


def make_scale_source(config: ScaleConfig) -> ScaleSource:
    """Return the scale source that the settings name."""
    return FixedScale(config) if config.source == "fixed" else ScaleEstimator(config)


def _log_ratios(
    reference_m: npt.NDArray[Any], depth: npt.NDArray[Any], low_m: float, high_m: float
) -> npt.NDArray[np.float64]:
    """Return log(reference / depth) of the pixels where both are valid, 1-D float64."""
    in_range = (reference_m > 0) & (reference_m >= low_m) & (reference_m <= high_m)
    valid = in_range & np.isfinite(reference_m) & np.isfinite(depth) & (depth > 0)
    ratios = reference_m[valid].astype(np.float64) / depth[valid]
    return np.asarray(np.log(ratios), np.float64)
