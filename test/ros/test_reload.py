"""A reload without a graph: what is compared, kept, handed over and taken back."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
from plain_pipeline import plain_pipeline
from reload_camera import FIXED, LEARNS, PERIOD_NS, RAMP, SIZE_HW, Camera, exchange_of, reload_of
from tiny_model import BRIGHT_ID, write_tiny_model

from gam_depth_ros.core.frame import Frame
from gam_depth_ros.core.pipeline import FrameError, Outputs
from gam_depth_ros.core.preprocessing import prepare


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        "first": write_tiny_model(folder / "first.onnx", SIZE_HW),
        "far": write_tiny_model(folder / "far.onnx", SIZE_HW, depth_offset=3.0, dark_id=BRIGHT_ID),
        "vague": write_tiny_model(folder / "vague.onnx", SIZE_HW, sigma=3.0),
        "negative": write_tiny_model(folder / "negative.onnx", SIZE_HW, depth_offset=-9.0),
        "foreign": write_tiny_model(folder / "foreign.onnx", SIZE_HW, no_metadata=True),
    }


def test_a_shadow_measures_the_ratio_the_difference_and_the_labels_and_then_takes_over(models):
    exchange, changes = exchange_of(models["first"])
    with Camera(exchange) as camera:
        reload, _ = reload_of(exchange, models["far"], shadow=4)
        result = reload.run()
    assert result.success
    assert result.swapped
    assert camera.models() == ["first.onnx", "far.onnx"]
    assert camera.failed == 0
    assert changes == [exchange.current]
    assert result.sha256 == exchange.current.engine.sha256
    one = 1.0 + 4.0 * RAMP[..., 0] / 255.0
    log_ratios = np.log((one + 2.0) / one)
    assert result.comparison.frames == 4
    assert result.comparison.scale_ratio == pytest.approx(np.exp(np.median(log_ratios)), rel=0.02)
    assert result.comparison.depth_difference == pytest.approx(
        np.median(np.abs(log_ratios - np.median(log_ratios))), rel=0.05
    )
    assert result.comparison.label_agreement == pytest.approx((RAMP > 127.5).mean(), abs=0.02)
    assert result.comparison.latency_ms > 0.0
    keeps = 2.0 / result.comparison.scale_ratio
    assert f"scale.fixed_value stays 2, {keeps:.4g} keeps the metres" in result.message


def test_compare_only_leaves_the_running_model_in_place(models):
    exchange, changes = exchange_of(models["first"])
    with Camera(exchange) as camera:
        result = reload_of(exchange, models["far"], shadow=2, only=True)[0].run()
    assert result.success
    assert not result.swapped
    assert camera.models() == ["first.onnx"]
    assert not changes


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("foreign", "gam_depth_model_spec"),
        ("nowhere", "nowhere.onnx"),
        ("negative", "depth"),
        ("vague", "health: got a median sigma of log depth of 3"),
    ],
)
def test_what_breaks_the_contract_or_looks_unhealthy_never_gets_a_frame(models, model, expected):
    exchange, changes = exchange_of(models["first"])
    path = models.get(model, models["first"].with_name("nowhere.onnx"))
    with Camera(exchange) as camera:
        result = reload_of(exchange, path, shadow=2)[0].run()
    assert not result.success
    assert expected in result.message
    assert result.message.endswith("first.onnx goes on")
    assert "\n" not in result.message
    assert camera.models() == ["first.onnx"]
    assert not changes


@pytest.mark.parametrize(("model", "config"), [("vague", {}), ("far", {"latency_budget_ms": 0.1})])
def test_without_a_shadow_the_probation_takes_an_unfit_model_back(models, model, config):
    exchange, changes = exchange_of(models["first"])
    first = exchange.current
    slow = write_tiny_model(models["first"].with_name("slow.onnx"), (600, 800), depth_offset=2.0)
    path = models[model] if not config else slow
    with Camera(exchange) as camera:
        result = reload_of(exchange, path, **config)[0].run()
    assert not result.success
    assert ("latency" if config else "sigma") in result.message
    assert camera.models()[:2] == ["first.onnx", path.name]
    assert exchange.current is first
    assert [changed is first for changed in changes] == [False, True]
    assert camera.failed == 0


class BreaksAt:
    """An engine that gives NaN from its n-th frame on."""

    def __init__(self, engine, healthy):
        self._engine, self._left = engine, healthy

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def run(self, batch):
        output = self._engine.run(batch)
        self._left -= 1
        return output if self._left >= 0 else replace(output, depth=output.depth * np.nan)


def test_a_frame_that_the_new_model_fails_on_probation_is_given_by_the_former(models):
    exchange, changes = exchange_of(models["first"])
    first = exchange.current
    fragile = plain_pipeline(models["far"], scale=FIXED.scale)
    fragile._engine = BreaksAt(fragile.engine, 2)
    camera = Camera(exchange)
    camera.feed()
    exchange.swap(fragile, probation=True)
    for _ in range(4):
        camera.feed()
    assert camera.failed == 0
    assert [by is first for _, by in camera.seen] == [True, False, False, True, True]
    assert [one.stamp_ns for one, _ in camera.seen] == [PERIOD_NS * n for n in range(1, 6)]
    assert "not finite" in exchange.fault
    assert len(changes) == 2


def test_a_frame_that_nobody_can_perceive_is_no_reason_to_go_back(models):
    exchange, _ = exchange_of(models["first"])
    other = plain_pipeline(models["far"], scale=FIXED.scale)
    exchange.swap(other, probation=True)
    with pytest.raises(FrameError):
        exchange.process(Frame(RAMP[..., :2], PERIOD_NS, "camera"), Outputs.all())
    assert exchange.current is other


def test_a_hang_on_probation_ends_the_reload_and_the_model_before_is_made_anew(models):
    exchange, _ = exchange_of(models["first"])
    results = []
    with Camera(exchange) as camera:
        reload, told = reload_of(exchange, models["far"], probation_frames=10_000)
        thread = threading.Thread(target=lambda: results.append(reload.run()))
        thread.start()
        while thread.is_alive() and not any("on probation, 2" in line for line in told):
            thread.join(0.01)
        # What the node does when the watchdog replaces an engine.
        exchange.roll_back("the inference hung")
        exchange.swap(plain_pipeline(models["first"], scale=FIXED.scale))
        thread.join(10.0)
    assert not results[0].success
    assert "the inference hung" in results[0].message
    assert results[0].message.endswith("first.onnx goes on")
    assert camera.models() == ["first.onnx", "far.onnx", "first.onnx"]


def test_metres_go_on_after_a_swap_by_a_scale_learnt_beside_the_running_model(models):
    exchange, _ = exchange_of(models["first"], LEARNS)
    room_m = (0.5 * (1.0 + 4.0 * RAMP[..., 0] / 255.0)).astype(np.float32)
    with Camera(exchange, reference_m=room_m) as camera:
        result = reload_of(exchange, models["far"], shadow=4)[0].run()
    assert result.success, result.message
    assert "learnt during the comparison" in result.message
    after = [one for one, by in camera.seen if by is exchange.current]
    assert all(one.scale.known for one in after)


def test_metres_go_on_by_the_ratio_where_references_have_ceased(models):
    exchange, _ = exchange_of(models["first"], LEARNS)
    room_m = (0.5 * (1.0 + 4.0 * RAMP[..., 0] / 255.0)).astype(np.float32)
    camera = Camera(exchange, reference_m=room_m)
    for _ in range(3):
        camera.feed()
    camera.reference_m = None
    with camera:
        result = reload_of(exchange, models["far"], shadow=4)[0].run()
    assert result.success, result.message
    assert "was handed over as" in result.message
    before = [one for one, by in camera.seen if by is not exchange.current][-1]
    after = next(one for one, by in camera.seen if by is exchange.current)
    expected = before.scale.value / result.comparison.scale_ratio
    assert after.scale.value == pytest.approx(expected, rel=1e-3)
    # The ratio's own doubt is added, and the age of the last reference is counted on.
    assert after.scale.sigma_log > before.scale.sigma_log
    assert after.scale.age_s > before.scale.age_s
    assert np.median(after.depth_m) == pytest.approx(np.median(before.depth_m), rel=0.02)


def test_without_a_comparison_the_scale_is_learnt_anew(models):
    exchange, _ = exchange_of(models["first"], LEARNS)
    room_m = (0.5 * (1.0 + 4.0 * RAMP[..., 0] / 255.0)).astype(np.float32)
    camera = Camera(exchange, reference_m=room_m)
    camera.feed()
    camera.feed()
    assert camera.seen[-1][0].scale.known
    result = reload_of(exchange, models["far"], active=False)[0].run()
    assert "learnt anew" in result.message
    camera.feed()
    assert math.isnan(camera.seen[-1][0].scale.value)
    camera.feed()
    assert camera.seen[-1][0].scale.known


def test_no_frames_and_a_cancel_end_a_comparison_with_the_reason(models):
    exchange, _ = exchange_of(models["first"])
    result = reload_of(exchange, models["far"], shadow=3, frame_wait_s=0.1)[0].run()
    assert "got no frame to compare on within 0.1 s" in result.message
    assert "activate the node first" in (
        reload_of(exchange, models["far"], shadow=3, active=False)[0].run().message
    )
    reload, _ = reload_of(exchange, models["far"])
    reload.cancel("the node was deactivated")
    result = reload.run()
    assert not result.success
    assert "deactivated" in result.message


def test_settings_changed_while_it_loads_hold_for_the_new_model_too(models):
    exchange, _ = exchange_of(models["first"])
    candidate = plain_pipeline(models["far"], scale=FIXED.scale)
    exchange.configure(replace(FIXED, scale=replace(FIXED.scale, fixed_value=3.0)))
    exchange.join(candidate)
    assert candidate.config.scale.fixed_value == 3.0
    exchange.configure(replace(FIXED, scale=replace(FIXED.scale, fixed_value=4.0)))
    assert candidate.config.scale.fixed_value == 4.0


def test_a_model_file_replaced_on_disk_changes_nothing_until_it_is_loaded_again(models, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(models["first"].read_bytes())
    pipeline = plain_pipeline(path, scale=FIXED.scale)
    batch = prepare(RAMP, SIZE_HW)
    before, sha256 = pipeline.engine.run(batch), pipeline.engine.sha256
    for content in (models["far"].read_bytes(), b"", b"not a model" * 1000):
        path.write_bytes(content)
        np.testing.assert_array_equal(pipeline.engine.run(batch).depth, before.depth)
    path.unlink()
    np.testing.assert_array_equal(pipeline.engine.run(batch).depth, before.depth)
    assert pipeline.engine.sha256 == sha256
