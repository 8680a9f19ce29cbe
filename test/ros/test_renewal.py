"""A new engine in the place of one that hangs, and the network at half its input; without ROS."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from open_model import open_sides
from plain_pipeline import plain_pipeline
from tiny_model import write_tiny_model

from gam_depth_ros import renewal, smaller_input
from gam_depth_ros.core.engine import EngineError
from gam_depth_ros.core.frame import Frame
from gam_depth_ros.core.pipeline import load_pipeline
from gam_depth_ros.core.request import Outputs
from gam_depth_ros.exchange import Exchange
from gam_depth_ros.health import Health
from gam_depth_ros.ladder import LadderState
from gam_depth_ros.parameters import NodeConfig, updated
from gam_depth_ros.renewal import Renewal
from gam_depth_ros.smaller_input import halved, is_halved, restored, why_not
from gam_depth_ros.snapshot import ERROR
from gam_depth_ros.supervisor import Supervisor
from gam_depth_ros.watchdog import REPLACE

S = 1_000_000_000


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "tiny.onnx")


@pytest.fixture
def supervisor():
    return Supervisor(updated(NodeConfig(), {"watchdog.hang_s": 0.1, "watchdog.grace_s": 0.0}),
                      Health())  # fmt: skip


@pytest.fixture
def exchange(model):
    return Exchange(plain_pipeline(model), lambda _: None)


def test_the_same_file_with_the_same_settings_takes_the_place(exchange, supervisor):
    former = exchange.current
    assert Renewal(exchange, supervisor).run()
    assert exchange.current is not former
    assert exchange.current.engine is not former.engine
    assert exchange.current.engine.sha256 == former.engine.sha256
    assert exchange.current.config == former.config


def test_a_load_that_fails_is_said_and_tried_again(exchange, supervisor, monkeypatch, caplog):
    monkeypatch.setattr(renewal, "RETRY_S", 0.01)
    failures = [MemoryError(), EngineError("got no device"), OSError("gone")]

    def load(path, config):
        if failures:
            raise failures.pop(0)
        return load_pipeline(path, config)

    monkeypatch.setattr(renewal, "load_pipeline", load)
    assert Renewal(exchange, supervisor).run()
    said = [record.message for record in caplog.records]
    assert [line.split(";")[0] for line in said] == [
        "new engine: MemoryError",
        "new engine: got no device",
        "new engine: gone",
    ]


def test_stopping_ends_the_attempts_and_leaves_the_pipeline(exchange, supervisor, monkeypatch):
    former, attempts = exchange.current, []

    def load(path, config):
        attempts.append(path)
        attempt.stop()
        raise OSError("gone")

    monkeypatch.setattr(renewal, "load_pipeline", load)
    attempt = Renewal(exchange, supervisor)
    assert not attempt.run()
    assert len(attempts) == 1
    assert exchange.current is former


def test_a_load_that_was_given_up_itself_changes_nothing(exchange, supervisor, monkeypatch):
    former = exchange.current

    def load(path, config):
        supervisor.watchdog.restart()  # its ticket is void from here on
        return load_pipeline(path, config)

    monkeypatch.setattr(renewal, "load_pipeline", load)
    assert not Renewal(exchange, supervisor).run()
    assert exchange.current is former


def test_the_error_stays_from_the_replacement_until_the_new_engine_answers(exchange):
    config = updated(NodeConfig(), {"watchdog.hang_s": 0.01, "watchdog.grace_s": 0.0})
    health = Health()
    supervisor = Supervisor(config, health)
    supervisor.watchdog.started(0)  # long ago, by the monotonic clock
    actions = [supervisor.look() for _ in range(2)]
    assert actions[-1] == REPLACE
    supervisor.look()
    assert health.snapshot().level == ERROR
    assert "the engine is replaced" in health.snapshot().health
    thread = threading.Thread(target=Renewal(exchange, supervisor).run)
    thread.start()
    thread.join(20)
    supervisor.look()
    assert health.snapshot().faults.hung == ""


def test_a_model_that_was_loaded_meanwhile_is_not_replaced_by_the_former(
    exchange, supervisor, model, monkeypatch
):
    other = plain_pipeline(model)

    def load(path, config):
        exchange.swap(other)
        return load_pipeline(path, config)

    monkeypatch.setattr(renewal, "load_pipeline", load)
    assert Renewal(exchange, supervisor).run()
    assert exchange.current is other


def test_the_ladder_does_not_put_the_former_model_back(model, monkeypatch):
    exchange = Exchange(plain_pipeline(open_sides(model)), lambda _: None)
    config = updated(NodeConfig(), {"ladder.enabled": True, "ladder.rungs": ["smaller_input"]})
    supervisor, other = Supervisor(config, Health()), plain_pipeline(open_sides(model))
    monkeypatch.setattr(supervisor._ladder, "_state", LadderState(taken=("smaller_input",)))

    def halve(pipeline):
        exchange.swap(other)  # by a reload, in its own thread
        return halved(pipeline)

    monkeypatch.setattr(smaller_input, "halved", halve)
    supervisor.fit_input(exchange)
    assert exchange.current is other


def test_a_model_that_does_not_run_at_half_its_input_leaves_that_rung_out(model, monkeypatch):
    exchange = Exchange(plain_pipeline(open_sides(model)), lambda _: None)
    config = updated(NodeConfig(), {"ladder.enabled": True, "ladder.rungs": ["smaller_input"]})
    supervisor, before = Supervisor(config, Health()), exchange.current
    supervisor.check_rungs(exchange)
    assert supervisor.ladder.left_out == ""
    monkeypatch.setattr(supervisor._ladder, "_state", LadderState(taken=("smaller_input",)))

    def fails(_):
        raise EngineError("at 24x32: got NaN")

    monkeypatch.setattr(smaller_input, "halved", fails)
    supervisor.fit_input(exchange)
    supervisor.check_rungs(exchange)
    assert "at 24x32: got NaN" in supervisor.ladder.left_out
    assert supervisor.ladder.taken == ()
    assert exchange.current is before


def test_at_half_its_input_a_pipeline_still_answers_at_the_pictures_size(model):
    whole = plain_pipeline(open_sides(model))
    half = halved(whole)
    rgb = np.full((48, 64, 3), 102, np.uint8)
    answer = half.process(Frame(rgb, S, "camera"), Outputs.all())
    assert why_not(whole) == ""
    assert is_halved(half)
    assert half.engine.spec.input_size_hw == (24, 32)
    np.testing.assert_allclose(answer.network_depth, np.full((48, 64), 2.6), rtol=1e-5)
    assert restored(half).engine is whole.engine
    assert half.config == whole.config


def test_a_fixed_input_cannot_be_halved_and_the_reason_names_its_size(model):
    whole = plain_pipeline(model)
    assert why_not(whole) == "the model's input is fixed at 48x64"
    with pytest.raises(EngineError, match="fixed at 48x64"):
        halved(whole)
