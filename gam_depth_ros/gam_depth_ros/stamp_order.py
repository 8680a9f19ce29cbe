"""Tells an image that comes late from a recording, or a clock, that begins again. No ROS here.

Messages overtake each other on a network by a frame or two. What was learnt is not to be forgotten
for that: such an image is given up. Stamps that lie further back, or go on from where they went
back to for longer than images are late, belong to another time, in which what was learnt lies in
the future.
"""

from __future__ import annotations

IN_ORDER, LATE, BACK = "in order", "late", "back"
# Four frames of 30 Hz; a recording shorter than that is no recording.
LATE_NS = 150_000_000
# So many images in a row, one after the other, were not all overtaken.
LATE_IMAGES = 4


class StampOrder:
    """Judges the stamps of one stream of images."""

    def __init__(self) -> None:
        self.newest_ns = 0
        self._late_ns: int | None = None
        self._late_images = 0

    def judge(self, stamp_ns: int) -> str:
        """Return ``in order`` (also for a stamp that is repeated), ``late`` or ``back``.

        Args:
            stamp_ns: The stamp, nanoseconds; those of late images do not count as the newest.
        """
        behind_ns = self.newest_ns - stamp_ns
        if 0 < behind_ns <= LATE_NS:
            follows = self._late_ns is not None and stamp_ns > self._late_ns
            self._late_images = self._late_images + 1 if follows else 1
            self._late_ns = stamp_ns
            if self._late_images < LATE_IMAGES:
                return LATE
        self.newest_ns, self._late_ns, self._late_images = stamp_ns, None, 0
        return BACK if behind_ns > 0 else IN_ORDER
