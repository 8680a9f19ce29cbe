"""Claims about what a network is made of."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from gam_depth_training.edge_encoder import EDGE_BLOCKS, EdgeEncoder, RepBlock
from gam_depth_training.export import fuse_batch_norm
from gam_depth_training.network_shape import NetworkShape
from gam_depth_training.networks import SHAPE_KEY, JointNetwork, binomial

THIN = NetworkShape(semantic_channels=(8, 16, 24, 32), padding="zeros", activation="relu")
EDGE = NetworkShape("edge", (8, 8, 16, 16, 32), (8, 8, 16, 16), (8, 8, 16, 16), "zeros", "relu")
# Scores are read off the depth decoder's feature at a quarter, or off a decoder that ends there.
QUARTER = dataclasses.replace(EDGE, semantic_channels=(8, 16, 16))


def _seen(network: JointNetwork) -> JointNetwork:
    """Let the statistics be those of some pictures, not an untouched network's."""
    with torch.no_grad():
        network.train()(torch.rand(2, 3, 64, 96))
    return network.eval()


@pytest.mark.parametrize(
    ("shape", "decoders"),
    [
        (THIN, "separate"),
        (EDGE, "separate"),
        (EDGE, "split_late"),
        (QUARTER, "separate"),
        (QUARTER, "split_late"),
    ],
)
def test_weights_tell_their_shape_and_every_output_has_the_input_size(shape, decoders):
    torch.manual_seed(0)
    network = JointNetwork(5, decoders, decoder_norm=True, shape=shape).eval()
    again = JointNetwork.from_state(network.state_dict()).eval()
    assert again.shape == shape
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        prediction, same = network(picture), again(picture)
    assert torch.equal(prediction.depth, same.depth)
    assert torch.equal(prediction.logits, same.logits)
    assert prediction.depth.shape == prediction.log_b.shape == (1, 1, 64, 96)
    assert prediction.logits.shape == (1, 5, 64, 96)
    assert prediction.features.shape == (1, shape.encoder_channels[-1])


def test_weights_of_older_releases_load_as_the_papers_network():
    network = JointNetwork(5)
    old = {name: value for name, value in network.state_dict().items() if name != SHAPE_KEY}
    again = JointNetwork.from_state(old)
    assert again.shape == NetworkShape()
    assert torch.equal(again.encoder.conv1.weight, network.encoder.conv1.weight)
    network.load_state_dict(old)


def test_weights_of_another_activation_are_refused_though_every_tensor_fits():
    other = JointNetwork(5, shape=NetworkShape(activation="relu"))
    with pytest.raises(ValueError, match=r"got weights of a network .*relu.* expected .*elu"):
        JointNetwork(5).load_state_dict(other.state_dict())


def test_a_shuffle_of_subpixels_gives_depth_that_varies_within_a_decoders_pixel():
    torch.manual_seed(0)
    with torch.no_grad():
        prediction = JointNetwork(5, "split_late", shape=EDGE).eval()(torch.rand(1, 3, 64, 64))
    cells = prediction.disparity.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert (cells.amax(-1) > cells.amin(-1)).all()
    scores = prediction.logits.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert torch.equal(scores.amax(-1), scores.amin(-1))


@pytest.mark.parametrize("decoders", ["separate", "split_late"])
def test_scores_at_a_quarter_are_doubled_smoothly_and_then_repeated(decoders):
    torch.manual_seed(0)
    with torch.no_grad():
        prediction = JointNetwork(5, decoders, shape=QUARTER).eval()(torch.rand(1, 3, 64, 64))
    twos = prediction.logits.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert torch.equal(twos.amax(-1), twos.amin(-1))
    fours = prediction.logits.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4)
    assert (fours.amax(-1) > fours.amin(-1)).all()


@pytest.mark.parametrize(("channels", "stride"), [((4, 4), 1), ((4, 6), 1), ((4, 6), 2)])
def test_a_block_gives_the_same_as_three_branches_and_as_one_convolution(channels, stride):
    torch.manual_seed(0)
    block = RepBlock(*channels, stride)
    for _ in range(3):
        block(torch.randn(4, 4, 8, 8))
    block.eval()
    x = torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        branches = block(x)
        block.fold()
        assert sum(isinstance(m, torch.nn.Conv2d) for m in block.modules()) == 1
        torch.testing.assert_close(block(x), branches, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [THIN, EDGE])
def test_folding_a_network_leaves_convolutions_alone_and_changes_no_answer(shape):
    torch.manual_seed(0)
    network = _seen(JointNetwork(5, decoder_norm=True, shape=shape))
    folded = fuse_batch_norm(network)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        before, after = network(picture), folded(picture)
    torch.testing.assert_close(after.depth, before.depth, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after.log_b, before.log_b, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after.logits, before.logits, rtol=1e-4, atol=1e-4)


def test_the_edge_encoder_has_the_features_that_decoders_expect():
    features = EdgeEncoder((8, 8, 16, 16, 32))(torch.zeros(1, 3, 64, 96))
    assert [tuple(f.shape) for f in features] == [
        (1, 8, 32, 48),
        (1, 8, 16, 24),
        (1, 16, 8, 12),
        (1, 16, 4, 6),
        (1, 32, 2, 3),
    ]
    blocks = sum(isinstance(m, RepBlock) for m in EdgeEncoder((8,) * 5).modules())
    assert blocks == sum(EDGE_BLOCKS)


@pytest.mark.parametrize(
    "values",
    [
        {"encoder": "vgg"},
        {"padding": "wrap"},
        {"depth_channels": (16, 32)},
        {"encoder_channels": (16, 32, 64, 128)},
        {"semantic_channels": (0, 1, 1)},
    ],
)
def test_a_shape_that_cannot_be_is_refused_in_one_line(values):
    with pytest.raises(ValueError, match=r"got .*, expected") as caught:
        NetworkShape(**values)
    assert "\n" not in str(caught.value)


def test_shapes_that_decoders_cannot_share_are_refused():
    with pytest.raises(ValueError, match="expected the same where decoders are shared"):
        JointNetwork(5, "shared", shape=THIN)
    short = dataclasses.replace(THIN, semantic_channels=(8, 16, 24))
    with pytest.raises(ValueError, match=r"expected 64 first: the scores are read off"):
        JointNetwork(5, "split_late", shape=short)
    with pytest.raises(ValueError, match="expected more than 3 and at least 3"):
        JointNetwork(5, "split_late", shape=dataclasses.replace(EDGE, depth_channels=(8, 8, 16)))


def test_a_shape_reads_back_from_json_and_another_releases_is_refused():
    assert NetworkShape.from_json(EDGE.to_json()) == EDGE
    with pytest.raises(ValueError, match="train again, or install the release"):
        NetworkShape.from_json('{"wings": 2}')


def test_the_finest_weave_vanishes_and_a_slope_stays():
    rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(8.0), indexing="ij")
    slope = (0.5 * rows + columns)[None, None]
    weave = ((-1.0) ** rows + (-1.0) ** columns)[None, None]
    smooth = binomial(slope + weave)
    assert torch.allclose(smooth[..., 1:-1, 1:-1], slope[..., 1:-1, 1:-1], atol=1e-5)


def test_the_binomial_kernel_is_the_one_of_the_definition_with_repeated_borders():
    image = torch.randn(2, 1, 5, 7)
    line = torch.tensor([1.0, 2.0, 1.0])
    kernel = (line[:, None] * line / 16)[None, None]
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    expected = torch.nn.functional.conv2d(padded, kernel)
    assert torch.allclose(binomial(image), expected, atol=1e-6)


def test_a_network_that_shuffles_sub_pixels_leaves_no_finest_weave():
    network = JointNetwork(5, shape=EDGE).eval()
    with torch.no_grad():
        network.disparity_head.conv.bias.copy_(torch.tensor([0.0, 1.0, 1.0, 0.0]))
        network.disparity_head.conv.weight.zero_()
        disparity = network(torch.rand(1, 3, 64, 96)).disparity
    assert disparity[..., 1:-1, 1:-1].std() < 1e-6
