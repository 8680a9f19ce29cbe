"""From depth up to scale to metres."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.config import PipelineConfig
from gam_depth_ros.core.frame import ScaleState
from gam_depth_ros.core.prediction import Prediction, empty_float

Floats = npt.NDArray[np.float32]


def metric_depth(
    prediction: Prediction, scale: ScaleState, config: PipelineConfig, *, known: bool, sigma: bool
) -> tuple[Floats, Floats]:
    """Return depth_m and sigma_m.

    sigma_m = depth_m · sqrt(sigma² + scale.sigma_log²), the network's sigma calibrated. Linear in
    depth, where the exact half-width of the interval would be depth · sinh(s): to a reader
    sigma_m / depth_m is then the log sigma again, which is what fusion and evaluation need, and for
    s = 0.3 they differ by 1.5 %.

    Args:
        prediction: At the picture's size.
        scale: Metres per unit of depth.
        config: Limits of what is published.
        known: Whether metres may be told at all; NaN everywhere where not.
        sigma: Whether sigma is wanted; an empty array where not.
    """
    if not known:
        unknown = np.full(prediction.depth.shape, np.nan, np.float32)
        return unknown, unknown.copy() if sigma else empty_float()
    depth_m = prediction.depth * np.float32(scale.value)
    np.clip(depth_m, config.min_depth_m, config.max_depth_m, out=depth_m)
    if not sigma:
        return depth_m, empty_float()
    return depth_m, _sigma_m(prediction.sigma_log, scale.sigma_log, depth_m)


def _sigma_m(network_log: Floats, scale_log: float, depth_m: Floats) -> Floats:
    """Join both sigmas of log depth, and go to metres."""
    # Not cv2.magnitude: its last bit depends on where in memory an array happens to lie.
    sigma_m: Floats = np.square(network_log)
    sigma_m += np.float32(scale_log**2)
    cv2.sqrt(sigma_m, dst=sigma_m)
    sigma_m *= depth_m
    return sigma_m
