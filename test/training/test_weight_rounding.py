"""Claims about storing weights in 8 bits: what is kept of them, and of a fine-tuning."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from gam_depth_ros.core.model_file import default_model_path
from gam_depth_training.export import (
    MAX_MEDIAN_DEPTH_CHANGE,
    compress_weights,
    fuse_batch_norm,
)
from gam_depth_training.networks import JointNetwork
from gam_depth_training.release import load_network
from gam_depth_training.weight_rounding import round_to_int8


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.floats(1e-6, 1e3))
def test_every_weight_stays_within_a_step_and_every_run_keeps_its_sum(seed, size):
    weight = np.random.default_rng(seed).normal(size=(3, 5, 3, 3), scale=size).astype(np.float32)
    steps, scale = round_to_int8(weight)
    wrong = (steps - weight.astype(np.float64) / scale).reshape(3, -1)
    assert steps.dtype == np.int8
    assert np.abs(steps).max() == 127
    assert np.abs(wrong).max() <= 1.001
    sums = np.cumsum(wrong, axis=1)
    assert np.abs(sums).max() <= 0.501  # from the first weight on; between any two: one step


def test_weights_on_the_steps_come_back_and_silent_channels_stay_silent():
    steps = np.random.default_rng(0).integers(-127, 128, (4, 6, 3, 3)).astype(np.int8)
    steps[:, 0, 0, 0] = 127
    scale = np.array([1e-3, 0.3, 7.0, 1e-5], np.float32).reshape(4, 1, 1, 1)
    stored, found = round_to_int8(steps * scale)
    np.testing.assert_array_equal(stored, steps)
    np.testing.assert_allclose(found, scale, rtol=1e-6)
    stored, _ = round_to_int8(np.zeros((2, 1, 3, 3), np.float32))
    assert not stored.any()


def test_a_move_of_a_twentieth_step_is_not_rounded_away():
    rng = np.random.default_rng(0)
    old = rng.integers(-100, 101, (2, 50, 3, 3)).astype(np.float32)
    old[:, 0, 0, 0] = 127  # one step is 1
    moved = old + 0.05
    moved[:, 0, 0, 0] = 127
    steps, _ = round_to_int8(moved)
    np.testing.assert_allclose((steps - old).mean(axis=(1, 2, 3)), 0.05, atol=1 / 450)
    assert np.array_equal(np.rint(moved), old), "each by itself falls back to where it was"


def test_a_file_holds_steps_and_their_size_and_gives_the_weights_back():
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 6, 6])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = compress_weights(helper.make_model(graph))
    onnx.checker.check_model(model)
    stored = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    restored = stored["w_int8"].astype(np.float32) * stored["w_scale"]
    assert np.all(np.abs(restored - weight) <= 1.001 * stored["w_scale"])


def test_a_model_file_trained_on_for_a_few_steps_is_stored_as_it_was_trained():
    network = load_network(default_model_path())
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    image = image.repeat_interleave(8, 2).repeat_interleave(8, 3)
    before = _log_depth(network, image)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-4)
    for _ in range(2):
        optimizer.zero_grad()
        (network(image).depth.log() - before - 0.1).abs().mean().backward()
        optimizer.step()
    after = _log_depth(network, image)
    # What was learnt is more than a file may be off, so it cannot be lost unseen.
    assert (after - before).abs().median() > 2 * MAX_MEDIAN_DEPTH_CHANGE
    stored = fuse_batch_norm(network)
    for module in stored.modules():
        if isinstance(module, nn.Conv2d):
            steps, scale = round_to_int8(module.weight.detach().numpy())
            module.weight.data = torch.from_numpy(steps * scale)
    assert (_log_depth(stored, image) - after).abs().median() < 0.3 * MAX_MEDIAN_DEPTH_CHANGE


def _log_depth(network: JointNetwork, image: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network.eval()(image).depth.log()
