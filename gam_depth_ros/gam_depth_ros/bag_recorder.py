"""Records topics of the live graph: ``bag_recorder --out PATH --topics /a /b``.

Messages are stored as the bytes that arrived (rosbag2, mcap). It ends on SIGINT or SIGTERM, or
when nothing has come for ``--idle`` seconds after the first message.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from gam_depth_ros import live_graph
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.bag_writer import BagWriter, OutMessage
from gam_depth_ros.evaluation.ros_types import ros2_types

log = logging.getLogger(__name__)

SPIN_S = 0.05
DISCOVERY_S = 0.2
QUEUE_DEPTH = 100


class BagRecorder:
    """Subscribes to topics as they appear and writes what comes.

    Args:
        node: The node to subscribe with.
        writer: Where it goes.
        topics: Absolute names.
    """

    def __init__(self, node: Node, writer: BagWriter, topics: list[str]) -> None:
        self._node = node
        self._writer = writer
        self._missing = list(topics)
        self._subscriptions: list[Any] = []
        self.last_message_s: float | None = None

    def discover(self) -> None:
        """Subscribe to what has appeared since the last call."""
        if not self._missing:
            return
        types = dict(self._node.get_topic_names_and_types())
        for name in [name for name in self._missing if name in types]:
            self._missing.remove(name)
            self._subscribe(name, types[name][0])
        if not self._missing:
            log.info("recording all %d topics", len(self._subscriptions))

    def told_missing(self) -> str:
        """Return the topics that never appeared, as one line; empty if none."""
        return ", ".join(self._missing)

    def _subscribe(self, name: str, interface: str) -> None:
        try:
            message_type = live_graph.message_class(interface)
        except live_graph.GraphError as error:
            log.warning("%s is not recorded: %s", name, error)
            return
        if interface not in ros2_types().fielddefs:
            log.warning(
                "%s is not recorded: got the type %s, expected a known one", name, interface
            )
            return
        offers = self._node.get_publishers_info_by_topic(name)
        reliable = all(o.qos_profile.reliability == ReliabilityPolicy.RELIABLE for o in offers)
        latched = offers and all(
            o.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offers
        )
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=QUEUE_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )

        def on_message(data: bytes) -> None:
            self.last_message_s = time.monotonic()
            self._writer.write(OutMessage(name, interface, time.time_ns(), data))

        self._subscriptions.append(
            self._node.create_subscription(message_type, name, on_message, profile, raw=True)
        )
        log.info("recording %s (%s)", name, interface)


def record(recorder: BagRecorder, node: Node, idle_s: float, stop: threading.Event) -> None:
    """Record until stopped, or idle after the first message (``idle_s`` 0: never)."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    discovered_s = 0.0
    while not stop.is_set():
        if time.monotonic() - discovered_s > DISCOVERY_S:
            recorder.discover()
            discovered_s = time.monotonic()
        executor.spin_once(timeout_sec=SPIN_S)
        last_s = recorder.last_message_s
        if idle_s > 0 and last_s is not None and time.monotonic() - last_s > idle_s:
            break
    executor.shutdown()


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what follows ``--ros-args`` is left to ROS."""
    parser = argparse.ArgumentParser(prog="bag_recorder", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="rosbag2 directory to be made")
    parser.add_argument("--topics", nargs="+", required=True, help="absolute topic names")
    parser.add_argument("--idle", type=float, default=0.0, help="end after this silence, seconds")
    parser.add_argument("--force", action="store_true", help="replace an existing bag")
    return parser.parse_known_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Record topics; returns the exit status."""
    options, rest = parse(arguments)
    try:
        with live_graph.tool("bag_recorder", rest) as (node, stop):
            writer = BagWriter(options.out, force=options.force, keep_unfinished=True)
            with writer:
                recorder = BagRecorder(node, writer, options.topics)
                record(recorder, node, options.idle, stop)
            if recorder.told_missing():
                log.warning("never appeared: %s", recorder.told_missing())
            log.info("recorded %d messages in %s", sum(writer.counts.values()), options.out)
    except BagError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
