"""What one frame says of the scale: log of metres per unit of network depth, with variance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.floor_plane import expected_normal, fit_floor
from gam_depth_ros.core.frame import ReferenceDepth
from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.medians import median
from gam_depth_ros.core.sampling import grid_step
from gam_depth_ros.core.scale_filter import SIGMA_LOG_FLOOR, ScaleMeasurement

_INDEPENDENT_REGIONS = 64
_MAX_SAMPLES = 4_000
_MAD_TO_SIGMA = 1.4826  # standard deviation over median absolute deviation of a normal law
_MEDIAN_INEFFICIENCY = 1.2533  # sqrt(pi / 2): standard error of a median over that of a mean
_BOUNDARY_LOG = 0.2  # log depth between neighbours on the grid of samples, above which it jumps
_FLOOR_CONFIDENCE = 0.5


@dataclass(frozen=True)
class ScaleObservation:
    """All that a source may learn from, of one frame. Arrays are at the size of the picture.

    Attributes:
        stamp_ns: The picture's stamp, nanoseconds.
        rgb: H×W×3 uint8 picture.
        depth: H×W float32 network depth, up to scale.
        sigma_log: H×W float32, half-width of the 68.3 % interval of its logarithm; 0×0 where it was
            not computed: all pixels count the same.
        labels: H×W uint8 ids; 0×0 where they were not computed.
        label_confidence: H×W float32, 0 to 1; 0×0 where it was not computed.
        intrinsics: Calibration of the picture, None unknown.
        reference: Depth registered to the picture, None where there is none.
        floor_id: The label of floor, negative where the label set has none.
    """

    stamp_ns: int
    rgb: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float32]
    sigma_log: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    label_confidence: npt.NDArray[np.float32]
    intrinsics: Intrinsics | None = None
    reference: ReferenceDepth | None = None
    floor_id: int = NYU13.id_of("floor")


def weighted_median(values: npt.NDArray[Any], weights: npt.NDArray[Any]) -> float:
    """Return the value at which half of the weight is reached; the middle of two at exactly half.

    Args:
        values: N values, N > 0.
        weights: N weights, positive.
    """
    order = np.argsort(values)
    reached = np.cumsum(weights[order], dtype=np.float64)
    half = 0.5 * reached[-1]
    rounding = 1e-9 * half
    index = int(np.searchsorted(reached, half - rounding))
    tie = reached[index] <= half + rounding and index + 1 < len(values)
    upper = values[order[index + 1]] if tie else values[order[index]]
    return float(0.5 * (float(values[order[index]]) + float(upper)))


def reference_measurement(
    observation: ScaleObservation, reference: ReferenceDepth, config: ScaleConfig
) -> ScaleMeasurement | None:
    """Measure the log scale as the weighted median of log(reference / network depth).

    Pixels count that are in range and off the boundaries of either depth; the sure ones count more,
    by one over sigma of log depth (floored, so that no region rules alone).

    Returns:
        The measurement; None where no pixel is left.
    """
    # A regular grid of some thousand pixels gives the same median for a tenth of the time.
    step = grid_step(observation.depth.size, _MAX_SAMPLES)
    reference_m = np.ascontiguousarray(reference.depth_m[::step, ::step])
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = config.min_reference_depth_m, config.max_reference_depth_m
        valid = (reference_m > 0) & (reference_m >= low) & (reference_m <= high)
        log_reference = np.log(np.where(valid, reference_m, np.float32(1)))
        log_depth = np.log(observation.depth[::step, ::step])
    inside = valid & ~_boundary(log_reference, valid) & ~_boundary(log_depth, None)
    used = inside if inside.any() else valid
    log_ratios = (log_reference - log_depth)[used]
    if not log_ratios.size:
        return None
    weights = np.ones_like(log_ratios)
    if observation.sigma_log.size:
        sigma_log = observation.sigma_log[::step, ::step][used]
        weights /= np.maximum(sigma_log, np.float32(median(sigma_log) + 1e-3))
    middle = weighted_median(log_ratios, weights)
    spread = _MAD_TO_SIGMA * median(np.abs(log_ratios - middle))
    # Errors of neighbouring pixels agree, so pixels are not independent samples: an image is taken
    # for an 8 by 8 grid of independent regions, of which the valid share counts.
    effective = max(1.0, min(log_ratios.size, _INDEPENDENT_REGIONS * float(valid.mean())))
    sigma = max(SIGMA_LOG_FLOOR, _MEDIAN_INEFFICIENCY * spread / math.sqrt(effective))
    return ScaleMeasurement(reference.stamp_ns, middle, sigma**2)


def _boundary(
    log_depth: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_]:
    """Return where log depth jumps to a (valid) neighbour on the grid."""
    jumps = np.zeros(log_depth.shape, np.bool_)
    for here, there in (
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[1:], np.s_[:-1]),
    ):
        jump = np.abs(log_depth[here] - log_depth[there]) > _BOUNDARY_LOG
        if valid is not None:
            jump &= valid[here] & valid[there]
        jumps[here] |= jump
        jumps[there] |= jump
    return jumps


def floor_measurement(
    observation: ScaleObservation, config: ScaleConfig
) -> ScaleMeasurement | str:
    """Measure the log scale as the logarithm of camera height over the floor's distance.

    Returns:
        The measurement, or one line on why there is none.
    """
    camera = observation.intrinsics
    if not config.camera_height_m > 0:
        return "camera_height: got no camera_height_m, expected metres above the floor; set it"
    if camera is None:
        return "camera_height: got no calibration, expected camera_info; publish it"
    step = grid_step(observation.depth.size, _MAX_SAMPLES)
    grid = np.s_[::step, ::step]
    rays = camera.rays()[grid]
    floor = observation.labels[grid] == observation.floor_id
    floor &= observation.label_confidence[grid] >= _FLOOR_CONFIDENCE
    floor &= np.isfinite(rays[..., 0])
    coverage = float(floor.mean())
    if coverage < config.min_floor_fraction:
        return (
            f"floor refused: got {coverage:.1%} of the picture labelled floor, expected at least "
            f"{config.min_floor_fraction:.1%}; tilt the camera down, or lower min_floor_fraction"
        )
    depth = observation.depth[grid][floor]
    points = np.column_stack((rays[floor] * depth[:, None], depth))
    up = expected_normal(config.camera_pitch_deg)
    plane = fit_floor(points, up, config.camera_tilt_tolerance_deg, coverage)
    if isinstance(plane, str):
        return plane
    log_scale = math.log(config.camera_height_m / plane.distance)
    return ScaleMeasurement(observation.stamp_ns, log_scale, plane.variance_log)
