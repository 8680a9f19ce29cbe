"""Which of the node's inputs are silent, and why: what health counted, and what the graph shows."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile

from gam_depth_ros import qos, topics
from gam_depth_ros.health import Health
from gam_depth_ros.input_watch import mismatch, stale_line
from gam_depth_ros.topics import Topic

log = logging.getLogger(__name__)

# An input is missing after so many times the time between its last two messages.
SLOW = 3.0


class SilenceWatch:
    """Asks for each input whether it is missing.

    Args:
        node: The node that subscribes.
        health: Where arrivals are counted.
        used: The topics subscribed to, with their quality of service; the images first.
    """

    def __init__(
        self, node: LifecycleNode, health: Health, used: Sequence[tuple[Topic, QoSProfile]]
    ) -> None:
        self._node = node
        self._health = health
        self._images, *others = used
        self._others = [one for one in others if one[0] is not topics.TF_STATIC]
        self._found: dict[str, str] = {}

    def images(self, limit_s: float) -> str:
        """Say why no images arrive where none has for so many seconds (0: never); else nothing."""
        topic, used = self._images
        silence_s, ever = self._health.silence_s(topic.name)
        return self._line(topic, used, silence_s, ever) if 0.0 < limit_s <= silence_s else ""

    def others(self, limit_s: float) -> tuple[str, ...]:
        """Say which other inputs stopped, or cannot be heard; begin and end go to the log.

        Args:
            limit_s: Seconds without a message that count, 0: none do. While images are missing
                too, that is said alone.
        """
        found: dict[str, str] = {}
        if limit_s > 0.0 and not self._health.stale:
            for topic, used in self._others:
                if line := self._missing(topic, used, limit_s):
                    found[topic.name] = line
        for name in found.keys() - self._found.keys():
            log.warning(found[name])
        for name in self._found.keys() - found.keys():
            log.info("%s: nothing is said to be missing any more", name)
        self._found = found
        return tuple(found.values())

    def _missing(self, topic: Topic, used: QoSProfile, limit_s: float) -> str:
        silence_s, ever = self._health.silence_s(topic.name)
        # What came once (NaN) may be all there is, and what comes slowly is not missing yet.
        gap_s = self._health.gap_s(topic.name) if ever else 0.0
        if not silence_s >= max(SLOW * gap_s, limit_s):
            return ""
        if not ever:
            mine = qos.own_endpoint(self._node, topic, used)
            heard = qos.publishers(self._node, self._node.resolve_topic_name(topic.name))
            if not heard or not all(mismatch(one, mine) for one in heard):
                return ""
        return self._line(topic, used, silence_s, ever)

    def _line(self, topic: Topic, used: QoSProfile, silence_s: float, ever: bool) -> str:
        name = self._node.resolve_topic_name(topic.name)
        mine = qos.own_endpoint(self._node, topic, used)
        return stale_line(name, silence_s, mine, qos.publishers(self._node, name), ever)
