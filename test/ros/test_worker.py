"""The one-slot hand-over, by hand and without ROS."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.frame import FrameQuality
from gam_depth_ros.diagnostics import transport_warning
from gam_depth_ros.health import NEWER, STOPPED, Health
from gam_depth_ros.log_bridge import Throttle
from gam_depth_ros.stopwatch import Stopwatch, spread
from gam_depth_ros.worker import Intake, Worker

MS = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def intake(wait_s: float = 0.05) -> tuple[Intake, Clock, list[str]]:
    dropped: list[str] = []
    clock = Clock()
    return Intake(0.02, wait_s, dropped.append, clock), clock, dropped


def test_the_newest_image_wins_and_the_older_counts_as_dropped():
    slot, _, dropped = intake()
    slot.put_image("a", 100 * MS)
    slot.put_image("b", 133 * MS)
    assert slot.take().image == "b"
    assert dropped == [NEWER]


def test_an_image_takes_the_reference_that_came_before_it():
    slot, _, _ = intake()
    slot.put_reference("r", 101 * MS)
    slot.put_image("a", 100 * MS)
    job = slot.take()
    assert (job.image, job.reference, job.reference_stamp_ns) == ("a", "r", 101 * MS)


def test_a_reference_beyond_the_slop_is_not_paired():
    slot, clock, _ = intake()
    slot.put_reference("r", 121 * MS)
    slot.put_image("a", 100 * MS)
    clock.now_ns = 51 * MS
    assert slot.take().reference is None


def test_a_newer_image_releases_the_one_that_waits():
    slot, _, dropped = intake()
    slot.put_reference("old", 10 * MS)
    slot.put_image("a", 100 * MS)
    slot.put_image("b", 133 * MS)
    assert slot.take().image == "a"
    slot.put_reference("r", 133 * MS)
    job = slot.take()
    assert (job.image, job.reference) == ("b", "r")
    assert not dropped


def test_after_a_second_without_references_no_image_waits():
    slot, clock, _ = intake()
    slot.put_reference("old", 10 * MS)
    clock.now_ns = 1001 * MS
    slot.put_image("a", 1100 * MS)
    assert slot.take().image == "a"


def test_depth_at_half_the_rate_costs_no_image():
    slot, clock, dropped = intake()
    taken = []
    for index in range(40):
        stamp_ns = index * 33 * MS
        clock.now_ns = stamp_ns
        if index % 2 == 0:
            slot.put_reference(f"r{index}", stamp_ns)
        slot.put_image(index, stamp_ns)
        clock.now_ns += 10 * MS  # the worker looks again before the next image
        if slot.wait_left_s() is None or slot.wait_left_s() <= 0:
            taken.append(slot.take())
    # The first without depth still waits as long as the setting says: nothing is known yet.
    assert len(taken) >= 39
    assert len(dropped) <= 1
    assert all((job.reference is not None) == (job.image % 2 == 0) for job in taken)


def test_an_image_waits_as_long_as_references_are_late_and_longer_when_they_come_later():
    slot, clock, _ = intake()
    for index, lag_ms in enumerate((8, 8, 14, 22, 8)):
        stamp_ns = (index + 1) * 200 * MS
        clock.now_ns = stamp_ns
        slot.put_reference("old", stamp_ns - 100 * MS)  # keeps references arriving
        slot.put_image(index, stamp_ns)
        clock.now_ns += lag_ms * MS
        slot.put_reference(f"r{index}", stamp_ns)
        assert slot.take().reference == f"r{index}"


def test_a_reference_that_comes_too_late_makes_the_next_image_wait():
    slot, clock, _ = intake()
    slot.put_reference("r", 0)
    slot.put_image("early", 0)
    assert slot.take().reference == "r"
    for stamp_ms, reference in ((100, None), (200, "late")):
        clock.now_ns = stamp_ms * MS
        slot.put_image("a", stamp_ms * MS)
        clock.now_ns += 25 * MS
        if reference is None:
            assert slot.take().reference is None  # nobody expected it to be late
        slot.put_reference("late", stamp_ms * MS)
        if reference is not None:
            assert slot.take().reference == reference


def test_closing_counts_what_is_left_and_ends_the_worker():
    slot, _, dropped = intake()
    slot.put_image("a", 100 * MS)
    slot.close()
    assert slot.take() is None
    assert dropped == [STOPPED]


def test_a_handler_that_raises_costs_its_job_only():
    slot, _, _ = intake()
    handled, crashed, done = [], [], threading.Event()

    def handle(job):
        if job.image == "bad":
            raise KeyError("bad")
        handled.append(job.image)
        done.set()

    worker = Worker(slot, handle, lambda: (crashed.append(1), done.set()))
    for name in ("bad", "good"):
        done.clear()
        slot.put_image(name, 100 * MS)
        assert done.wait(5)
    worker.stop()
    assert (handled, crashed) == (["good"], [1])


def test_throttle_lets_one_line_of_a_kind_through_and_counts_the_rest():
    now_s = [0.0]
    throttle = Throttle(5.0, lambda: now_s[0])
    assert throttle.line("got 3 bytes") == "got 3 bytes"
    assert throttle.line("got 4 bytes") is None
    assert throttle.line("got a stamp") == "got a stamp"
    now_s[0] = 5.0
    assert throttle.line("got 5 bytes") == "got 5 bytes (1 more of these)"


def test_health_counts_rates_and_percentiles():
    now_s = [0.0]
    health = Health(lambda: now_s[0])
    for index in range(11):
        now_s[0] = index * 0.1
        health.frame_in(wanted=True)
        health.published({"engine": float(index)})
    health.dropped()
    health.failed()
    seen = health.snapshot()
    assert (seen.frames_in, seen.frames_published) == (11, 11)
    assert (seen.frames_dropped, seen.frames_failed) == (1, 1)
    assert abs(seen.rate_in_hz - 10.0) < 1e-9
    assert seen.stage_ms["engine"] == (5.0, 9.9)
    assert "1 frames failed" in seen.health
    assert "dropped" in seen.remark
    assert health.snapshot().health == "OK"


def test_latency_counts_from_the_stamp_unless_the_stamp_is_a_recordings():
    clock = Clock()
    watch = Stopwatch(0, clock)
    clock.now_ns = 7 * MS
    assert watch.latency(1_012 * MS, 1_000 * MS) == {"latency": 12.0}
    assert watch.latency(99_000 * MS, 1_000 * MS) == {"latency": 7.0}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=300))
def test_a_spread_is_numpys(values):
    p50, p99 = np.percentile(values, [50, 99])
    assert spread(values) == pytest.approx((p50, p99, max(values)))


def test_transport_warning_needs_large_best_effort_images_on_fast_dds_without_a_profile():
    fast = "rmw_fastrtps_cpp"
    assert "fastdds_large_images.xml" in transport_warning(921_600, True, fast, {})
    assert not transport_warning(100_000, True, fast, {})
    assert not transport_warning(921_600, False, fast, {})
    assert not transport_warning(921_600, True, "rmw_cyclonedds_cpp", {})
    assert not transport_warning(921_600, True, fast, {"FASTDDS_DEFAULT_PROFILES_FILE": "x.xml"})


def test_a_picture_that_is_unwell_is_a_warning_with_its_reason():
    health = Health()
    health.quality = FrameQuality(("dark",), reason="dark: its bright parts are at 3 of 255")
    assert health.snapshot().health == "picture dark: its bright parts are at 3 of 255"
    health.restart()
    assert health.snapshot().health == "OK"
