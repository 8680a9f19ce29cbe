"""Where a reload ends whatever hangs or breaks, and what it answers then."""

from __future__ import annotations

import threading
import time

import pytest
from hanging_pipeline import Hanging
from plain_pipeline import plain_pipeline
from reload_camera import FIXED, SIZE_HW, Camera, exchange_of, reload_of
from tiny_model import write_tiny_model

from gam_depth_ros import reload as reload_module
from gam_depth_ros import reload_service
from gam_depth_ros.shadow import MAX_FRAMES, Comparison, Difference, Look, Shadow


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        "first": write_tiny_model(folder / "first.onnx", SIZE_HW),
        "far": write_tiny_model(folder / "far.onnx", SIZE_HW, depth_offset=3.0),
    }


@pytest.fixture
def hanging(monkeypatch, models):
    """The next model loaded is one that does not answer."""
    pipeline = plain_pipeline(models["far"], scale=FIXED.scale)
    pipeline._engine = engine = Hanging(pipeline.engine)
    monkeypatch.setattr(reload_module, "load_pipeline", lambda *_: pipeline)
    yield engine
    engine.release.set()


@pytest.fixture
def endless_load(monkeypatch):
    """Loading does not end."""
    release = threading.Event()
    monkeypatch.setattr(reload_module, "load_pipeline", lambda *_: release.wait(20.0))
    yield
    release.set()


def test_a_model_that_hangs_in_the_comparison_is_given_up_and_the_next_reload_works(
    models, hanging, monkeypatch
):
    exchange, changes = exchange_of(models["first"])
    with Camera(exchange) as camera:
        begun_s = time.monotonic()
        result = reload_of(exchange, models["far"], shadow=3, frame_limit_s=0.2)[0].run()
        assert time.monotonic() - begun_s < 5.0
        assert not result.success
        assert "got no answer of the new model within 0.2 s" in result.message
        assert result.message.endswith("first.onnx goes on")
        assert hanging.interrupted.is_set()
        assert not changes
        monkeypatch.undo()
        assert reload_of(exchange, models["far"], shadow=2)[0].run().success
    assert camera.failed == 0
    assert camera.models() == ["first.onnx", "far.onnx"]


@pytest.mark.usefixtures("endless_load")
def test_a_load_that_does_not_end_is_given_up(models):
    exchange, _ = exchange_of(models["first"])
    result = reload_of(exchange, models["far"], load_limit_s=0.2)[0].run()
    assert not result.success
    assert "loading: got no end of it within 0.2 s" in result.message


@pytest.mark.usefixtures("endless_load")
def test_a_cancel_does_not_wait_for_a_load(models):
    exchange, _ = exchange_of(models["first"])
    reload, _ = reload_of(exchange, models["far"])
    results = []
    thread = threading.Thread(target=lambda: results.append(reload.run()))
    thread.start()
    time.sleep(0.1)
    reload.cancel("the node was deactivated")
    thread.join(2.0)
    assert not thread.is_alive()
    assert results[0].message.startswith("the node was deactivated")


def test_a_running_model_that_hangs_for_good_ends_a_comparison(models):
    exchange, _ = exchange_of(models["first"])
    exchange.current._engine = engine = Hanging(exchange.current.engine)
    camera = Camera(exchange)
    worker = threading.Thread(target=camera.feed)
    worker.start()
    assert engine.begun.wait(5.0)
    # As where watchdog.hang_s is 0, or engines were replaced in vain.
    result = reload_of(
        exchange, models["far"], shadow=1, frame_wait_s=0.1, load_limit_s=5.0
    )[0].run()
    engine.release.set()
    worker.join(5.0)
    assert not result.success
    assert "got no frame to compare on" in result.message


def test_more_shadow_frames_than_are_kept_are_refused(models):
    exchange, _ = exchange_of(models["first"])
    result = reload_of(exchange, models["far"], shadow=MAX_FRAMES + 1)[0].run()
    assert not result.success
    assert f"shadow_frames: got {MAX_FRAMES + 1}, expected at most {MAX_FRAMES}" in result.message


def test_a_shadow_keeps_no_more_than_its_limit():
    shadow, seen = Shadow(), Look(1.0, 0.1, 5.0)
    for _ in range(MAX_FRAMES + 500):
        shadow.update(Difference(seen, seen, 0.0, 0.0, 1.0))
    assert shadow.comparison().frames == MAX_FRAMES
    assert Shadow().comparison().frames == Comparison().frames == 0


def test_an_unexpected_error_after_the_swap_says_that_the_new_model_runs(models, monkeypatch):
    exchange, _ = exchange_of(models["first"])

    def broken(*_):
        raise RuntimeError("no\nsuch thing")

    monkeypatch.setattr(reload_module, "look", broken)
    with Camera(exchange):
        result = reload_service._run_safely(reload_of(exchange, models["far"])[0])
    assert exchange.current.engine.info["path"] == str(models["far"])
    assert (result.swapped, result.success) == (True, True)
    assert "far.onnx runs, unwatched" in result.message
    assert "\n" not in result.message


def test_an_unexpected_error_before_the_swap_says_that_the_former_goes_on(models, monkeypatch):
    exchange, _ = exchange_of(models["first"])
    monkeypatch.setattr(reload_module, "load_pipeline", lambda *_: 1 / 0)
    result = reload_service._run_safely(reload_of(exchange, models["far"])[0])
    assert (result.swapped, result.success) == (False, False)
    assert "first.onnx goes on" in result.message
