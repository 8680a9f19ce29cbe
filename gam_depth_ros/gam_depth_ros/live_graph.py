"""What the node, the bag player and the recorder share: start, signals, message classes."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

POLL_S = 0.2
STOP_S = 15.0
GRACE_S = 3.0
TAIL_LINES = 12


class GraphError(RuntimeError):
    """Something on the live graph is not as it has to be. One line, then a log's tail if any."""


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


def config_file(name: str) -> Path:
    """Return a file of ``config/``: installed beside the package, or in the source tree.

    Raises:
        GraphError: It is nowhere.
    """
    prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    folders = [Path(prefix) / "share/gam_depth_ros/config" for prefix in (*prefixes, sys.prefix)]
    folders.insert(0, Path(__file__).resolve().parents[2] / "config")
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise GraphError(
        f"{name}: got none in {', '.join(map(str, folders))}, expected it there; install the "
        "package again"
    )


def start(arguments: list[str] | None) -> threading.Event:
    """Initialise ROS; returns an event that SIGINT and SIGTERM set, from now on harmless else.

    Raises:
        SystemExit: The ROS arguments cannot be read; one line.
    """
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # what rclpy's binding raises derives from it
        got = " ".join(str(error).split()).removeprefix("failed to initialize rcl: ")
        sys.exit(
            f"ROS arguments: got '{got}', expected what `ros2 run --help` shows after --ros-args; "
            "correct the command line or the file that it names"
        )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


@contextlib.contextmanager
def tool(name: str, arguments: list[str] | None) -> Iterator[tuple[Node, threading.Event]]:
    """Give a command-line tool its node and stop event, and leave the graph behind it.

    Its log lines go to stdout as they are.

    Raises:
        SystemExit: The ROS arguments cannot be read; one line.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    stop = start(arguments)
    node = rclpy.create_node(name)
    try:
        yield node, stop
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


class Process:
    """A process whose output goes to a log file.

    Args:
        name: What it is called in messages.
        command: Command line.
        log: Where its output goes.
        environment: Its environment.
    """

    def __init__(
        self, name: str, command: list[str], log: Path, environment: dict[str, str]
    ) -> None:
        self.name = name
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                command, stdout=stream, stderr=subprocess.STDOUT, env=environment
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def check(self) -> None:
        """Raise GraphError if it has ended with an error."""
        status = self._process.poll()
        if status:
            raise GraphError(self._failure(f"got exit status {status}, expected 0"))

    def running(self) -> bool:
        """Whether it still runs; raises GraphError if it has failed."""
        self.check()
        return self._process.poll() is None

    def last_line(self) -> str:
        """Return the last line it has said."""
        lines = self._lines()
        return lines[-1] if lines else ""

    def wait_for(self, text: str, timeout_s: float) -> None:
        """Wait until it has said something; raises GraphError if it does not."""
        end_s = time.monotonic() + timeout_s
        while not any(text in line for line in self._lines()):
            if not self.running():
                raise GraphError(self._failure(f"ended, expected it to say '{text}'"))
            if any("[ERROR]" in line or "[FATAL]" in line for line in self._lines()):
                raise GraphError(self._failure("got an error"))
            if time.monotonic() > end_s:
                raise GraphError(self._failure(f"got no '{text}' within {timeout_s:g} s"))
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End it as Ctrl-C would, and by force if it does not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise GraphError(self._failure(f"did not end within {STOP_S:g} s of SIGINT")) from None

    def kill(self) -> None:
        """End it without delay, if it still runs; first gently, or it leaves its shared memory."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def _failure(self, what: str) -> str:
        return "\n".join([f"{self.name}: {what}; see {self._log}", *self._lines()[-TAIL_LINES:]])
