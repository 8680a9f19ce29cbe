"""What the node, the bag player and the recorder share: start, signals, message classes."""

from __future__ import annotations

import importlib
import logging
import signal
import sys
import threading
from types import FrameType
from typing import Any

import rclpy
from rclpy.signals import SignalHandlerOptions


class GraphError(RuntimeError):
    """Something on the live graph is not as it has to be. The message is one line."""


def message_class(interface: str) -> Any:
    """Return the Python class of a type such as ``sensor_msgs/msg/Image``.

    Raises:
        GraphError: Its package is not installed here.
    """
    package, _, name = interface.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        raise GraphError(
            f"type: got {interface}, expected one whose package is installed; install {package}"
        ) from None


def start(arguments: list[str] | None) -> threading.Event:
    """Initialise ROS; returns an event that SIGINT and SIGTERM set, from now on harmless else."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


def log_to_stdout() -> None:
    """Let a command-line tool's log lines go to stdout as they are."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
