"""The exchange among threads: whose frame is in hand, who is told of what, what a hang ends."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hanging_pipeline import hanging_pipeline
from plain_pipeline import plain_pipeline
from tiny_model import write_tiny_model

from gam_depth_ros.core.frame import Frame
from gam_depth_ros.core.pipeline import FrameError, Outputs
from gam_depth_ros.exchange import Exchange
from gam_depth_ros.reload import ModelReload
from gam_depth_ros.reload_terms import ReloadConfig, ReloadRequest

PICTURE = np.full((48, 64, 3), 102, np.uint8)
OUT = Outputs.none()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny.onnx")


def frame(second):
    return Frame(PICTURE, second * 1_000_000_000, "camera")


def in_thread(call, *arguments):
    thread = threading.Thread(target=call, args=arguments)
    thread.start()
    return thread


def test_an_interrupt_reaches_the_engine_whose_frame_is_in_hand_after_a_swap_too(model):
    former, new = hanging_pipeline(model), hanging_pipeline(model)
    exchange = Exchange(former, lambda _: None)
    exchange.interrupt()
    assert not exchange.busy
    thread = in_thread(exchange.process, frame(1), OUT)
    assert former.engine.begun.wait(20.0)
    exchange.swap(new)
    assert exchange.busy
    exchange.interrupt()
    former.engine.release.set()
    thread.join(20.0)
    assert former.engine.interrupted.is_set()
    assert not new.engine.interrupted.is_set()
    assert not exchange.busy


def test_a_thread_that_was_given_up_does_not_let_go_of_the_frame_of_the_next(model):
    former, new = hanging_pipeline(model), hanging_pipeline(model)
    exchange = Exchange(former, lambda _: None)
    first = in_thread(exchange.process, frame(1), OUT)
    assert former.engine.begun.wait(20.0)
    exchange.abandon("the inference hung")
    assert not exchange.busy
    exchange.swap(new)
    second = in_thread(exchange.process, frame(2), OUT)
    assert new.engine.begun.wait(20.0)
    former.engine.release.set()
    first.join(20.0)
    assert exchange.busy
    new.engine.release.set()
    second.join(20.0)
    assert not exchange.busy


def test_of_two_changes_at_a_time_the_one_that_stands_is_told_last(model):
    first, second = plain_pipeline(model), plain_pipeline(model)
    told, entered, go_on = [], threading.Event(), threading.Event()

    def on_change(pipeline):
        if not entered.is_set():
            entered.set()
            go_on.wait(20.0)  # a slow publisher
        told.append(pipeline)

    exchange = Exchange(first, on_change)
    slow = in_thread(lambda: exchange.swap(second, probation=True))
    assert entered.wait(20.0)
    quick = in_thread(exchange.roll_back, "it failed")
    quick.join(0.2)
    go_on.set()
    slow.join(20.0)
    quick.join(20.0)
    assert exchange.current is first
    assert told[-1] is first


def test_a_swap_instead_of_one_that_was_replaced_meanwhile_does_nothing(model):
    first, second, third = (plain_pipeline(model) for _ in range(3))
    exchange = Exchange(first, lambda _: None)
    assert exchange.swap(second, instead_of=first)
    assert not exchange.swap(third, instead_of=first)
    assert exchange.current is second


@pytest.mark.parametrize("renewed_at_once", [True, False])
def test_a_first_frame_that_hangs_for_longer_than_a_reload_waits_takes_the_model_back(
    model, tmp_path, monkeypatch, renewed_at_once
):
    new = hanging_pipeline(write_tiny_model(tmp_path / "new.onnx", depth_offset=3.0))
    monkeypatch.setattr("gam_depth_ros.reload.load_pipeline", lambda *_: new)
    exchange = Exchange(plain_pipeline(model), lambda _: None)
    first, told, results = exchange.current, [], []
    settings = ReloadConfig(probation_frames=5, frame_wait_s=0.1)
    request = ReloadRequest("new.onnx")
    reload = ModelReload(exchange, request, settings, active=True, tell=told.append)
    waiting = in_thread(lambda: results.append(reload.run()))
    while not any("on probation" in line for line in told):
        waiting.join(0.01)
    worker = in_thread(exchange.process, frame(1), OUT)
    assert new.engine.begun.wait(20.0)
    waiting.join(0.5)  # several times what it waits for a frame
    assert waiting.is_alive()
    exchange.abandon("the inference hung")  # what the node does when the watchdog says so
    if renewed_at_once:
        exchange.process(frame(2), OUT)
    waiting.join(20.0)
    new.engine.release.set()
    worker.join(20.0)
    assert not results[0].success
    assert not results[0].swapped
    assert "the inference hung" in results[0].message
    assert exchange.current is first


def test_a_cancel_interrupts_the_new_model_where_it_hangs_in_the_comparison(model, monkeypatch):
    new = hanging_pipeline(model)
    monkeypatch.setattr("gam_depth_ros.reload.load_pipeline", lambda *_: new)
    exchange = Exchange(plain_pipeline(model), lambda _: None)
    results, told = [], []
    reload = ModelReload(
        exchange, ReloadRequest("new.onnx", 3), ReloadConfig(), active=True, tell=told.append
    )
    waiting = in_thread(lambda: results.append(reload.run()))
    while not any("comparing" in line for line in told):
        waiting.join(0.01)
    exchange.process(frame(1), OUT)
    assert new.engine.begun.wait(20.0)
    reload.cancel("the node was deactivated")
    assert new.engine.interrupted.is_set()
    new.engine.release.set()
    waiting.join(20.0)
    assert "the node was deactivated" in results[0].message


def test_a_new_model_that_runs_out_of_memory_gives_way_to_the_former_with_the_very_frame(
    model, monkeypatch
):
    first, new = plain_pipeline(model), plain_pipeline(model)
    exchange = Exchange(first, lambda _: None)
    exchange.swap(new, probation=True)

    def full(*_):
        raise MemoryError

    monkeypatch.setattr(new, "process", full)
    _, by = exchange.process(frame(1), OUT)
    assert by is first
    assert exchange.fault == "MemoryError"


def test_a_frame_that_is_refused_leaves_nothing_in_hand(model):
    exchange = Exchange(plain_pipeline(model), lambda _: None)
    with pytest.raises(FrameError):
        exchange.process(Frame(PICTURE[..., :2], 1, "camera"), OUT)
    assert not exchange.busy
