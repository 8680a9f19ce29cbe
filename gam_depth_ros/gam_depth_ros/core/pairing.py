"""Which reference depth belongs to which image. Pure arithmetic: serves the node and bags."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.frame import ReferenceDepth

Item = TypeVar("Item")

_LOOP_NS = 1_000_000_000  # a stamp this much behind the newest means a recording began again


def nearest_pairs(
    image_stamps_ns: Sequence[int], reference_stamps_ns: Sequence[int], slop_ns: int
) -> npt.NDArray[np.int64]:
    """Pair two whole recordings; the closest pairs are made first, each reference serves once.

    Args:
        image_stamps_ns: Stamps of the images, in any order.
        reference_stamps_ns: Stamps of the references, in any order.
        slop_ns: Largest difference of a pair, nanoseconds.

    Returns:
        For each image the index of its reference, -1 where it has none; int64.
    """
    images = np.asarray(image_stamps_ns, np.int64)
    references = np.asarray(reference_stamps_ns, np.int64)
    pairs = np.full(len(images), -1, np.int64)
    if not len(images) or not len(references):
        return pairs
    order = np.argsort(references, kind="stable")
    ordered = references[order]
    first = np.searchsorted(ordered, images - slop_ns, side="left")
    last = np.searchsorted(ordered, images + slop_ns, side="right")
    candidates = [
        (abs(int(ordered[at] - images[image])), image, int(order[at]))
        for image in range(len(images))
        for at in range(first[image], last[image])
    ]
    taken: set[int] = set()
    for _, image, reference in sorted(candidates):
        if pairs[image] < 0 and reference not in taken:
            pairs[image] = reference
            taken.add(reference)
    return pairs


class StampPairer(Generic[Item]):
    """Holds the latest references and hands out the one nearest to an image.

    Args:
        slop_ns: Largest difference of a pair, nanoseconds.
        capacity: References held; beyond it the oldest goes.
    """

    def __init__(self, slop_ns: int, capacity: int = 32) -> None:
        if slop_ns < 0 or capacity < 1:
            raise ValueError(
                f"pairing: got slop {slop_ns} ns and capacity {capacity}, expected slop >= 0 and "
                "capacity >= 1"
            )
        self._slop_ns = slop_ns
        self._capacity = capacity
        self._held: list[tuple[int, int, Item]] = []
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._held)

    def add(self, stamp_ns: int, item: Item) -> None:
        """Hold a reference. One far behind the newest starts over (a recording that loops)."""
        if self._held and stamp_ns < self._held[-1][0] - _LOOP_NS:
            self.clear()
        self._arrivals += 1
        # The count breaks ties, so that items themselves are never compared.
        insort(self._held, (stamp_ns, self._arrivals, item))
        del self._held[: -self._capacity]

    def ready(self, stamp_ns: int) -> bool:
        """Whether a later reference could no longer be nearer to this stamp, if they come in order.

        A caller that would rather wait for a late reference asks this before :meth:`take`.
        """
        return bool(self._held) and self._held[-1][0] >= stamp_ns

    def take(self, stamp_ns: int) -> Item | None:
        """Return the reference nearest to an image and forget it and all older ones.

        Args:
            stamp_ns: The image's stamp. References that this and later images cannot use go too.

        Returns:
            The reference, or None when none lies within the slop.
        """
        self._held = [entry for entry in self._held if entry[0] >= stamp_ns - self._slop_ns]
        best = min(
            range(len(self._held)),
            key=lambda index: abs(self._held[index][0] - stamp_ns),
            default=None,
        )
        if best is None or abs(self._held[best][0] - stamp_ns) > self._slop_ns:
            return None
        item = self._held[best][2]
        del self._held[: best + 1]
        return item

    def clear(self) -> None:
        """Forget every reference."""
        self._held = []


def reference_problem(
    stamp_ns: int,
    frame_id: str,
    size_hw: tuple[int, int],
    reference: ReferenceDepth,
    slop_s: float,
) -> str | None:
    """Say in one line why a reference does not belong to an image, None if it does.

    Args:
        stamp_ns: The image's stamp, nanoseconds.
        frame_id: The image's optical frame.
        size_hw: The image's height and width, pixels.
        reference: The reference paired with it.
        slop_s: Largest difference of stamps, seconds.
    """
    depth = reference.depth_m
    if not isinstance(depth, np.ndarray) or depth.ndim != 2 or depth.dtype != np.float32:
        return "reference depth refused: got no H×W float32 array, expected metres; decode it first"
    if depth.shape != tuple(size_hw):
        return (
            f"reference depth refused: got {depth.shape[1]}x{depth.shape[0]}, expected "
            f"{size_hw[1]}x{size_hw[0]} like the image; register the depth to the colour image"
        )
    if reference.frame_id != frame_id:
        return (
            f"reference depth refused: got frame '{reference.frame_id}', expected '{frame_id}' "
            "like the image; register the depth to the colour image"
        )
    # Half a microsecond: 0.02 s is not a whole number in binary.
    if abs(reference.stamp_ns - stamp_ns) > slop_s * 1e9 + 500:
        return (
            f"reference depth refused: got a stamp {(reference.stamp_ns - stamp_ns) / 1e9:+.3f} s "
            f"from the image's, expected at most {slop_s:g} s; synchronise them or raise "
            "pairing_slop_s"
        )
    return None
