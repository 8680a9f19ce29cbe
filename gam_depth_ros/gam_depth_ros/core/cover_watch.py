"""Does something lie on a part of the lens?

A bare wall is as flat as a hand before the camera, and no single picture tells the two apart. But a
wall moves through the picture when the camera moves, and what sticks to the lens stays where it is:
here blocks count that showed nothing for a second, and hardly changed, while the picture did.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.medians import median
from gam_depth_ros.core.picture_statistics import BLOCK_FLOOR, block_levels

_BLOCKS_HW = 12, 16  # of 96×128 pixels
_WINDOW_S = 1.0
_STEP_S = 0.09  # pictures nearer to the last one are passed over: a second is at most a dozen
_FEWEST, _LEAST_SPAN_S = 4, 0.8
_FORGET_S = 3.0  # after a gap like this what was on the lens may be gone
# Median over the blocks that showed something of how much their mean changed: the standard
# deviation over the window, grey levels. Below it, or with fewer such blocks, nothing can be told.
_LEAST_MOTION = 4.0
_FEWEST_BLOCKS = 12
_STILL_LEVELS = 2.0
_STILL_SHARE = 0.1  # of that motion: light that comes through changes with the room's


@dataclass(frozen=True)
class _Blocks:
    """One picture: mean and standard deviation of its blocks, 12×16 float32 grey levels."""

    stamp_ns: int
    mean: npt.NDArray[np.float32]
    spread: npt.NDArray[np.float32]


class CoverWatch:
    """Looks for a piece of the picture that stays dead while the rest moves."""

    def __init__(self) -> None:
        self._kept: deque[_Blocks] = deque()
        self.reset()

    def reset(self) -> None:
        """Forget every picture."""
        self._kept.clear()
        self._dead = np.zeros(_BLOCKS_HW, np.bool_)
        self._share = 0.0

    def share(self, rgb: npt.NDArray[np.uint8], stamp_ns: int) -> float:
        """Return the share of the picture, 0 to 1, that the largest dead piece takes.

        While too little moves to tell, what was found last holds but where something shows by now;
        0 before anything was.

        Args:
            rgb: 96×128×3 uint8 RGB.
            stamp_ns: Its stamp; one that goes back or comes seconds later starts anew.
        """
        if self._kept:
            since_s = (stamp_ns - self._kept[-1].stamp_ns) / 1e9
            if not 0 <= since_s <= _FORGET_S:
                self.reset()
            elif since_s < _STEP_S:
                return self._share
        grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)
        self._kept.append(_Blocks(stamp_ns, *block_levels(grey)))
        # A slow camera's second holds too few pictures: the last few are judged however old.
        while len(self._kept) > _FEWEST and (stamp_ns - self._kept[0].stamp_ns) / 1e9 > _WINDOW_S:
            self._kept.popleft()
        span_s = (stamp_ns - self._kept[0].stamp_ns) / 1e9
        if len(self._kept) >= _FEWEST and span_s >= _LEAST_SPAN_S:
            self._dead = self._dead_blocks()
            self._share = _largest_piece(self._dead)
        return self._share

    def _dead_blocks(self) -> npt.NDArray[np.bool_]:
        change = np.std(np.stack([blocks.mean for blocks in self._kept]), axis=0)
        flat = np.stack([blocks.spread for blocks in self._kept]).max(axis=0) < BLOCK_FLOOR
        seen = change[~flat]
        motion = median(seen) if len(seen) >= _FEWEST_BLOCKS else 0.0
        if motion < _LEAST_MOTION:
            return np.asarray(self._dead & flat)  # what was wiped at rest shows something again
        return np.asarray(flat & (change < max(_STILL_LEVELS, _STILL_SHARE * motion)))


def _largest_piece(dead: npt.NDArray[np.bool_]) -> float:
    count, _, pieces, _ = cv2.connectedComponentsWithStats(dead.view(np.uint8), connectivity=4)
    largest = pieces[1:, cv2.CC_STAT_AREA].max() if count > 1 else 0
    return float(largest / dead.size)
