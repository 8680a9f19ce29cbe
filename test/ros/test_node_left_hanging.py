"""A node that is deactivated while an inference hangs, and activated again."""

from __future__ import annotations

import threading
import time

from hanging_pipeline import hanging_pipeline
from ros_harness import SECOND_NS, grey, image_message

from gam_depth_ros.inputs import Inputs
from gam_depth_ros.outputs import Publishers
from gam_depth_ros.worker import Worker


def until(holds, timeout_s=20.0):
    end_s = time.monotonic() + timeout_s
    while not holds() and time.monotonic() < end_s:
        time.sleep(0.01)
    return holds()


def test_the_next_activation_takes_a_new_engine_and_leaves_the_hung_one_alone(
    node, tiny_model, monkeypatch
):
    monkeypatch.setattr(Worker.stop, "__defaults__", (0.2,))
    node.trigger_configure()
    hung = hanging_pipeline(tiny_model)
    exchange = node._perceiver.exchange
    exchange.swap(hung)
    node.trigger_activate()
    node._perceiver._intake.put_image(image_message(grey(102), SECOND_NS), SECOND_NS)
    assert hung.engine.begun.wait(20.0)
    node.trigger_deactivate()
    assert not exchange.busy
    node.trigger_activate()
    assert until(lambda: exchange.current is not hung)
    assert exchange.current.engine.sha256 == hung.engine.sha256

    node._perceiver._intake.put_image(image_message(grey(102), 2 * SECOND_NS), 2 * SECOND_NS)
    assert until(lambda: node._health.snapshot().frames_published == 1)
    hung.engine.release.set()  # its late answer is nobody's
    time.sleep(0.2)
    after = node._health.snapshot()
    assert (after.frames_published, after.frames_failed) == (1, 0)
    node.trigger_deactivate()
    renewed = exchange.current
    node.trigger_activate()
    assert exchange.current is renewed


def test_a_frame_given_up_while_a_subscriber_holds_it_up_is_not_counted_twice(node, monkeypatch):
    node.trigger_configure()
    node.trigger_activate()
    perceiver, done = node._perceiver, []

    def held_up(_self, _wanted, _result):
        perceiver._supervisor.watchdog.restart()  # as if given up meanwhile
        node._health.failed()
        done.append(True)

    monkeypatch.setattr(Publishers, "publish_frame", held_up)
    perceiver._intake.put_image(image_message(grey(102), SECOND_NS), SECOND_NS)
    assert until(lambda: done)
    node.trigger_deactivate()
    after = node._health.snapshot()
    assert (after.frames_published, after.frames_failed) == (0, 1)


def test_a_frame_given_up_while_it_is_decoded_never_reaches_the_pipeline(node, monkeypatch):
    node.trigger_configure()
    node.trigger_activate()
    perceiver, decoded, perceived = node._perceiver, [], []
    whole = Inputs.frame

    def held_up(self, job):
        perceiver._supervisor.watchdog.restart()  # as if given up meanwhile
        decoded.append(job.stamp_ns)
        return whole(self, job)

    monkeypatch.setattr(Inputs, "frame", held_up)
    monkeypatch.setattr(perceiver.exchange, "process", lambda *_: perceived.append(True))
    perceiver._intake.put_image(image_message(grey(102), SECOND_NS), SECOND_NS)
    assert until(lambda: decoded)
    node.trigger_deactivate()
    assert not perceived


def test_the_network_is_fitted_to_the_ladder_in_the_workers_thread_alone(node, monkeypatch):
    node.trigger_configure()
    node.trigger_activate()
    perceiver, threads = node._perceiver, []
    monkeypatch.setattr(
        perceiver._supervisor, "fit_input", lambda _: threads.append(threading.current_thread())
    )
    perceiver.report(node._health.snapshot(), 0)
    assert not threads
    perceiver._intake.put_image(image_message(grey(102), SECOND_NS), SECOND_NS)
    assert until(lambda: node._health.snapshot().frames_published == 1)
    assert [thread.name for thread in threads] == ["gam_depth_worker"]
