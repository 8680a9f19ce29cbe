"""Calls that may never return, waited for so long and no longer. No ROS here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class OutOfTimeError(RuntimeError):
    """The call has not returned yet; its thread goes on, and what it gives is let go of."""


class Patience:
    """Makes calls in threads of their own, until :meth:`end` wants no more of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ended = False

    def end(self) -> None:
        """End the wait, and every one to come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def call(self, call: Callable[[], T], limit_s: float) -> T:
        """Return what the call returns, or raise what it raises.

        Args:
            call: What is called.
            limit_s: How long it is waited for, seconds.

        Raises:
            OutOfTimeError: It took longer, or :meth:`end` was called.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except Exception as error:  # noqa: BLE001
                # The border of the thread: for whoever waits.
                future.set_exception(error)
            with self._changed:
                self._changed.notify_all()

        # A daemon, so that one that never returns does not keep the process.
        threading.Thread(target=run, name="gam_depth_patience", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: future.done() or self._ended, limit_s)
        if not future.done():
            raise OutOfTimeError
        return future.result()
