"""Did the light or the camera's exposure jump between pictures?

A picture that is merely darker than most may be of a dim room; one that is at once darker all over
than those of the last second is another exposure, or a lamp that went out. A network answers such
a step with another depth for the same room.
"""

from __future__ import annotations

import math

import numpy as np

from gam_depth_ros.core.picture_statistics import PictureStatistics

_FOLLOW_S = 1.0  # time constant of the running level
_FORGET_S = 3.0  # after a gap like this there is nothing to compare with
_FLOOR_LEVELS = 8.0  # added before the logarithm: black has no ratio


class ExposureWatch:
    """Compares each picture's brightness with a running level of those before it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget every picture."""
        self._level = (0.0, 0.0)
        self._last_ns: int | None = None

    def step(self, picture: PictureStatistics, stamp_ns: int) -> float:
        """Return by how much the whole picture's brightness left the running level.

        The median and the 95 % quantile of luminance have to move the same way; the smaller of the
        two moves counts, as a view of something else seldom moves both alike.

        Args:
            picture: Its figures.
            stamp_ns: Its stamp.

        Returns:
            |log ratio| of luminance plus 8; 0 where there is nothing to compare with.
        """
        if not self._remembers(stamp_ns):
            return 0.0
        moves = np.subtract(_level(picture), self._level)
        return float(np.abs(moves).min()) if moves[0] * moves[1] > 0 else 0.0

    def follow(self, picture: PictureStatistics, stamp_ns: int) -> None:
        """Let a picture that shows something count in the running level."""
        level = _level(picture)
        if self._last_ns is not None and self._remembers(stamp_ns):
            share = 1.0 - math.exp(-(stamp_ns - self._last_ns) / 1e9 / _FOLLOW_S)
            old = self._level
            level = tuple(o + share * (n - o) for o, n in zip(old, level, strict=True))
        self._level, self._last_ns = (level[0], level[1]), stamp_ns

    def _remembers(self, stamp_ns: int) -> bool:
        return self._last_ns is not None and 0 <= stamp_ns - self._last_ns <= _FORGET_S * 1e9


def _level(picture: PictureStatistics) -> tuple[float, ...]:
    """Return the logarithms that are followed."""
    return tuple(
        math.log(value + _FLOOR_LEVELS)
        for value in (picture.luminance_median, picture.luminance_high)
    )
