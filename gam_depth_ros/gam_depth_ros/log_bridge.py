"""The library's ``logging`` records, forwarded to the node's ROS logger and thinned there."""

from __future__ import annotations

import functools
import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import TransitionCallbackReturn

LIBRARY = "gam_depth_ros"
# Lines quote what others publish: without a limit their kinds would add up for ever.
KINDS_KEPT = 256
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


class RosHandler(logging.Handler):
    """Forwards records to an rclpy logger."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record at its level; rclpy wants a line of its own for each level."""
        text = self.format(record)
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def attach(logger: Any) -> RosHandler:
    """Forward the library's log to ``logger`` until :func:`detach`."""
    handler = RosHandler(logger)
    library = logging.getLogger(LIBRARY)
    library.addHandler(handler)
    library.setLevel(logging.INFO)
    library.propagate = False
    return handler


def detach(handler: RosHandler) -> None:
    """Stop forwarding; after the last one the library's log is as Python made it."""
    library = logging.getLogger(LIBRARY)
    library.removeHandler(handler)
    if not any(isinstance(other, RosHandler) for other in library.handlers):
        library.setLevel(logging.NOTSET)
        library.propagate = True


class Throttle:
    """Lets the first line of a kind through and its repeats only once in a while.

    Lines that differ in their numbers only are of one kind. Any thread may ask.

    Args:
        period_s: Shortest time between two lines of one kind, seconds; inf: once.
        clock: Monotonic seconds.
    """

    def __init__(self, period_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s = period_s
        self._clock = clock
        self._lock = threading.Lock()
        self._said: dict[str, tuple[float, int]] = {}

    def line(self, text: str) -> str | None:
        """Return the line to log now, with the number of repeats withheld; None if too soon."""
        kind = _NUMBER.sub("#", text)
        with self._lock:
            now_s = self._clock()
            at_s, withheld = self._said.pop(kind, (float("-inf"), 0))
            if now_s - at_s < self._period_s:
                self._said[kind] = (at_s, withheld + 1)
                return None
            while len(self._said) >= KINDS_KEPT:  # what was not heard for longest
                self._said.pop(next(iter(self._said)))
            self._said[kind] = (now_s, 0)
        return f"{text} ({withheld} more of these)" if withheld else text


def logged(transition: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Log what a lifecycle transition raises: rclpy would turn it into ERROR without a word."""

    @functools.wraps(transition)
    def call(self: Any, state: Any) -> Any:
        try:
            return transition(self, state)
        except Exception:
            logging.getLogger(LIBRARY).exception("%s: unexpected error", transition.__name__)
            return TransitionCallbackReturn.ERROR

    return call
