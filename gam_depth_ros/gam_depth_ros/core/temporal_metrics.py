"""Scores of what happens between frames: how still a still scene is, how soon a change is seen.

Each is only half of the truth: a filter that never moves is perfectly smooth. Report the pair.
All depths are compared as logs, so that no score depends on the unit or the scale of depth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.optical_flow import fetch, is_inside, source_of

Floats = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

_CONSISTENCY = 50.0
_WHITE = 255.0
STILL_PX = 0.25


def photometric_weight(
    rgb: npt.NDArray[np.uint8],
    previous_rgb: npt.NDArray[np.uint8],
    flow: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Return how far each pixel's flow is to be believed, by the colours it links.

    exp(-50·|I - Î|²) with Î the frame before moved along the flow and colours from 0 to 1, as in
    Lai et al. (ECCV 2018) and the scores built on it.

    Args:
        rgb: H×W×3 or H×W uint8.
        previous_rgb: The same of the frame before.
        flow: H×W×2 float32 from each pixel back to where it was, pixels.

    Returns:
        H×W float32, 0 to 1; 0 where the pixel was outside the frame before.
    """
    source = source_of(flow)
    now, before = (picture.astype(np.float32) / _WHITE for picture in (rgb, previous_rgb))
    squared = np.square(now - fetch(before, source, nearest=False))
    if squared.ndim == 3:
        squared = squared.sum(axis=-1)
    weight = np.exp(-_CONSISTENCY * squared)
    weight[~is_inside(source, flow.shape[:2])] = 0.0
    return np.asarray(weight, np.float32)


def optical_warp_error(
    depth: npt.NDArray[np.float32],
    previous_depth: npt.NDArray[np.float32],
    flow: npt.NDArray[np.float32],
    weight: npt.NDArray[np.float32],
    log_change: float | npt.NDArray[np.float32] = 0.0,
) -> float | None:
    """Score how a frame's depth fits that of the frame before, moved along the flow.

    Σ w·|ln z - ln ẑ - c| / Σ w, the OPW of Wang et al. (MM 2022) in log depth; Li et al. (ICCV
    workshops 2021) compare the ratio of the two in the same way. Without ``log_change`` the
    camera's own approach counts as an error, as in the literature.

    Args:
        depth: H×W float32 in any unit; not above zero or NaN where unknown.
        previous_depth: The same of the frame before.
        flow: H×W×2 float32 from each pixel back to where it was, pixels.
        weight: H×W float32 from :func:`photometric_weight`.
        log_change: What the motion itself adds to log depth, for the frame or per pixel.

    Returns:
        The mean log difference, 0 for a rigid scene seen consistently; None where no pixel counts.
    """
    source = source_of(flow)
    # Linear look-up would average across depth edges and find fault with an exact depth.
    moved = fetch(_log(previous_depth), source, nearest=True)
    error = np.abs(_log(depth) - moved - log_change)
    counts = np.isfinite(error) & (weight > 0)
    total = float(weight[counts].sum(dtype=np.float64))
    if total == 0:
        return None
    return float((weight[counts] * error[counts]).sum(dtype=np.float64)) / total


def is_still(flow: npt.NDArray[np.float32], within_px: float = STILL_PX) -> Mask:
    """Return the pixels that did not move, H×W."""
    return np.asarray(np.hypot(flow[..., 0], flow[..., 1]) <= within_px, np.bool_)


def flicker(
    depth: npt.NDArray[np.float32],
    previous_depth: npt.NDArray[np.float32],
    still: Mask | None = None,
) -> float | None:
    """Return the root mean square of the change of log depth where the scene stood still.

    Args:
        depth: H×W float32 in any unit; not above zero or NaN where unknown.
        previous_depth: The same of the frame before.
        still: H×W, the pixels that count; all if None. See :func:`is_still`.

    Returns:
        The flicker of this pair of frames; None where no pixel counts.
    """
    change = _log(depth) - _log(previous_depth)
    counts = np.isfinite(change) if still is None else np.isfinite(change) & still
    if not counts.any():
        return None
    return math.sqrt(float(np.mean(np.square(change[counts], dtype=np.float64))))


def label_change(
    labels: npt.NDArray[np.uint8],
    previous_labels: npt.NDArray[np.uint8],
    flow: npt.NDArray[np.float32],
    weight: npt.NDArray[np.float32],
) -> float | None:
    """Return the weighted share of pixels whose label is not the one they came with.

    Args:
        labels: H×W uint8 ids.
        previous_labels: The same of the frame before.
        flow: H×W×2 float32 from each pixel back to where it was, pixels.
        weight: H×W float32 from :func:`photometric_weight`.
    """
    total = float(weight.sum(dtype=np.float64))
    if total == 0:
        return None
    changed = labels != fetch(previous_labels, source_of(flow), nearest=True)
    return float(weight[changed].sum(dtype=np.float64)) / total


def with_step(depth: npt.NDArray[np.float32], where: Mask, log_step: float) -> Floats:
    """Return a depth image with a step of log depth put in, nearer where it is below zero."""
    return np.where(where, depth * np.float32(math.exp(log_step)), depth)


def step_response(
    stepped: npt.NDArray[np.float32],
    unstepped: npt.NDArray[np.float32],
    where: Mask,
    log_step: float,
) -> float:
    """Return the share of a step that an output shows, the median over the pixels it was put in.

    Args:
        stepped: H×W float32, the output for input that :func:`with_step` changed.
        unstepped: H×W float32, the output for the same input without the step.
        where: H×W, where the step is.
        log_step: Its size, not zero.

    Returns:
        0 for an output that shows nothing of it, 1 for one that shows all; NaN where none is known.
    """
    seen = _log(stepped[where]) - _log(unstepped[where])
    seen = seen[np.isfinite(seen)]
    return float(np.median(seen)) / log_step if seen.size else math.nan


def reaction_frames(responses: Sequence[float], share: float = 0.9) -> int | None:
    """Return how many frames a step took to be seen, 1 if its very first frame shows it.

    Args:
        responses: :func:`step_response` of each frame from the first that has the step.
        share: Share of the step that counts as seen: 0.9 is within ten percent, 0.5 half.

    Returns:
        The count, None if the step was never seen.
    """
    for frame, response in enumerate(responses, start=1):
        if response >= share:
            return frame
    return None


def _log(depth: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return log depth; NaN where depth is not above zero."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.log(np.where(depth > 0, depth, np.nan)), np.float32)
