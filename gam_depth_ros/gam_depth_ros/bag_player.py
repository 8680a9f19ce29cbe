"""Plays a recording onto the live graph: ``bag_player --bag PATH --rate 1.0``.

The bytes go out as they were recorded, so stamps and frames are the recording's own. The pace
follows the recording's times. Sequence folders are turned into a bag first.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from gam_depth_ros import live_graph
from gam_depth_ros.evaluation.bag import sequence_to_bag
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.bag_writer import TF_STATIC
from gam_depth_ros.evaluation.rosbag_reader import Bag, is_bag_directory, open_bag
from gam_depth_ros.evaluation.sequence_folder import is_sequence_folder

log = logging.getLogger(__name__)

POLL_S = 0.05
QUEUE_DEPTH = 10
RELIABLE = QoSProfile(depth=QUEUE_DEPTH, reliability=ReliabilityPolicy.RELIABLE)
# Who asks for static transforms asks for those of before as well, and hears nobody who has none.
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Discovery tells of a subscriber a little before the first sample reaches it.
SETTLE_S = 0.3
FLUSH_S = 5.0
PROGRESS_S = 2.0


class BagPlayer:
    """Publishes the messages of a bag at the times of the bag.

    Args:
        node: The node to publish with.
        bag: The bag.
        rate: Speed; 2.0 plays twice as fast.
        remap: New names for topics.
        stop: Ends the play when set.
        only: Topics to play; empty: all of them.
        clock: Publish the bag's time on /clock, for nodes with ``use_sim_time``.
    """

    def __init__(
        self,
        node: Node,
        bag: Bag,
        rate: float,
        remap: dict[str, str],
        stop: threading.Event,
        only: list[str],
        clock: bool = False,
    ) -> None:
        self._node = node
        self._bag = bag
        self._rate = rate
        self._stop = stop
        self._publishers: dict[str, Any] = {}
        self._clock = node.create_publisher(Clock, "/clock", QUEUE_DEPTH) if clock else None
        for topic in bag.topics.values():
            if only and topic.name not in only:
                continue
            try:
                interface = live_graph.message_class(topic.msgtype)
            except live_graph.GraphError as error:
                log.warning("%s is not played: %s", topic.name, error)
                continue
            self._publishers[topic.name] = node.create_publisher(
                interface,
                remap.get(topic.name, topic.name),
                LATCHED if topic.name == TF_STATIC else RELIABLE,
            )
        if not self._publishers:
            raise live_graph.GraphError(
                f"{bag.path}: got no topic that can be played, expected at least one; the bag has "
                f"{', '.join(bag.topics) or 'none'}"
            )

    def wait_for_subscribers(self, on: list[str], count: int, timeout_s: float) -> None:
        """Wait until something listens.

        Args:
            on: Topics of the graph that need a subscriber each, besides what is played.
            count: Subscribers that the most heard of the played topics needs.
            timeout_s: How long to wait.

        Raises:
            GraphError: Nobody came; one line.
        """
        end_s = time.monotonic() + timeout_s
        while not self._stop.is_set():
            heard = max(p.get_subscription_count() for p in self._publishers.values())
            missing = [name for name in on if self._node.count_subscribers(name) == 0]
            if heard >= count and not missing:
                self._stop.wait(SETTLE_S)
                return
            if time.monotonic() > end_s:
                raise live_graph.GraphError(
                    f"subscribers: got {heard} on the played topics"
                    + (f" and none on {', '.join(missing)}" if missing else "")
                    + f" after {timeout_s:g} s, expected {count}; start the node, and check "
                    "remappings and ROS_DOMAIN_ID"
                )
            self._stop.wait(POLL_S)

    def play(self) -> int:
        """Publish everything in time and return the number of messages published."""
        sent = 0
        first_ns: int | None = None
        started_s = told_s = time.monotonic()
        for raw in self._bag.messages(self._publishers.keys()):
            first_ns = raw.bag_time_ns if first_ns is None else first_ns
            due_s = started_s + (raw.bag_time_ns - first_ns) / 1e9 / self._rate
            if self._stop.wait(max(0.0, due_s - time.monotonic())):
                break
            if self._clock is not None:
                self._clock.publish(Clock(clock=Time(nanoseconds=raw.bag_time_ns).to_msg()))
            try:
                self._publishers[raw.topic].publish(self._bag.to_cdr(raw))
                sent += 1
            except BagError as error:
                log.warning("%s", error)
            if time.monotonic() - told_s > PROGRESS_S:
                told_s = time.monotonic()
                log.info("played %d messages, %.1f s", sent, (raw.bag_time_ns - first_ns) / 1e9)
        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=FLUSH_S))
        return sent


def open_playable(path: Path, scratch: Path) -> Bag:
    """Open a bag, or write a sequence folder as one in ``scratch`` and open that.

    Raises:
        BagError: Nothing there that can be read; one line.
    """
    if path.is_dir() and is_sequence_folder(path) and not is_bag_directory(path):
        sequence_to_bag(path, scratch / "sequence")
        path = scratch / "sequence"
    bag = open_bag(path)
    for line in bag.problems:
        log.warning("%s", line)
    return bag


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what follows ``--ros-args`` is left to ROS."""
    parser = argparse.ArgumentParser(prog="bag_player", description=__doc__)
    parser.add_argument("--bag", type=Path, required=True, help="rosbag2, .bag or sequence folder")
    parser.add_argument("--rate", type=float, default=1.0, help="speed, 1.0 is real time")
    parser.add_argument(
        "--remap", nargs="*", default=[], metavar="FROM:=TO", help="new names for topics"
    )
    parser.add_argument(
        "--topics", nargs="*", default=[], metavar="TOPIC", help="topics to play; default: all"
    )
    parser.add_argument(
        "--subscribers", type=int, default=1, help="subscribers to wait for before the start"
    )
    parser.add_argument(
        "--wait-on", nargs="*", default=[], metavar="TOPIC", help="topics that need a subscriber"
    )
    parser.add_argument("--clock", action="store_true", help="publish the bag's time on /clock")
    parser.add_argument("--timeout", type=float, default=30.0, help="longest wait, seconds")
    known, rest = parser.parse_known_args(arguments)
    if not known.rate > 0:
        parser.error(f"--rate: got {known.rate}, expected a positive number")
    if any(":=" not in rule for rule in known.remap):
        parser.error("--remap: expected FROM:=TO")
    return known, rest


def main(arguments: list[str] | None = None) -> int:
    """Play a recording; returns the exit status."""
    options, rest = parse(arguments)
    remap = dict(rule.split(":=", 1) for rule in options.remap)
    try:
        with (
            live_graph.tool("bag_player", rest) as (node, stop),
            tempfile.TemporaryDirectory(prefix="bag_player_") as scratch,
        ):
            bag = open_playable(options.bag, Path(scratch))
            player = BagPlayer(node, bag, options.rate, remap, stop, options.topics, options.clock)
            player.wait_for_subscribers(options.wait_on, options.subscribers, options.timeout)
            log.info("playing %s", options.bag)
            log.info("done: %d messages played", player.play())
    except (BagError, live_graph.GraphError) as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
