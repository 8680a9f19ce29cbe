"""Where each pixel of a frame was in the frame before, and whether the picture shows it again.

All of it is found on a grid of about the shipped network's size, however fine the outputs are that
it is for: optical flow and the comparison of pictures cost as much as all the rest of the filter,
and a finer network asks no more of them. Flow is smooth, and what it misses inside a cell of the
coarse grid the gates on depth see.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.optical_flow import (
    FlowEstimator,
    Grey,
    Motion,
    fetch,
    grey_picture,
    is_inside,
    looks_alike,
    looming,
    resize_flow,
    resize_grey,
    source_of,
    texture_share,
)
from gam_depth_ros.core.sampling import network_step
from gam_depth_ros.core.temporal_config import FLOW, TemporalConfig

_LEAST_SIDE_PX = 16  # of what optical flow takes

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Track:
    """What became of each pixel since the frame before, on the grid asked for.

    Attributes:
        source: H×W×2 float32, where it was; None where nothing is said to have moved.
        followed: H×W, whether the picture shows it again.
        log_change: Log of its depth, now over before, as far as motion explains it.
        explained: Whether an approach would have shown, so that what did not is the network's.
    """

    source: Floats | None
    followed: Mask
    log_change: float | Floats
    explained: bool


class PictureTracker:
    """Compares pictures of one camera."""

    def __init__(self) -> None:
        self._flow = FlowEstimator()

    def picture(
        self, rgb: npt.NDArray[np.uint8], size_hw: tuple[int, int], config: TemporalConfig
    ) -> Grey:
        """Return what has to be kept of a picture until the next one.

        Args:
            rgb: H×W×3 uint8 RGB.
            size_hw: Height and width of the outputs to be tracked, pixels.
            config: ``flow_upsampling`` is used.
        """
        height, width = _coarse(size_hw)
        up = config.flow_upsampling
        return grey_picture(rgb, (height * up, width * up))

    def track(
        self,
        grey: Grey,
        previous: Grey,
        size_hw: tuple[int, int],
        config: TemporalConfig,
        motion: Motion | None,
    ) -> Track:
        """Find the pixels of a frame in the frame before.

        Args:
            grey: From :meth:`picture`.
            previous: The same of the frame before.
            size_hw: Grid of the answer.
            config: Settings.
            motion: Where it is known better than the pictures tell it.
        """
        coarse_hw = _coarse(size_hw)
        now, before = (resize_grey(picture, coarse_hw) for picture in (grey, previous))
        textured = texture_share(now) >= config.min_texture_share
        if motion is None and config.mode != FLOW:
            followed = looks_alike(now, before, config.residual_gate)
            return Track(None, _on_grid(followed, size_hw), 0.0, textured)
        flow = self._flow.flow(grey, previous) if motion is None else motion.flow
        coarse_flow = resize_flow(flow, coarse_hw)
        coarse_source = source_of(coarse_flow)
        seen_before = fetch(before, coarse_source, nearest=False)
        followed = looks_alike(now, seen_before, config.residual_gate)
        followed &= is_inside(coarse_source, coarse_hw)
        if motion is None:
            source = coarse_source
            if size_hw != coarse_hw:
                source = source_of(resize_flow(coarse_flow, size_hw))
            change = looming(coarse_flow, followed)
            return Track(source, _on_grid(followed, size_hw), change, textured)
        motion = motion.on_grid(size_hw)
        source = source_of(motion.flow)
        return Track(source, _on_grid(followed, size_hw), motion.log_change, explained=True)


def _coarse(size_hw: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of the grid on which pictures are compared."""
    height, width = size_hw
    step = max(1, min(network_step(height * width), min(size_hw) // _LEAST_SIDE_PX))
    return -(-height // step), -(-width // step)


def _on_grid(mask: Mask, size_hw: tuple[int, int]) -> Mask:
    """Return a mask on another grid over the same picture."""
    if mask.shape == size_hw:
        return mask
    resized = cv2.resize(
        mask.view(np.uint8), size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT
    )
    return np.asarray(resized, np.uint8).view(np.bool_)
