"""The watchdog, the input watch and the thermometer, by hand and without ROS."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.input_watch import Endpoint, mismatch, stale_line
from gam_depth_ros.machine import cpu_temperature_c, processor_time
from gam_depth_ros.watchdog import GIVE_UP, INTERRUPT, NONE, REPLACE, Watchdog, WatchdogConfig

MS, S = 1_000_000, 1_000_000_000
CONFIG = WatchdogConfig(budget_ms=100.0, slow_frames=3, hang_s=5.0, grace_s=1.0, max_replacements=2)


def frame(watchdog: Watchdog, start_ns: int, took_ms: int, published: bool = True) -> None:
    ticket = watchdog.started(start_ns)
    watchdog.finished(ticket, start_ns + took_ms * MS, published)


def test_three_slow_frames_in_a_row_are_a_warning_and_three_quick_ones_end_it():
    watchdog = Watchdog(CONFIG)
    said = []
    for index, took_ms in enumerate([101, 150, 100, 101, 120, 140, 90, 160, 90, 90, 100]):
        frame(watchdog, index * S, took_ms)
        said.append(bool(watchdog.check(index * S + S // 2).warning))
    assert said == [False] * 5 + [True] * 5 + [False]


def test_the_warning_tells_the_last_time_the_budget_and_how_many():
    watchdog = Watchdog(CONFIG)
    for index in range(4):
        frame(watchdog, index * S, 200 + index)
    assert watchdog.check(9 * S).warning == (
        "slow: the last frame took 203 ms of 100 allowed, 4 in a row beyond that"
    )


def test_a_frame_that_failed_is_neither_slow_nor_quick():
    watchdog = Watchdog(CONFIG)
    for index in range(9):
        frame(watchdog, index * S, 900, published=False)
    assert watchdog.check(99 * S).warning == ""


def test_a_hang_is_interrupted_once_and_after_the_grace_the_engine_is_replaced():
    watchdog = Watchdog(CONFIG)
    ticket = watchdog.started(10 * S)
    actions = [watchdog.check(int((10 + after_s) * S)).action for after_s in (4.9, 5.0, 5.5, 6.0)]
    assert actions == [NONE, INTERRUPT, NONE, REPLACE]
    assert not watchdog.holds(ticket)
    assert watchdog.check(17 * S).action == NONE


def test_a_hang_is_a_problem_with_its_numbers_while_it_lasts():
    watchdog = Watchdog(CONFIG)
    ticket = watchdog.started(0)
    said = "inference hangs: 5.2 s on one frame, 5.0 s allowed"
    assert watchdog.check(5200 * MS).problem == said
    watchdog.finished(ticket, 5300 * MS, published=False)
    assert watchdog.check(5400 * MS).problem == ""


def test_an_interrupt_that_helps_leaves_the_engine_in_place():
    watchdog = Watchdog(CONFIG)
    ticket = watchdog.started(0)
    assert watchdog.check(5 * S).action == INTERRUPT
    watchdog.finished(ticket, 5 * S + MS, published=False)
    assert watchdog.holds(ticket)
    assert watchdog.check(60 * S).action == NONE


def test_the_late_end_of_an_abandoned_frame_does_not_end_the_one_in_hand():
    watchdog = Watchdog(CONFIG)
    late = watchdog.started(0)
    watchdog.check(5 * S)
    assert watchdog.check(6 * S).action == REPLACE
    ticket = watchdog.started(7 * S)
    watchdog.finished(late, 8 * S, published=True)
    assert watchdog.holds(ticket)
    assert watchdog.check(12 * S).action == INTERRUPT


def test_making_an_engine_is_allowed_longer():
    watchdog = Watchdog(CONFIG)
    watchdog.started(0, more_s=20.0)
    assert watchdog.check(24 * S).action == NONE
    assert watchdog.check(25 * S).action == INTERRUPT


def hang(watchdog: Watchdog, start_ns: int) -> str:
    """Let a frame hang and return what is done in the end."""
    watchdog.started(start_ns)
    watchdog.check(start_ns + 5 * S)
    return watchdog.check(start_ns + 6 * S).action


def test_after_two_engines_replaced_in_vain_it_gives_up_once_and_keeps_saying_so():
    watchdog = Watchdog(CONFIG)
    assert [hang(watchdog, start * 10 * S) for start in range(3)] == [REPLACE, REPLACE, GIVE_UP]
    verdict = watchdog.check(40 * S)
    assert verdict.action == NONE
    assert "2 engines were replaced in vain: restart the node" in verdict.problem


def test_one_good_frame_sets_the_count_of_replacements_back():
    watchdog = Watchdog(CONFIG)
    assert [hang(watchdog, start * 10 * S) for start in range(2)] == [REPLACE, REPLACE]
    frame(watchdog, 30 * S, 10)
    assert hang(watchdog, 40 * S) == REPLACE


def test_zero_switches_each_limit_off():
    watchdog = Watchdog(replace(CONFIG, budget_ms=0.0, hang_s=0.0))
    for index in range(5):
        frame(watchdog, index * S, 60_000)
    watchdog.started(0)
    assert watchdog.check(10_000 * S).problem == ""
    assert watchdog.check(10_000 * S).warning == ""


def test_a_restart_voids_the_tickets_given_out():
    watchdog = Watchdog(CONFIG)
    ticket = watchdog.started(0)
    watchdog.restart()
    assert not watchdog.holds(ticket)
    assert watchdog.check(60 * S).action == NONE


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["start", "finish", "check"]), st.integers(0, 9)),
                max_size=60))  # fmt: skip
def test_a_ticket_given_up_never_holds_again_and_replacements_keep_their_limit(events):
    watchdog, now_ns, tickets, void, replaced = Watchdog(CONFIG), 0, [], set(), 0
    for what, after_s in events:
        now_ns += after_s * S
        if what == "start":
            void.update(tickets)
            tickets.append(watchdog.started(now_ns))
        elif what == "finish" and tickets:
            watchdog.finished(tickets[-1], now_ns, published=False)
        elif watchdog.check(now_ns).action == REPLACE:
            replaced += 1
            void.update(tickets)
        assert not any(watchdog.holds(ticket) for ticket in void)
    assert replaced <= CONFIG.max_replacements  # no frame was published between them


IMAGE = "sensor_msgs/msg/Image"
MINE = Endpoint("/gam_depth", IMAGE, "best_effort", "volatile")
CAMERA = Endpoint("/camera", IMAGE, "reliable", "volatile")


def test_a_silent_topic_without_a_publisher_says_so():
    assert stale_line("/image", 3.25, MINE, [], arrived=True) == (
        f"no message on /image for 3.2 s (subscribed as {IMAGE}, best_effort, volatile): nobody "
        "publishes there; check the driver, the remap and ROS_DOMAIN_ID"
    )


def test_a_publisher_that_fits_is_named_with_its_qos():
    line = stale_line("/image", 3.0, MINE, [CAMERA], arrived=False)
    assert line.startswith("no message yet on /image (")
    assert line.endswith(": /camera publishes it reliable, volatile, which fits")


@pytest.mark.parametrize(
    ("publisher", "mine", "said"),
    [
        (replace(CAMERA, reliability="best_effort"), replace(MINE, reliability="reliable"),
         "offers best_effort, reliable is asked for"),
        (CAMERA, replace(MINE, durability="transient_local"), "offers volatile"),
        (replace(CAMERA, interface="sensor_msgs/msg/CompressedImage"), MINE,
         f"publishes sensor_msgs/msg/CompressedImage, expected {IMAGE}"),
    ],
)  # fmt: skip
def test_a_publisher_that_does_not_fit_is_named_with_the_reason(publisher, mine, said):
    assert said in mismatch(publisher, mine)
    assert said in stale_line("/image", 3.0, mine, [publisher], arrived=False)


def test_offering_more_than_is_asked_for_fits():
    assert mismatch(replace(CAMERA, durability="transient_local"), MINE) == ""
    assert mismatch(replace(CAMERA, reliability="best_effort"), MINE) == ""


def zone(folder, index, kind, text):
    path = folder / f"thermal_zone{index}"
    path.mkdir()
    (path / "type").write_text(kind + "\n")
    (path / "temp").write_text(text + "\n")


def test_the_temperature_is_that_of_the_hottest_processor_zone(tmp_path):
    zone(tmp_path, 0, "x86_pkg_temp", "61500")
    zone(tmp_path, 1, "cpu-thermal", "64250")
    zone(tmp_path, 2, "battery", "99000")  # no processor
    zone(tmp_path, 3, "cpu-1", "999999")  # no temperature
    zone(tmp_path, 4, "cpu-2", "broken")
    assert cpu_temperature_c(tmp_path) == 64.25


def test_processor_time_is_read_by_column_and_told_by_interval(tmp_path):
    tick_s = 1.0 / os.sysconf("SC_CLK_TCK")
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 400 50 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n")
    before = processor_time(stat)
    assert before.all_s == pytest.approx(621 * tick_s)
    assert before.busy_s == pytest.approx(163 * tick_s)  # all but idle, waiting for disks, stolen
    assert before.stolen_s == pytest.approx(8 * tick_s)
    stat.write_text("cpu  150 20 30 440 50 6 7 18 0 0\n")
    spent = processor_time(stat).since(before)
    assert spent.all_s == pytest.approx(100 * tick_s)
    assert spent.busy_s == pytest.approx(50 * tick_s)
    assert spent.stolen_s == pytest.approx(10 * tick_s)
    assert 0.0 <= spent.own_s < 5.0
    assert spent.preempted >= 0


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "cpu a b c d e f g h\n"])
def test_what_the_kernel_does_not_tell_of_the_processor_is_unknown(tmp_path, text):
    (tmp_path / "stat").write_text(text)
    for stat in (tmp_path / "stat", tmp_path / "nowhere"):
        seen = processor_time(stat)
        assert seen.own_s > 0.0
        assert math.isnan(seen.busy_s)
        assert math.isnan(seen.all_s)


def test_without_a_readable_zone_the_temperature_is_unknown(tmp_path):
    assert math.isnan(cpu_temperature_c(tmp_path))
    assert math.isnan(cpu_temperature_c(tmp_path / "nowhere"))


def test_zones_that_the_system_refuses_to_look_for_cost_no_report(tmp_path):
    assert math.isnan(cpu_temperature_c(tmp_path / ("x" * 300)))
