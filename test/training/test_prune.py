"""Claims about thinner networks made from trained ones."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from gam_depth_training.network_shape import NetworkShape
from gam_depth_training.networks import JointNetwork
from gam_depth_training.prune import prune, thinner

SMALL = NetworkShape(
    encoder_channels=(16, 16, 16, 24, 32),
    depth_channels=(16, 16, 16, 24),
    semantic_channels=(16, 16, 16, 24),
    padding="zeros",
    activation="relu",
)
EDGE = NetworkShape("edge", (16, 16, 16, 24, 32), (16,) * 4, (16,) * 4, "zeros", "relu")


def _silenced(network: JointNetwork) -> JointNetwork:
    """Let every second channel of each normalisation say nothing, and shift nothing."""
    with torch.no_grad():
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.1)
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.normal_(0, 0.1)
                norm.weight[1::2] = 0
                norm.bias[1::2] = 0
    return network.eval()


@pytest.mark.parametrize(
    ("shape", "decoders"), [(SMALL, "separate"), (SMALL, "split_late"), (SMALL, "shared")]
)
def test_channels_that_say_nothing_go_and_no_answer_changes(shape, decoders):
    torch.manual_seed(0)
    network = JointNetwork(5, decoders, decoder_norm=True, shape=shape)
    network = _silenced(network)
    pruned = prune(network, 0.5).eval()
    assert pruned.shape.encoder_channels == (8, 8, 8, 16, 16)  # 12 in eights, rounded to even
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        before, after = network(picture), pruned(picture)
    torch.testing.assert_close(after.depth, before.depth, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after.log_b, before.log_b, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after.logits, before.logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("semantic", [EDGE.semantic_channels, EDGE.depth_channels[1:]])
def test_the_edge_encoder_keeps_the_channels_of_a_stage_together(semantic):
    torch.manual_seed(0)
    shape = dataclasses.replace(EDGE, semantic_channels=semantic)
    network = _silenced(JointNetwork(5, "split_late", decoder_norm=True, shape=shape))
    pruned = prune(network, 0.5).eval()
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        before, after = network(picture), pruned(picture)
    torch.testing.assert_close(after.depth, before.depth, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after.logits, before.logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", [False, True])
def test_width_one_keeps_everything(norm):
    torch.manual_seed(0)
    network = JointNetwork(5, decoder_norm=norm, shape=SMALL).eval()
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(prune(network, 1.0)(picture).depth, network(picture).depth)


def test_channels_come_in_eights_and_never_more_than_there_were():
    shape = thinner(NetworkShape(), 0.3)
    assert shape.encoder_channels == (16, 16, 40, 80, 152)
    assert shape.depth_channels == (8, 8, 16, 40, 80)
    assert thinner(NetworkShape(semantic_channels=(4, 8, 8)), 0.9).semantic_channels == (4, 8, 8)


def test_what_cannot_be_pruned_is_refused():
    with pytest.raises(ValueError, match="expected above 0 and at most 1"):
        prune(JointNetwork(5, shape=SMALL), 0.0)
    with pytest.raises(ValueError, match="cross_task_attention"):
        prune(JointNetwork(5, cross_task_attention=True, shape=SMALL), 0.5)
