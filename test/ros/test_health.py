"""What the node knows of itself, by hand and without ROS: ages, intervals, levels, records."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import replace

import pytest

from gam_depth_ros.core.frame import FrameQuality, ScaleState
from gam_depth_ros.health import NEWER, OVERTAKEN, RATE, STOPPED, Health
from gam_depth_ros.machine import ProcessorTime
from gam_depth_ros.performance_record import record
from gam_depth_ros.snapshot import ERROR, OK, STALE, WARN, Interval


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    return Health(clock)


def test_an_interval_holds_what_happened_since_the_last_snapshot(health, clock):
    for _ in range(10):
        health.frame_in(wanted=True)
    health.dropped(RATE)
    health.dropped(RATE)
    for _ in range(4):
        health.dropped(NEWER)
    health.failed()
    health.published({"wait": 900.0, "decode": 50.0, "engine": 150.0, "latency": 1100.0})
    health.published({"wait": 900.0, "decode": 50.0, "engine": 250.0, "latency": 1200.0})
    clock.now_s += 2.0
    interval = health.snapshot().interval
    assert (interval.span_s, interval.handed, interval.dropped, interval.failed) == (2.0, 8, 4, 1)
    assert interval.work_ms == (200.0, 300.0)  # neither the wait before it nor the whole way
    assert interval.busy_share == 0.25
    assert interval.drop_share == 0.5
    assert interval.stage_ms["engine"] == (150.0, 250.0)
    clock.now_s += 1.0
    after = health.snapshot().interval
    assert (after.span_s, after.handed, after.dropped, after.work_ms) == (1.0, 0, 0, ())
    assert (after.busy_share, after.drop_share) == (0.0, 0.0)


def test_drops_are_counted_by_reason_and_their_sum_is_what_was_dropped(health):
    for reason, count in ((NEWER, 3), (RATE, 2), (OVERTAKEN, 4), (STOPPED, 1)):
        for _ in range(count):
            health.dropped(reason)
    seen = health.snapshot()
    assert seen.dropped == {NEWER: 3, RATE: 2, OVERTAKEN: 4, STOPPED: 1}
    assert seen.frames_dropped == 10


def test_an_inputs_age_counts_from_its_last_message(health, clock):
    health.expect(["image", "camera_info"])
    health.arrived("image")
    clock.now_s += 1.5
    ages_s = health.snapshot().input_age_s
    assert ages_s["image"] == 1.5
    assert math.isnan(ages_s["camera_info"])


def test_silence_counts_from_activation_until_something_arrives(health, clock):
    health.expect(["image"])
    clock.now_s += 3.0
    assert health.silence_s("image") == (3.0, False)
    health.arrived("image")
    clock.now_s += 0.5
    assert health.silence_s("image") == (0.5, True)
    clock.now_s += 9.0
    health.restart()
    assert health.silence_s("image") == (0.0, False)


def test_the_gravest_fault_gives_the_level_and_all_are_said(health):
    assert health.snapshot().level == OK
    health.slow = "slow: 612 ms"
    health.degraded = "degraded: no ~/points"
    assert health.snapshot().level == WARN
    assert health.snapshot().health == "slow: 612 ms; degraded: no ~/points"
    health.stale = "no message on /image"
    assert health.snapshot().level == STALE
    health.hung = "inference hangs"
    assert health.snapshot().level == ERROR
    assert health.snapshot().health == (
        "inference hangs; no message on /image; slow: 612 ms; degraded: no ~/points"
    )
    health.restart()
    assert health.snapshot().health == "OK"


def test_a_hang_that_ends_before_the_next_report_is_told_there_once(health):
    health.hung = "inference hangs"
    health.hung = ""
    assert (seen := health.snapshot()).level == ERROR
    assert seen.health == "inference hangs"
    assert health.snapshot().level == OK
    health.hung = "inference hangs"
    health.hung = ""
    health.restart()
    assert health.snapshot().level == OK


def test_what_is_stale_is_not_said_to_be_waited_for_too(health):
    health.waiting_for = "images on /image"
    assert health.snapshot().health == "OK; waiting for images on /image"
    health.stale = "no message yet on /image"
    assert health.snapshot().health == "no message yet on /image"


def test_a_record_is_json_and_what_is_unknown_is_null(health, clock):
    health.expect(["image"])
    health.published({"engine": 10.0, "latency": 30.0})
    health.published({"engine": 20.0, "latency": 50.0})
    health.quality = FrameQuality(("dark",), drift={"brightness": 0.25, "sigma": math.nan})
    clock.now_s += 1.0
    line = json.dumps(record(health.snapshot(), 5_000_000_000), allow_nan=False)
    row = json.loads(line)
    assert row["stamp_ns"] == 5_000_000_000
    assert row["stage_ms"]["engine"] == [15.0, 19.9, 20.0]
    assert row["scale"] == {"state": "UNKNOWN", "value": None, "sigma_log": None, "age_s": None}
    assert row["input_age_s"] == {"image": None}
    assert row["drift"] == {"brightness": 0.25, "sigma": None}
    assert row["picture"] == ["dark"]
    assert row["frames"]["published"] == 2
    assert len(line) < 2000  # ten megabytes are more than an hour


def test_a_record_tells_who_had_the_processor(health, monkeypatch, clock):
    readings = iter(
        [ProcessorTime(10.0, 50.0, 1.0, 100.0, 7), ProcessorTime(10.6, 51.0, 1.5, 102.0, 9)]
    )
    monkeypatch.setattr("gam_depth_ros.health.processor_time", lambda: next(readings))
    health.restart()
    clock.now_s += 1.2
    row = record(health.snapshot(), 0)
    assert row["processor"] == {
        "own": 0.5, "busy_share": 0.5, "stolen_share": 0.25, "preempted": 2
    }  # fmt: skip
    readings = iter([ProcessorTime(10.6)])
    unknown = record(replace(health.snapshot(), interval=Interval(span_s=1.0)), 0)["processor"]
    assert unknown == {"own": 0.0, "busy_share": None, "stolen_share": None, "preempted": 0}


def test_a_known_scale_is_recorded_with_its_numbers(health):
    health.scale = ScaleState("LOCKED", "fixed", 2.0, 0.05, 0.25, "given")
    row = record(replace(health.snapshot(), given_up=("cloud_off",)), 0)
    assert row["scale"] == {"state": "LOCKED", "value": 2.0, "sigma_log": 0.05, "age_s": 0.25}
    assert row["given_up"] == ["cloud_off"]


def test_no_frame_waits_for_a_slow_thermal_zone(monkeypatch):
    health, waited = Health(), []

    def slow_zone(_zones):
        counts = threading.Thread(target=health.frame_in, args=(True,), daemon=True)
        counts.start()
        counts.join(5.0)
        waited.append(counts.is_alive())
        return 50.0

    monkeypatch.setattr("gam_depth_ros.health.cpu_temperature_c", slow_zone)
    assert health.snapshot().temperature_c == 50.0
    assert waited == [False]
