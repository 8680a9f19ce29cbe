"""The hand-over from the executor thread to the one worker: newest wins, older ones are counted.

One slot, because a queue in front of a slow network only makes the answers old. An image may
wait a moment in front of the slot for the sensor depth of the same instant.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gam_depth_ros.core.pairing import StampPairer
from gam_depth_ros.health import NEWER, STOPPED
from gam_depth_ros.reference_lag import ReferenceLag

log = logging.getLogger(__name__)

NS_PER_S = 1_000_000_000
# References count as arriving for this long after the last one.
REFERENCE_FRESH_NS = NS_PER_S
REFERENCES_KEPT = 8


@dataclass(frozen=True)
class Job:
    """One image for the worker.

    Attributes:
        image: The image message, still encoded.
        stamp_ns: Its stamp, nanoseconds (receive time where the message had none).
        received_ns: Monotonic time of its arrival.
        reference: The reference depth message of the same instant, None where there is none.
        reference_stamp_ns: Its stamp.
    """

    image: Any
    stamp_ns: int
    received_ns: int
    reference: Any = None
    reference_stamp_ns: int = 0


class Intake:
    """Pairs images with references and holds the newest image until the worker takes it.

    Args:
        slop_s: Largest difference of stamps between an image and its reference, seconds.
        wait_s: Longest wait of an image for its reference, seconds; it is shorter once references
            have shown how late they come, see ReferenceLag.
        on_drop: Called once, with the reason, for each image that is given up before its turn.
        clock: Monotonic nanoseconds.
    """

    def __init__(
        self,
        slop_s: float,
        wait_s: float,
        on_drop: Callable[[str], None],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.wait_s = wait_s
        self._slop_ns = int(slop_s * NS_PER_S)
        self._on_drop = on_drop
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: Job | None = None
        self._ready: Job | None = None
        self._references: StampPairer[tuple[int, Any]] = StampPairer(
            int(slop_s * NS_PER_S), REFERENCES_KEPT
        )
        self._reference_seen_ns: int | None = None
        self._lag = ReferenceLag(self._slop_ns)
        self._closed = False

    def put_image(self, message: Any, stamp_ns: int) -> None:
        """Offer an image: it waits for its reference, or goes into the slot at once."""
        with self._changed:
            job = Job(message, stamp_ns, self._clock())
            self._give_up_waiting()
            found = self._references.take(stamp_ns)
            if found is not None:
                self._lag.met(0)
                self._promote(replace(job, reference=found[1], reference_stamp_ns=found[0]))
            elif self._references_arrive(job.received_ns):
                self._waiting = job
            else:
                self._promote(job)
            self._changed.notify_all()

    def put_reference(self, message: Any, stamp_ns: int) -> None:
        """Offer a reference: it releases the image that waits for it, or is kept for one."""
        with self._changed:
            now_ns = self._reference_seen_ns = self._clock()
            waiting = self._waiting
            if waiting is not None and abs(waiting.stamp_ns - stamp_ns) <= self._slop_ns:
                self._lag.met(now_ns - waiting.received_ns)
                self._promote(replace(waiting, reference=message, reference_stamp_ns=stamp_ns))
            else:
                self._lag.missed(stamp_ns, now_ns)
                self._references.add(stamp_ns, (stamp_ns, message))
            self._changed.notify_all()

    def take(self) -> Job | None:
        """Block until an image is due and return it; None once closed."""
        with self._changed:
            while not self._closed:
                left_s = self.wait_left_s()
                if left_s is not None and left_s <= 0.0:
                    self._give_up_waiting()
                if self._ready is not None:
                    job, self._ready = self._ready, None
                    return job
                self._changed.wait(left_s)
            return None

    def close(self) -> None:
        """Let :meth:`take` return None; images still held count as dropped."""
        with self._changed:
            self._closed = True
            for job in (self._waiting, self._ready):
                if job is not None:
                    self._on_drop(STOPPED)
            self._waiting = self._ready = None
            self._changed.notify_all()

    def _give_up_waiting(self) -> None:
        if self._waiting is not None:
            self._lag.gave_up(self._waiting.stamp_ns, self._waiting.received_ns)
            self._promote(self._waiting)

    def _promote(self, job: Job) -> None:
        if self._ready is not None:
            self._on_drop(NEWER)
        self._ready = job
        self._waiting = None

    def wait_left_s(self) -> float | None:
        """Return how long the waiting image may still wait, seconds; None where none waits."""
        if self._waiting is None:
            return None
        wait_ns = self._lag.wait_ns(int(self.wait_s * NS_PER_S))
        return (wait_ns - (self._clock() - self._waiting.received_ns)) / NS_PER_S

    def _references_arrive(self, now_ns: int) -> bool:
        seen_ns = self._reference_seen_ns
        return self.wait_s > 0.0 and seen_ns is not None and now_ns - seen_ns < REFERENCE_FRESH_NS


class Worker:
    """One thread that hands every job of an intake to a handler until it is stopped or abandoned.

    Args:
        intake: Where the jobs come from.
        handle: Called with each job; what it raises is logged with its traceback and costs that
            job only.
        on_crash: Called after ``handle`` raised.
        prepare: Called in the thread before the first job; whether it may begin.
    """

    def __init__(
        self,
        intake: Intake,
        handle: Callable[[Job], None],
        on_crash: Callable[[], None],
        prepare: Callable[[], bool] = lambda: True,
    ) -> None:
        self._intake = intake
        self._handle = handle
        self._on_crash = on_crash
        self._prepare = prepare
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="gam_depth_worker", daemon=True)
        self._thread.start()

    def abandon(self) -> None:
        """Let the thread take no further job: Python cannot end one that hangs."""
        self._abandoned = True

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Close the intake and wait for the job in hand; returns whether it ended."""
        self._intake.close()
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            return True
        self.abandon()
        log.error(
            "worker: got no end of what it does within %.0f s, expected one; it is given up",
            timeout_s,
        )
        return False

    def _run(self) -> None:
        try:
            begins = self._prepare()
        except Exception:
            # The border of the thread: the watchdog finds that it does not come to an end.
            log.exception("worker: unexpected error before its first frame")
            return
        while begins and not self._abandoned and (job := self._intake.take()) is not None:
            self._handle_safely(job)

    def _handle_safely(self, job: Job) -> None:
        try:
            self._handle(job)
        except Exception:
            # The border of the thread: a fault in one frame must not end the node silently.
            log.exception("frame at %d ns: unexpected error, frame lost", job.stamp_ns)
            if not self._abandoned:  # else it was accounted for then
                self._on_crash()
