"""Muon: its updates are orthogonal, it learns, and it stops and goes on."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from gam_depth_training.muon import Muon, muon_groups, orthogonalise, split_parameters
from gam_depth_training.networks import JointNetwork


class SmallNetwork(nn.Module):
    """A first convolution by the name that the encoder's has, a kernel and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"conv1": nn.Conv2d(3, 8, 3, padding=1)})
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """B×3×H×W → B×1×H×W."""
        x = functional.elu(self.encoder["conv1"](x))
        return self.head(functional.elu(self.middle(x)))


@pytest.mark.parametrize("shape", [(16, 144), (32, 64), (90, 20)])
def test_update_has_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    # A gradient whose directions differ in strength by a hundred.
    matrix = torch.randn(shape) @ torch.diag(torch.logspace(-2, 0, shape[1]))
    singular = torch.linalg.svdvals(orthogonalise(matrix))
    assert singular.shape == (min(shape),)
    assert singular.min() > 0.5
    assert singular.max() < 1.3


def test_update_keeps_the_gradients_directions() -> None:
    torch.manual_seed(1)
    matrix = torch.randn(12, 40)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ orthogonalise(matrix) @ right.T
    off_diagonal = turned - torch.diag(turned.diagonal())
    assert off_diagonal.abs().max() < 1e-3
    assert turned.diagonal().min() > 0.5


def test_kernels_between_input_and_heads_go_by_muon_and_the_rest_does_not() -> None:
    network = JointNetwork(13, decoder_norm=True)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    kernels = {names[id(p)] for p in split_parameters(network)[0]}
    others = {names[id(p)] for p in split_parameters(network)[1]}
    assert "encoder.layer4.1.conv2.weight" in kernels
    assert "depth_decoder.before.0.conv.weight" in kernels
    assert {"encoder.conv1.weight", "disparity_head.conv.weight", "encoder.bn1.weight"} <= others
    assert len(kernels) + len(others) == len(names)


def _train(network: SmallNetwork, optimizer: Muon, steps: int, first: int = 0) -> float:
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        x = torch.rand(4, 3, 8, 8, generator=generator)
        loss = (network(x) - (x[:, :1] * x[:, 1:2])).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


def test_learns_a_product_of_channels() -> None:
    torch.manual_seed(2)
    network = SmallNetwork()
    optimizer = Muon(muon_groups(network, 1e-2, 0.0))
    start = _train(network, optimizer, 1)
    assert _train(network, optimizer, 150, first=1) < 0.1 * start


def test_goes_on_after_a_stop_as_if_there_had_been_none() -> None:
    torch.manual_seed(3)
    whole = SmallNetwork()
    stopped = copy.deepcopy(whole)
    _train(whole, Muon(muon_groups(whole, 1e-2, 0.01)), 6)
    first = Muon(muon_groups(stopped, 1e-2, 0.01))
    _train(stopped, first, 3)
    again = Muon(muon_groups(stopped, 1e-2, 0.01))
    again.load_state_dict(copy.deepcopy(first.state_dict()))
    _train(stopped, again, 3, first=3)
    for one, other in zip(whole.parameters(), stopped.parameters(), strict=True):
        assert torch.equal(one, other)


def test_decay_shrinks_kernels_alone() -> None:
    torch.manual_seed(4)
    network = SmallNetwork()
    before = copy.deepcopy(network.state_dict())
    optimizer = Muon(muon_groups(network, 0.1, 0.5))
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    after = network.state_dict()
    assert torch.allclose(after["middle.weight"], 0.95 * before["middle.weight"])
    assert torch.equal(after["head.weight"], before["head.weight"])
    assert torch.equal(after["encoder.conv1.weight"], before["encoder.conv1.weight"])
