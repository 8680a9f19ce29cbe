"""A camera that sends whatever else the test waits for."""

from __future__ import annotations

from ros_harness import SECOND_NS, Graph, grey, image_message


class Camera:
    """Sends an image every 40 ms while the graph spins, whatever else the test waits for.

    Args:
        graph: The test's graph; the node must have heard of ``/image`` by an image sent before.
        special: Grey values of certain images, by their number; the others are 102.
    """

    PERIOD_NS = 40_000_000

    def __init__(self, graph: Graph, special: dict[int, int] | None = None) -> None:
        self._graph = graph
        self._special = special or {}
        self.sent = 0
        graph.node.create_timer(self.PERIOD_NS / SECOND_NS, self._send)

    def stamp_ns(self, number: int) -> int:
        """Return the stamp of an image by its number, from 1 on."""
        return SECOND_NS + number * self.PERIOD_NS

    def _send(self) -> None:
        self.sent += 1
        picture = grey(self._special.get(self.sent, 102))
        self._graph.send("/image", image_message(picture, self.stamp_ns(self.sent)))
