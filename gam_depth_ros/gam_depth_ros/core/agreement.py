"""Do depth and semantics put their boundaries in the same places?

Where two surfaces of different classes meet there is often a step in depth, and most steps in depth
part two things. A boundary that one output has and the other lacks is a doubt. On recordings errors
were wider only where the labels had it alone, and depth had missed a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.health_config import AgreementConfig


@dataclass(frozen=True)
class Agreement:
    """How the boundaries of depth and labels fit, at the size of the arrays compared.

    Attributes:
        score: 0 to 1: share of all boundary pixels that have one of the other kind near;
            NaN where neither output has a boundary.
        depth_only: H×W bool: near a step in depth that no label boundary goes with.
        label_only: H×W bool: near a label boundary that no step in depth goes with.
        sigma_factor: H×W float32, what sigma is to be multiplied by; at least 1.
    """

    score: float
    depth_only: npt.NDArray[np.bool_]
    label_only: npt.NDArray[np.bool_]
    sigma_factor: npt.NDArray[np.float32]


def boundary_agreement(
    depth: npt.NDArray[np.float32],
    labels: npt.NDArray[np.uint8],
    config: AgreementConfig | None = None,
) -> Agreement:
    """Compare the boundaries of depth with those of the labels.

    The score is the Dice form of the boundary F-measure of Martin, Fowlkes and Malik (2004), with
    a square tolerance instead of their assignment: with D and L the boundary pixels and ⊕ the
    dilation by the tolerance, (|D ∩ L⊕| + |L ∩ D⊕|) / (|D| + |L|).

    Args:
        depth: H×W float32, positive, up to scale; the network's own size is the cheap one.
        labels: H×W uint8 ids.
        config: Step and tolerance.
    """
    config = config or AgreementConfig()
    steps = depth_steps(depth, config.depth_step)
    boundaries = label_boundaries(labels)
    near_steps, near_boundaries = (
        _dilated(mask, config.tolerance_px) for mask in (steps, boundaries)
    )
    alone_d = steps & ~near_boundaries
    alone_l = boundaries & ~near_steps
    count = np.count_nonzero(steps) + np.count_nonzero(boundaries)
    alone = np.count_nonzero(alone_d) + np.count_nonzero(alone_l)
    label_only = _dilated(alone_l, config.tolerance_px).view(np.bool_)
    return Agreement(
        score=1.0 - alone / count if count else float("nan"),
        depth_only=_dilated(alone_d, config.tolerance_px).view(np.bool_),
        label_only=label_only,
        sigma_factor=np.where(label_only, np.float32(config.sigma_factor), np.float32(1.0)),
    )


def depth_steps(depth: npt.NDArray[np.float32], step: float) -> npt.NDArray[np.uint8]:
    """Mark both pixels of every neighbouring pair whose depths differ by more than a share.

    Args:
        depth: H×W float32, positive; NaN is no step.
        step: |log ratio| of neighbours from which on it is a step.

    Returns:
        H×W uint8, 1 on a step.
    """
    log_depth = np.asarray(cv2.log(depth), np.float32)
    return _either_side(
        np.abs(log_depth[1:] - log_depth[:-1]) > step,
        np.abs(log_depth[:, 1:] - log_depth[:, :-1]) > step,
    )


def label_boundaries(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Mark both pixels of every neighbouring pair with different ids; H×W uint8, 1 on them."""
    return _either_side(labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1])


def _either_side(
    down: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """Return the pixels on either side of the marked pairs of vertical and side neighbours."""
    marked = np.zeros((right.shape[0], down.shape[1]), np.bool_)
    marked[1:] |= down
    marked[:-1] |= down
    marked[:, 1:] |= right
    marked[:, :-1] |= right
    return marked.view(np.uint8)


def _dilated(mask: npt.NDArray[np.uint8], radius: int) -> npt.NDArray[np.uint8]:
    """Grow a mask by a square of ``radius`` pixels each way."""
    side = 2 * radius + 1
    grown: npt.NDArray[Any] = cv2.dilate(mask, np.ones((side, side), np.uint8))
    return np.asarray(grown, np.uint8)
