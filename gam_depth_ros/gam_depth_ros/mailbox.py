"""How the worker shows its frames to a reload, which may be slower than they come. No ROS here."""

from __future__ import annotations

import threading

from gam_depth_ros.core.frame import Frame, Perception
from gam_depth_ros.core.pipeline import PerceptionPipeline

Seen = tuple[Frame, Perception, PerceptionPipeline]


class Mailbox:
    """Holds the newest frame with its perception until it is taken, or the box is closed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: Seen | None = None
        self._closed = False

    def put(self, frame: Frame, perception: Perception, by: PerceptionPipeline) -> None:
        """Put a frame in the place of the one before."""
        with self._changed:
            self._newest = frame, perception, by
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Seen | None:
        """Return the newest frame, None if there is none in time or the box is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._closed, timeout_s)
            newest, self._newest = self._newest, None
            return None if self._closed else newest

    def close(self) -> None:
        """End every wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
