"""Claims about a model file's weights in the network that it came from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from gam_depth_ros.core.model_file import default_model_path
from gam_depth_training.onnx_weights import _with_norms, read_onnx_spec, read_onnx_state
from gam_depth_training.release import load_network


def test_kernels_come_back_at_the_size_that_kernels_start_with():
    # Folded, those of the decoders are a tenth of it: steps of one size would trample on them.
    network = load_network(default_model_path())
    heads = {"disparity_head.conv", "sigma_head.conv", "semantic_head.conv"}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and name not in heads:
            size = module.weight.square().mean((1, 2, 3)).sqrt()
            start = (2 / module.weight[:, 0].numel()) ** 0.5
            torch.testing.assert_close(size, torch.full_like(size, start), msg=name)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    steps = len(network.shape.depth_channels) + len(network.shape.semantic_channels)
    assert len(norms) == 20 + 2 * steps  # encoder, two decoders
    assert all((m.running_mean == 0).all() and (m.running_var == 1).all() for m in norms)


def test_a_kernel_with_its_normalisation_is_what_the_file_holds():
    kernel = np.random.default_rng(0).normal(size=(3, 2, 3, 3)).astype(np.float32)
    kernel[1] = 0  # a channel that says nothing
    bias = np.array([1.0, 2.0, 3.0], np.float32)
    name = "depth_decoder.before.0"
    state = _with_norms({f"{name}.conv.weight": kernel, f"{name}.conv.bias": bias})
    norm = nn.BatchNorm2d(3).eval()
    norm.load_state_dict(
        {
            **norm.state_dict(),
            "weight": state[f"{name}.bn.weight"],
            "bias": state[f"{name}.bn.bias"],
        }
    )
    image = torch.randn(1, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    found = norm(nn.functional.conv2d(image, state[f"{name}.conv.weight"]))
    expected = nn.functional.conv2d(image, torch.from_numpy(kernel), torch.from_numpy(bias))
    torch.testing.assert_close(found, expected)
    plain = {"sigma_head.conv.weight": kernel, "attention.gate.conv1.weight": kernel}
    assert all(np.array_equal(_with_norms(plain)[key], kernel) for key in plain)


@pytest.mark.parametrize("read", [read_onnx_state, read_onnx_spec])
def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path, read):
    broken = tmp_path / "other.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ValueError, match="expected a whole ONNX file") as caught:
        read(broken)
    assert "\n" not in str(caught.value)
