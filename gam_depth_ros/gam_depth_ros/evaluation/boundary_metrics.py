"""How well boundaries lie: of depth, and of labels. Pure functions of truth and prediction.

Koch et al. (2018), "Evaluation of CNN-based single-image depth estimation methods", equations 7
and 8: the mean distance of predicted edge pixels to the nearest true one (accuracy: are the edges
where they should be?) and of true ones to the nearest predicted one (completeness: are all there?),
each cut at ten pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.agreement import label_boundaries
from gam_depth_ros.core.metrics import median_of

WORKING_WIDTH = 320
"""Distances are in pixels of a picture of this width."""
MOST_PX = 10.0
EDGE_LOG_STEP = 0.10
"""|log ratio| over three pixels from which on an edge of depth begins."""
FAINT_LOG_STEP = 0.05
"""And down to which it goes on."""

# Sobel's kernel has gain 8 for a slope of one a pixel; a step seen over two pixels gives 4.
_SOBEL_STEP_GAIN = 4.0
_TO_INTEGER = 2000.0
_HOLE_MARGIN_PX = 3

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class BoundaryErrors:
    """Mean distances in pixels of a picture ``WORKING_WIDTH`` wide, 0 to ``MOST_PX``.

    Attributes:
        accuracy_px: From predicted edges to true ones; NaN where nothing was predicted.
        completeness_px: From true edges to predicted ones; NaN where the truth has none.
    """

    accuracy_px: float
    completeness_px: float


def depth_boundary_errors(
    truth_m: npt.NDArray[np.floating], prediction: npt.NDArray[np.floating]
) -> BoundaryErrors:
    """Compare the edges of two depths; edges at holes of the truth count on neither side.

    Args:
        truth_m: H×W metres, NaN or 0 unknown.
        prediction: H×W, up to scale.
    """
    truth, predicted = shrunk(truth_m), shrunk(prediction)
    known = np.isfinite(truth) & (truth > 0)
    near_hole = _grown(~known, _HOLE_MARGIN_PX)
    true_edges = depth_edges(truth) & ~near_hole
    predicted_edges = depth_edges(predicted) & ~near_hole
    return edge_errors(true_edges, predicted_edges)


def label_boundary_errors(
    truth: npt.NDArray[np.uint8], prediction: npt.NDArray[np.uint8], unlabelled: int = 255
) -> BoundaryErrors:
    """Compare the boundaries of two label images; those of unlabelled areas do not count.

    Args:
        truth: H×W ids.
        prediction: H×W ids.
        unlabelled: The id of pixels without a true label.
    """
    true_ids, predicted_ids = shrunk(truth), shrunk(prediction)
    near_unknown = _grown(true_ids == unlabelled, 1)
    return edge_errors(
        label_boundaries(true_ids).astype(bool) & ~near_unknown,
        label_boundaries(predicted_ids).astype(bool) & ~near_unknown,
    )


def edge_errors(true_edges: Mask, predicted_edges: Mask) -> BoundaryErrors:
    """Return the mean distances between two sets of edge pixels, H×W bool each."""
    return BoundaryErrors(
        accuracy_px=_mean_distance(predicted_edges, true_edges),
        completeness_px=_mean_distance(true_edges, predicted_edges),
    )


def depth_edges(depth: npt.NDArray[np.floating]) -> Mask:
    """Return thin edges of depth, H×W bool: Canny (1986) on the gradient of its logarithm.

    On the logarithm an edge is a ratio, so that neither scale nor distance matters.

    Args:
        depth: H×W, what is not finite and positive makes no edge of its own.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log_depth = np.log(depth.astype(np.float32))
    known = np.isfinite(log_depth)
    if not known.all():
        if not known.any():
            return np.zeros(depth.shape, bool)
        log_depth[~known] = median_of(log_depth[known])
    gradients = [_sobel(log_depth, 1, 0), _sobel(log_depth, 0, 1)]
    faint, sure = (
        step * _SOBEL_STEP_GAIN * _TO_INTEGER for step in (FAINT_LOG_STEP, EDGE_LOG_STEP)
    )
    edges: npt.NDArray[Any] = cv2.Canny(
        gradients[0], gradients[1], threshold1=faint, threshold2=sure, L2gradient=True
    )
    return np.asarray(edges > 0)


def shrunk(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an image at ``WORKING_WIDTH`` by nearest neighbour, which keeps holes and ids."""
    if image.shape[1] <= WORKING_WIDTH:
        return image
    height = max(1, round(image.shape[0] * WORKING_WIDTH / image.shape[1]))
    resized: npt.NDArray[Any] = cv2.resize(
        image, (WORKING_WIDTH, height), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return resized


def _sobel(values: npt.NDArray[np.float32], dx: int, dy: int) -> npt.NDArray[np.int16]:
    gradient: npt.NDArray[Any] = cv2.Sobel(
        values, cv2.CV_32F, dx, dy, scale=_TO_INTEGER, borderType=cv2.BORDER_REFLECT
    )
    np.clip(gradient, -32767, 32767, out=gradient)
    return gradient.astype(np.int16)


def _mean_distance(of: Mask, to: Mask) -> float:
    if not of.any():
        return math.nan
    if not to.any():
        return MOST_PX
    distance: npt.NDArray[Any] = cv2.distanceTransform(
        (~to).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    return float(np.minimum(distance[of], MOST_PX).mean())


def _grown(mask: Mask, radius: int) -> Mask:
    side = 2 * radius + 1
    grown: npt.NDArray[Any] = cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8))
    return np.asarray(grown > 0)
