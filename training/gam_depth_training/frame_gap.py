"""How many frames apart neighbours must stand to show parallax."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_training.parallax import Grey, measure_motion

# Ten pixels of a picture 640 wide, four at the paper's size: well above what bilinear sampling
# blurs, and near enough for the minimum over neighbours to find what is hidden in some of them.
TARGET_PARALLAX = 0.015
LARGEST_GAP = 12
# A neighbour in which nothing can be found again teaches nothing. Pairs that are lost are the fast
# ones, too: the median over the rest would understate the motion.
LEAST_FOLLOWED = 0.8
_GAPS = (1, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class FrameGap:
    """The frame gap of one sequence.

    Attributes:
        gap: Frames between neighbours.
        parallax: Median parallax of neighbours one frame apart, share of the picture's width; NaN
            where no pair could be followed.
        flow: The same for the displacement with rotation.
        reason: One line for people: why this gap.
    """

    gap: int
    parallax: float
    flow: float
    reason: str


def choose_gap(
    read_grey: Callable[[int], Grey],
    frames: int,
    intrinsics: Intrinsics,
    target: float = TARGET_PARALLAX,
    pairs: int = 32,
) -> FrameGap:
    """Choose the gap whose neighbours show the wished parallax.

    Parallax is measured at several gaps and a line through the origin is fitted: at a small gap
    alone, noise would pass for parallax.

    Args:
        read_grey: Reads a frame's working picture by its number.
        frames: Number of frames.
        intrinsics: Calibration of the undistorted full pictures.
        target: Wished median parallax, share of the picture's width.
        pairs: Pairs of frames measured at each gap, spread over the sequence.

    Returns:
        The gap, never so wide that a target with two neighbours on both sides does not fit.
    """
    longest = max(1, min(LARGEST_GAP, (frames - 1) // 4))
    overlapping = LARGEST_GAP + 1
    measured: list[tuple[int, float, float]] = []
    for gap in (gap for gap in _GAPS if gap < frames):
        starts = np.unique(np.linspace(0, frames - 1 - gap, pairs).astype(int))
        motions = [
            measure_motion(read_grey(start), read_grey(start + gap), intrinsics, epipolar=True)
            for start in starts
        ]
        followed = [motion for motion in motions if motion.followed]
        if len(followed) < LEAST_FOLLOWED * len(motions):
            overlapping = measured[-1][0] if measured else 1
            break
        parallax = float(np.median([motion.parallax for motion in followed]))
        flow = float(np.median([motion.flow for motion in followed]))
        measured.append((gap, parallax, flow))
        if parallax > 2.0 * target:
            break
    if not measured:
        return FrameGap(1, float("nan"), float("nan"), "too few points could be followed")
    gaps, parallaxes, flows = (np.array(column) for column in zip(*measured, strict=True))
    per_frame = float(gaps @ parallaxes / (gaps @ gaps))
    flow_per_frame = float(gaps @ flows / (gaps @ gaps))
    wished = max(1, round(target / per_frame)) if per_frame > 0 else longest
    gap = min(wished, overlapping, longest)
    words = [f"{per_frame:.2%} of the width a frame, {target:.2%} wished"]
    if gap == overlapping < wished:
        words.append("farther neighbours share too little of the view")
    elif gap == longest < wished:
        words.append(f"no more with {frames} frames")
    return FrameGap(gap, per_frame, flow_per_frame, "; ".join(words))
