"""Whether the online scale is right, and whether it knows how right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.evaluation.frame_pixels import FramePixels
from gam_depth_ros.evaluation.frame_values import Ends, FrameValues, interval_of
from gam_depth_ros.evaluation.observation import Float, Observation

MIN_SIGMA_LOG = 1e-6
"""A scale that states no sigma claims to be exact; its ratio to the error stays a number."""


class ScaleScore:
    """The scale of each frame against the one that the frame's own truth asks for.

    No circle: the scale was learnt strictly before the frame whose truth judges it.
    """

    def __init__(self) -> None:
        self._states: dict[str, int] = {}
        self._errors: list[float] = []
        self._standardised: list[float] = []

    def count(self, seen: Observation) -> None:
        """Count the state of a frame, with or without truth."""
        if seen.scale_state is not None:
            name = seen.scale_state.state
            self._states[name] = self._states.get(name, 0) + 1

    def add(self, truth_m: Float, seen: Observation, pixels: FramePixels | None = None) -> float:
        """Score one frame with truth; ``pixels`` are those of both, if other scores need them.

        Returns:
            ln(scale / the frame's own), NaN where one of them is unknown.
        """
        state = seen.scale_state
        if state is None or not state.known:
            return math.nan
        found = (pixels or FramePixels(truth_m, seen)).steady
        if found is None:
            return math.nan
        error = math.log(state.value / found.own_scale)
        self._errors.append(error)
        self._standardised.append(error / max(state.sigma_log, MIN_SIGMA_LOG))
        return error

    def summary(self) -> dict[str, Any] | None:
        """Return the figures for the report, None where no frame told its state."""
        if not self._states:
            return None
        errors, standard = np.array(self._errors), np.abs(np.array(self._standardised))
        known = bool(errors.size)
        return {
            "states": dict(sorted(self._states.items())),
            "log_error_median": float(np.median(np.abs(errors))) if known else None,
            "log_error_rms": float(np.sqrt(np.mean(errors**2))) if known else None,
            "log_bias": float(np.mean(errors)) if known else None,
            # Per frame, not in time: how much of the error is one constant factor, how much moves.
            "log_wander": float(np.std(errors)) if known else None,
            "within_1sigma": float(np.mean(standard <= 1.0)) if known else None,
            "within_2sigma": float(np.mean(standard <= 2.0)) if known else None,
            "intervals": _intervals(errors, standard),
            "frames": int(errors.size),
        }


def _intervals(
    errors: npt.NDArray[np.float64], standard: npt.NDArray[np.float64]
) -> dict[str, Ends]:
    means = FrameValues(shares=("within_1sigma", "within_2sigma"), signed=("log_bias",))
    for error, off in zip(errors, standard, strict=True):
        means.add("log_bias", error)
        means.add("within_1sigma", float(off <= 1.0))
        means.add("within_2sigma", float(off <= 2.0))
    found = {
        **means.intervals(),
        "log_error_median": interval_of(np.abs(errors), lambda drawn: float(np.median(drawn))),
        "log_error_rms": interval_of(errors, lambda drawn: float(np.sqrt(np.mean(drawn**2)))),
        "log_wander": interval_of(errors, lambda drawn: float(np.std(drawn))),
    }
    return {name: ends for name, ends in found.items() if ends is not None}
