"""Sizes that a method states in pixels of 288×384, at the size of other pictures."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod, sqrt

PAPER_SIZE_HW = (288, 384)


@dataclass(frozen=True)
class PixelSizes:
    """What the plane terms measure in pixels; the defaults are the official code's.

    A third of the resolution shows a thing in a third of the pixels, and a ninth of their number.
    Where these stayed as they are, normals at 96×128 would be taken over three times the angle and
    only things of nine times the extent would be planes.

    Attributes:
        normal_distance: From a pixel to the neighbours that its normal is taken from.
        top: Rows at the top whose normals never count.
        border: Rows and columns along the other sides, of planes along all four.
        segment_scale: Felzenszwalb's scale: what lets a small segment grow, times its area.
        segment_min_area: Smaller segments join a neighbour.
        plane_min_area: Segments of at most this area are no planes.
    """

    normal_distance: int = 3
    top: int = 20
    border: int = 8
    segment_scale: float = 1.0
    segment_min_area: int = 50
    plane_min_area: int = 200

    def at(self, size_hw: tuple[int, int]) -> PixelSizes:
        """Return the same at another size: lengths by the root of the areas' ratio, at least 1."""
        area = prod(size_hw) / prod(PAPER_SIZE_HW)
        length = sqrt(area)
        return PixelSizes(
            normal_distance=_whole(self.normal_distance * length),
            top=_whole(self.top * length),
            border=_whole(self.border * length),
            segment_scale=self.segment_scale * area,
            segment_min_area=_whole(self.segment_min_area * area),
            plane_min_area=_whole(self.plane_min_area * area),
        )


def _whole(pixels: float) -> int:
    return max(1, round(pixels))
