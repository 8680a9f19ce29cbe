"""A model by name in the node: from the lists and the cache, never from the network."""

from __future__ import annotations

import socket

import pytest
from model_lists import sha256, write_list
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from reload_camera import exchange_of, reload_of

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


@pytest.fixture
def listed(tiny_model, tmp_path, monkeypatch):
    """Lists the tiny model as `here` and, not fetched, as `away`; returns its file here."""
    data = tiny_model.read_bytes()
    (tmp_path / "here.onnx").write_bytes(data)
    path = write_list(
        tmp_path / "models.yaml",
        {"name": "here", "file": "here.onnx", "sha256": sha256(data)},
        {"name": "away", "url": "https://example.org/tiny.onnx", "sha256": sha256(data)},
    )
    monkeypatch.setenv("GAM_DEPTH_MODELS", str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "here.onnx"


def configured(node, model):
    node.set_parameters([Parameter("model_path", value=model)])
    return node.trigger_configure()


def test_the_parameter_takes_a_name(node, listed):
    assert configured(node, "here") == SUCCESS
    assert node._health.model.path == str(listed)


def test_what_is_not_fetched_costs_one_line_with_the_command_and_no_network(
    node, listed, monkeypatch
):
    monkeypatch.setattr(socket, "create_connection", None)
    monkeypatch.setattr(socket, "getaddrinfo", None)
    assert configured(node, "away") == FAILURE
    assert "`gam-depth models fetch away`" in node._health.problem
    assert "\n" not in node._health.problem


def test_another_file_under_the_listed_name_is_refused(node, listed):
    listed.write_bytes(listed.read_bytes() + b"\0")
    assert configured(node, "here") == FAILURE
    assert "got the sha256" in node._health.problem


def test_a_reload_takes_a_name_and_refuses_one_that_is_not_fetched(tiny_model, listed):
    exchange, _ = exchange_of(tiny_model)
    result = reload_of(exchange, "away", active=False)[0].run()
    assert not result.success
    assert "`gam-depth models fetch away`" in result.message
    assert f"{tiny_model} goes on" in result.message
    result = reload_of(exchange, "here", active=False)[0].run()
    assert result.success, result.message
    assert exchange.current.engine.info["path"] == str(listed)
