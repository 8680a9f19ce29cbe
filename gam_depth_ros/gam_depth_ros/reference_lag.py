"""How long after its image a reference depth arrives, learnt from those that arrived."""

from __future__ import annotations

from collections import deque

REMEMBERED = 32
# What comes later than ever before is still met when it is half as late again, or this much.
GROWTH = 1.5
MARGIN_NS = 5_000_000


class ReferenceLag:
    """Says how long an image should wait: about as long as references have lately been late.

    Where depth comes at half the images' rate, every other image has none. It must not wait until
    the next one, which has its depth and takes its place: half of the frames would be lost.

    Args:
        slop_ns: Largest difference of stamps between an image and its reference, nanoseconds.
    """

    def __init__(self, slop_ns: int) -> None:
        self._slop_ns = slop_ns
        self._lags_ns: deque[int] = deque(maxlen=REMEMBERED)
        self._gone: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)

    def met(self, lag_ns: int) -> None:
        """Note a pair: its reference came this long after the image, 0 if before it."""
        self._lags_ns.append(lag_ns)

    def gave_up(self, stamp_ns: int, received_ns: int) -> None:
        """Note an image that went on without a reference: one may come too late."""
        self._gone.append((stamp_ns, received_ns))

    def missed(self, stamp_ns: int, now_ns: int) -> None:
        """Note a reference that no image waits for; whose it was tells how late it is."""
        for image in self._gone:
            if abs(image[0] - stamp_ns) <= self._slop_ns:
                self._gone.remove(image)
                self._lags_ns.append(now_ns - image[1])
                return

    def wait_ns(self, longest_ns: int) -> int:
        """Return how long an image should wait, nanoseconds: ``longest_ns`` until one has come."""
        if not self._lags_ns:
            return longest_ns
        return min(longest_ns, int(GROWTH * max(self._lags_ns)) + MARGIN_NS)
