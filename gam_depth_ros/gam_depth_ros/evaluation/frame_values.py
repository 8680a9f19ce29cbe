"""What every frame of a recording says of a figure, kept small, so that a mean gets an interval."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt

from gam_depth_ros.evaluation.bootstrap import CONFIDENCE, interval_of_mean

MOST_VALUES = 2000
"""Longer series are averaged to so many stretches before resampling: the blocks stay as long."""
LEAST_FRAMES = 5
"""Fewer tell next to nothing of their own spread."""
MOST_BLOCKS = 128
RESAMPLES = 500
_LEAST_BLOCKS = 5

Ends = list[float]
"""Lower and upper end of an interval."""


class FrameValues:
    """One value a frame for each of several figures, 8 bytes each; values not finite are left out.

    The report keeps the figures' means; these series give each its interval.

    Args:
        shares: Figures that lie between 0 and 1, as their intervals then do; named whole, or by
            what follows the last slash.
        most: What no other figure exceeds.
        signed: Figures that may be negative; all others never are, nor are their intervals. Named
            as shares are.
        block_frames: Frames that are resampled together; None for what each series asks for.
    """

    def __init__(
        self,
        shares: Collection[str] = (),
        most: float = math.inf,
        block_frames: int | None = None,
        signed: Collection[str] = (),
    ) -> None:
        self._shares, self._signed = frozenset(shares), frozenset(signed)
        self._most = most
        self._block_frames = block_frames
        self._values: dict[str, array[float]] = {}

    def add(self, name: str, value: float | None) -> None:
        """Take in one frame's value of a figure."""
        if value is not None and math.isfinite(value):
            self._values.setdefault(name, array("d")).append(value)

    def mean(self, name: str) -> float | None:
        """Return the mean of a figure; None where it was never known."""
        values = self._values.get(name)
        return float(np.mean(values)) if values else None

    def count(self, name: str) -> int:
        """Return the number of frames with a figure."""
        return len(self._values.get(name, ()))

    def interval(self, name: str) -> Ends | None:
        """Return the ends of the 95 % interval of a mean; None for too few frames to tell."""
        values = np.array(self._values.get(name, ()), np.float64)
        ends = interval_ends(values, self._block_frames)
        names = (name, name.rpartition("/")[2])
        least = 0.0 if self._signed.isdisjoint(names) else -math.inf
        most = self._most if self._shares.isdisjoint(names) else 1.0
        return None if ends is None else [min(max(end, least), most) for end in ends]

    def intervals(self) -> dict[str, Ends]:
        """Return the intervals of all figures that have one."""
        found = {name: self.interval(name) for name in self._values}
        return {name: ends for name, ends in found.items() if ends is not None}


def interval_ends(
    values: npt.NDArray[np.float64], block_frames: int | None = None
) -> Ends | None:
    """Return the ends of the interval of a mean over frames in their order, None for too few.

    Args:
        values: One a frame, finite.
        block_frames: Frames that are resampled together; None for what the series asks for.
    """
    if values.size < LEAST_FRAMES:
        return None
    if values.size > MOST_VALUES:
        together = math.ceil(values.size / MOST_VALUES)
        whole = values.size // together * together
        values = values[:whole].reshape(-1, together).mean(axis=1)
    found = interval_of_mean([values], block_frames=block_frames)
    return [found.low, found.high] if math.isfinite(found.low) else None


def interval_of(
    values: npt.NDArray[np.float64],
    figure: Callable[[npt.NDArray[np.float64]], float],
    block_frames: int | None = None,
) -> Ends | None:
    """Return the ends of the interval of another figure than a mean, None for too few frames.

    Circular blocks (Politis & Romano 1992) as long as those of :class:`BlockedSums`, for a median,
    a percentile or a spread.

    Args:
        values: One a frame in their order, finite.
        figure: Takes as many values as there are frames; NaN where it is not defined.
        block_frames: Length of a block; None for about the cube root of the number of frames.
    """
    count = values.size
    length = block_frames or max(1, round(count ** (1.0 / 3.0)))
    if count < LEAST_FRAMES * length:
        return None
    rng = np.random.default_rng(0)
    blocks = math.ceil(count / length)
    drawn = []
    for _ in range(RESAMPLES):
        starts = rng.integers(0, count, blocks)
        places = (starts[:, None] + np.arange(length)).ravel()[:count] % count
        drawn.append(figure(values[places]))
    return _central(np.array(drawn)[:, None])[0]


class BlockedSums:
    """Sums of an array over stretches of frames: figures of pooled counts get an interval too.

    At most ``MOST_BLOCKS`` stretches of equal length; they grow together with the recording, so
    that memory does not.

    Args:
        shape: Shape of what is summed.
        block_frames: Frames that are resampled together, as far as stretches are that short; None
            for about the cube root of their number.
    """

    def __init__(self, shape: tuple[int, ...], block_frames: int | None = None) -> None:
        self._block_frames = block_frames
        self._blocks = np.zeros((MOST_BLOCKS, *shape))
        self._frames_a_block = 1
        self._frames = 0

    @property
    def frames(self) -> int:
        """How many frames were added."""
        return self._frames

    def add(self, values: npt.NDArray[np.generic]) -> None:
        """Add one frame's array."""
        place = self._frames // self._frames_a_block
        if place == MOST_BLOCKS:
            half = MOST_BLOCKS // 2
            self._blocks[:half] = self._blocks[0::2] + self._blocks[1::2]
            self._blocks[half:] = 0.0
            self._frames_a_block *= 2
            place = half
        self._blocks[place] += values
        self._frames += 1

    def total(self) -> npt.NDArray[np.float64]:
        """Return the sum over all frames."""
        return np.asarray(self._blocks.sum(axis=0))

    def interval(self, figure: Callable[[npt.NDArray[np.float64]], float]) -> Ends | None:
        """Return the ends of the 95 % interval of a figure of the sums; None for too few frames.

        Args:
            figure: Takes sums as :meth:`total` gives them; NaN where it is not defined.
        """
        return self.intervals(lambda sums: np.array([figure(sums)]))[0]

    def intervals(
        self, figures: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
    ) -> list[Ends | None]:
        """Return the ends of the 95 % intervals of several figures; None for too few frames.

        Blocks of about the cube root of the number of frames are drawn with replacement, which is
        the order of the best length for dependent frames (Hall, Horowitz & Jing 1995).

        Args:
            figures: Takes sums as :meth:`total` gives them, returns K values; NaN where one is not
                defined.
        """
        filled = math.ceil(self._frames / self._frames_a_block)
        length = self._block_frames or self._frames ** (1.0 / 3.0)
        together = max(1, round(length / self._frames_a_block))
        starts = np.arange(0, filled, together)
        if starts.size < _LEAST_BLOCKS:
            return [None] * figures(self.total()).size
        blocks = np.add.reduceat(self._blocks[:filled], starts, axis=0)
        rng = np.random.default_rng(0)
        even = np.full(starts.size, 1.0 / starts.size)
        drawn = []
        for _ in range(RESAMPLES):
            counts = rng.multinomial(starts.size, even).astype(np.float64)
            drawn.append(figures(np.asarray(np.tensordot(counts, blocks, axes=1))))
        return _central(np.array(drawn))


def _central(drawn: npt.NDArray[np.float64]) -> list[Ends | None]:
    """Return the middle 95 % of each of K columns, None where half of it is not defined."""
    found: list[Ends | None] = []
    tail = (1.0 - CONFIDENCE) / 2.0
    for column in drawn.T:
        known = column[np.isfinite(column)]
        enough = known.size >= RESAMPLES // 2
        ends = np.quantile(known, [tail, 1.0 - tail]) if enough else None
        found.append(None if ends is None else [float(end) for end in ends])
    return found
