"""Ask a running node how it is: for the health check of a container, or a script.

Reads ``/diagnostics`` until the node has spoken once. Says one line; ends with 0 where the node is
well enough, 1 where it is not or does not speak.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor

from gam_depth_ros.topics import DIAGNOSTICS

LEVELS = ("ok", "warn", "error", "stale")
POLL_S = 0.1


def find_status(message: DiagnosticArray, node: str) -> DiagnosticStatus | None:
    """Return what a node says about itself, None where the message is not its own.

    Args:
        message: What somebody published.
        node: The node's name, with its namespace.
    """
    for status in message.status:
        if status.name.partition(":")[0] == node.removeprefix("/"):
            return status
    return None


def ask(node: str, timeout_s: float) -> DiagnosticStatus | None:
    """Return the first diagnostics of a node, None where it says nothing in time."""
    found: list[DiagnosticStatus] = []

    def hear(message: DiagnosticArray) -> None:
        status = find_status(message, node)
        if status is not None:
            found.append(status)

    context = rclpy.Context()
    rclpy.init(context=context)
    try:
        asker = rclpy.create_node(
            "gam_depth_health", context=context, enable_rosout=False, start_parameter_services=False
        )
        asker.create_subscription(DiagnosticArray, DIAGNOSTICS.name, hear, 10)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(asker)
        end_s = time.monotonic() + timeout_s
        while not found and time.monotonic() < end_s:
            executor.spin_once(timeout_sec=POLL_S)
        executor.shutdown()
        asker.destroy_node()
    finally:
        rclpy.shutdown(context=context)
    return found[0] if found else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="gam_depth_health", description=__doc__)
    parser.add_argument(
        "--node", default="gam_depth", help="Its name, with its namespace: left/gam_depth."
    )
    parser.add_argument("--timeout", type=float, default=8.0, help="Seconds to wait for it.")
    parser.add_argument(
        "--worst", choices=LEVELS, default="warn", help="The worst level that still passes."
    )
    options = parser.parse_args(arguments)
    status = ask(options.node, options.timeout)
    if status is None:
        print(
            f"{options.node}: got no diagnostics within {options.timeout:g} s, expected them about "
            "once a second; see whether the node runs, on this ROS_DOMAIN_ID"
        )
        return 1
    level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
    word = LEVELS[min(level, len(LEVELS) - 1)]
    print(f"{options.node}: {word}: {status.message}")
    return 0 if level <= LEVELS.index(options.worst) else 1


if __name__ == "__main__":
    sys.exit(main())
