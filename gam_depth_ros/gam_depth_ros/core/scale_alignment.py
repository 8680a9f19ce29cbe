"""Metres from a depth known up to scale: the sources that know the factor.

Each source measures log scales (:mod:`scale_measurement`) and gives them to a filter
(:mod:`scale_filter`): the median ratio to a reference depth that was checked
(:mod:`reference_check`), or the camera's height over the floor's distance. Times are stamps of
images and references: no clock.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.frame import LOCKED, ReferenceDepth, ScaleState
from gam_depth_ros.core.reference_check import ReferenceCheck
from gam_depth_ros.core.scale_filter import ScaleFilter, ScaleMeasurement
from gam_depth_ros.core.scale_measurement import (
    ScaleObservation,
    floor_measurement,
    reference_measurement,
)

__all__ = [
    "CameraHeight",
    "FixedScale",
    "MedianReference",
    "ScaleObservation",
    "ScaleSource",
    "make_scale_source",
    "median_scale",
]


class ScaleSource(Protocol):
    """Where the factor from network depth to metres comes from."""

    @property
    def needs_reference(self) -> bool:
        """Whether only frames with a reference teach it anything."""

    @property
    def needs_labels(self) -> bool:
        """Whether it looks at labels and their confidence."""

    def estimate(self, stamp_ns: int) -> ScaleState:
        """Return what is known at this stamp from frames strictly before it."""

    def observe(self, observation: ScaleObservation) -> str | None:
        """Learn from a frame; returns one line when its reference was refused, else None."""

    def refuse(self, reason: str) -> None:
        """Take note that a frame's reference was refused before it came here."""

    def adopt(self, measured: ScaleMeasurement) -> None:
        """Know this scale at once, in place of what was learnt."""

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
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = reference_m.astype(np.float64) / depth
        valid = (reference_m > 0) & (reference_m < np.inf) & (depth > 0) & np.isfinite(ratios)
    return float(np.exp(np.median(np.log(ratios[valid])))) if valid.any() else math.nan


class FixedScale:
    """A scale that the user states: known from the first frame, deaf to references."""

    needs_reference = True
    needs_labels = False

    def __init__(self, config: ScaleConfig) -> None:
        self._config = config

    def estimate(self, stamp_ns: int) -> ScaleState:
        """Return the stated value with its stated sigma."""
        value, sigma_log = self._config.fixed_value, self._config.fixed_sigma_log
        return ScaleState(LOCKED, "fixed", value, sigma_log, math.inf, f"fixed at {value:g}")

    def observe(self, observation: ScaleObservation) -> str | None:
        """Ignore the frame."""
        return None

    def refuse(self, reason: str) -> None:
        """Ignore the reference."""

    def adopt(self, measured: ScaleMeasurement) -> None:
        """Ignore it: what the user states holds."""

    def configure(self, config: ScaleConfig) -> None:
        """Take over a changed value."""
        self._config = config

    def reset(self) -> None:
        """Do nothing: nothing was learnt."""


class MedianReference:
    """Follows the median ratio of a reference depth to the network's.

    A reference with stamp r serves only estimates for stamps later than r. Stamps that go back
    (a bag that loops) reset it.
    """

    needs_reference = True
    needs_labels = False

    def __init__(self, config: ScaleConfig) -> None:
        self._config = config
        self._check = ReferenceCheck(config)
        self._filter = ScaleFilter(config, "no reference depth accepted yet")

    def reset(self) -> None:
        """Forget everything learnt."""
        self._check.reset()
        self._filter.reset()

    def configure(self, config: ScaleConfig) -> None:
        """Take over changed settings, keeping the scale."""
        self._config = config
        self._check.configure(config)
        self._filter.configure(config)

    def estimate(self, stamp_ns: int) -> ScaleState:
        """Return the scale for an image, from references stamped strictly before it."""
        return self._filter.estimate(stamp_ns)

    def adopt(self, measured: ScaleMeasurement) -> None:
        """Know this scale at once, in place of what was learnt."""
        self._filter.believe(measured)

    def refuse(self, reason: str) -> None:
        """Take note that a frame's reference was refused before it came here."""
        self._filter.refuse(reason)

    def observe(self, observation: ScaleObservation) -> str | None:
        """Learn from a frame's reference.

        Returns:
            None when it was taken, else one line: what was got, expected, what to do.
        """
        note = self._filter.advance(observation.stamp_ns)
        if note is not None:
            self._check.reset()
        reference = observation.reference
        refusal = None if reference is None else self._take(observation, reference)
        if refusal is not None:
            self._filter.refuse(refusal)
        return "; ".join(line for line in (note, refusal) if line) or None

    def _take(self, observation: ScaleObservation, reference: ReferenceDepth) -> str | None:
        """Measure and hand to the filter; returns why the reference was refused."""
        if reference.depth_m.shape != observation.depth.shape:
            return (
                f"reference depth refused: got size {reference.depth_m.shape}, expected "
                f"{observation.depth.shape} like the network depth; register it to the colour image"
            )
        last_ns = self._filter.last_stamp_ns
        if last_ns is not None and reference.stamp_ns <= last_ns:
            return (
                f"reference depth refused: got stamp {reference.stamp_ns}, expected one later than "
                f"the last reference's {last_ns}; it is stale or a repetition"
            )
        problem = self._check.problem(observation.rgb, reference.depth_m)
        if problem is not None:
            return problem
        measured = reference_measurement(observation, reference, self._config)
        if measured is None:
            return "reference depth refused: got no pixel in range, expected some; check the sensor"
        self._filter.add(measured)
        return None


class CameraHeight:
    """Follows the camera's stated height over the distance of the floor that the network sees.

    A frame serves only later frames. A frame without a floor costs nothing but age.
    """

    needs_reference = False
    needs_labels = True

    def __init__(self, config: ScaleConfig) -> None:
        self._config = config
        self._filter = ScaleFilter(config, "no floor seen yet")

    def reset(self) -> None:
        """Forget everything learnt."""
        self._filter.reset()

    def configure(self, config: ScaleConfig) -> None:
        """Take over changed settings; another height makes another scale, learnt anew."""
        if config.camera_height_m != self._config.camera_height_m:
            self._filter.reset()
        self._config = config
        self._filter.configure(config)

    def estimate(self, stamp_ns: int) -> ScaleState:
        """Return the scale for an image, from frames stamped strictly before it."""
        return self._filter.estimate(stamp_ns)

    def adopt(self, measured: ScaleMeasurement) -> None:
        """Know this scale at once, in place of what was learnt."""
        self._filter.believe(measured)

    def refuse(self, reason: str) -> None:
        """Ignore references."""

    def observe(self, observation: ScaleObservation) -> str | None:
        """Learn from a frame's floor.

        Returns:
            A note when stamps went back; that there is no floor stands in the state alone.
        """
        note = self._filter.advance(observation.stamp_ns)
        last_ns = self._filter.last_stamp_ns
        if last_ns is None or observation.stamp_ns > last_ns:
            measured = floor_measurement(observation, self._config)
            if isinstance(measured, str):
                self._filter.refuse(measured)
            else:
                self._filter.add(measured)
        return note


def make_scale_source(config: ScaleConfig) -> ScaleSource:
    """Return the scale source that the settings name."""
    if config.source == "fixed":
        return FixedScale(config)
    return CameraHeight(config) if config.source == "camera_height" else MedianReference(config)
