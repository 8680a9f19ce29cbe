"""Claims about the networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gam_depth_training.decoder import double_bilinearly
from gam_depth_training.encoder import ResNetEncoder
from gam_depth_training.networks import Decoder, Head, JointNetwork, disparity_to_depth
from gam_depth_training.pose_networks import MotionNetwork, PoseDecoder, PoseNetwork

ORACLE = "oracle/05_decoders.npz"


def _draw(module: torch.nn.Module, names: list[str], seed: int) -> None:
    """Fill the parameters with the oracle's formula weights, in its order."""
    rng = np.random.default_rng(seed)
    parameters = dict(module.named_parameters())
    for name in names:
        parameter = parameters.pop(name)
        values = rng.standard_normal(tuple(parameter.shape))
        values *= 0.05 if parameter.ndim == 1 else np.sqrt(1 / np.prod(parameter.shape[1:]))
        parameter.data = torch.from_numpy(values.astype(np.float32))
    assert not parameters, f"never drawn: {sorted(parameters)}"


def _decoder_order() -> list[str]:
    order = []
    for step in range(5):
        for part in ("before", "after"):
            order += [f"0.{part}.{step}.conv.weight", f"0.{part}.{step}.conv.bias"]
    return [*order, "1.conv.weight", "1.conv.bias"]


def _features(oracle: dict[str, np.ndarray]) -> list[torch.Tensor]:
    return [torch.from_numpy(oracle[f"feat{index}"]) for index in range(5)]


@pytest.fixture
def oracle(shared_dir: Path) -> dict[str, np.ndarray]:
    return dict(np.load(shared_dir / ORACLE))


@pytest.mark.parametrize(
    ("seed", "channels", "activation", "key"),
    [
        (101, 1, torch.sigmoid, "depth_decoder_disp0"),
        (102, 40, lambda x: x.softmax(1), "seg_decoder_prob0"),
    ],
)
def test_decoders_equal_the_official_ones(oracle, seed, channels, activation, key):
    module = torch.nn.Sequential(Decoder(), Head(16, channels))
    _draw(module, _decoder_order(), seed)
    with torch.no_grad():
        output = activation(module(_features(oracle)))
    np.testing.assert_allclose(output.numpy(), oracle[key], atol=1e-5)


def test_a_decoder_told_to_double_bilinearly_equals_the_official_one_for_scannet(oracle):
    module = torch.nn.Sequential(Decoder(), Head(16, 1))
    _draw(module, _decoder_order(), 101)
    double_bilinearly(module)
    with torch.no_grad():
        output = torch.sigmoid(module(_features(oracle)))
    np.testing.assert_allclose(output, oracle["depth_decoder_disp0_bilinear"], atol=1e-5)


def test_pose_decoder_equals_the_official_one(oracle):
    module = PoseDecoder()
    order = [f"{n}.{p}" for n in ("squeeze", "conv0", "conv1", "pose") for p in ("weight", "bias")]
    _draw(module, order, 103)
    with torch.no_grad():
        axis_angle, translation = module(_features(oracle)[-1])
    np.testing.assert_allclose(axis_angle, oracle["pose_axisangle"][:, 0, 0], atol=1e-6)
    np.testing.assert_allclose(translation, oracle["pose_translation"][:, 0, 0], atol=1e-6)


def test_encoder_features_have_the_shapes_the_decoders_expect():
    features = ResNetEncoder()(torch.zeros(2, 3, 64, 96))
    assert [tuple(f.shape) for f in features] == [
        (2, 64, 32, 48),
        (2, 64, 16, 24),
        (2, 128, 8, 12),
        (2, 256, 4, 6),
        (2, 512, 2, 3),
    ]


def test_encoder_has_the_parameter_count_of_resnet18_without_its_classifier():
    assert sum(p.numel() for p in ResNetEncoder().parameters()) == 11_689_512 - 513_000


def test_torchvision_named_weights_load_and_the_classifier_is_dropped(tmp_path):
    source = ResNetEncoder()
    state = {**source.state_dict(), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1)}
    torch.save(state, tmp_path / "resnet18.pth")
    target = ResNetEncoder()
    target.load_imagenet(tmp_path / "resnet18.pth")
    assert torch.equal(target.layer4[1].conv2.weight, source.layer4[1].conv2.weight)


def test_two_equal_pictures_give_the_pose_encoder_the_same_features_as_one(tmp_path):
    single = ResNetEncoder().eval()
    torch.save(single.state_dict(), tmp_path / "resnet18.pth")
    double = ResNetEncoder(images=2).eval()
    double.load_imagenet(tmp_path / "resnet18.pth")
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        one, two = single(picture), double(torch.cat((picture, picture), 1))
    torch.testing.assert_close(two[-1], one[-1], rtol=1e-3, atol=1e-4)


def test_other_weights_are_refused_in_one_line(tmp_path):
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"expected torchvision's ResNet-18 .* save it") as caught:
        ResNetEncoder().load_imagenet(tmp_path / "other.pth")
    assert "\n" not in str(caught.value)


def test_disparity_to_depth_spans_the_range():
    depth = disparity_to_depth(torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(depth, torch.tensor([10.0, 1 / 5.05, 0.1]))


def test_joint_network_gives_every_output_at_input_size():
    prediction = JointNetwork(13)(torch.rand(2, 3, 64, 96))
    assert prediction.depth.shape == prediction.log_b.shape == (2, 1, 64, 96)
    assert prediction.logits.shape == (2, 13, 64, 96)
    assert prediction.features.shape == (2, 512)
    assert prediction.depth.min() >= 0.1
    assert prediction.depth.max() <= 10.0


def test_splitting_the_decoder_changes_no_output():
    network = JointNetwork(13, "shared").eval()
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = network(picture).logits
        network.split_decoder()
        after = network(picture).logits
    assert torch.equal(before, after)
    assert network.semantic_decoder is not network.depth_decoder


@pytest.mark.parametrize(
    ("decoders", "attention", "norm"),
    [
        ("separate", False, False),
        ("shared", False, True),
        ("split_late", False, False),
        ("separate", True, True),
        ("split_late", True, False),
    ],
)
def test_a_state_dict_tells_which_network_it_belongs_to(decoders, attention, norm):
    torch.manual_seed(0)
    network = JointNetwork(5, decoders, attention, norm).eval()
    again = JointNetwork.from_state(network.state_dict()).eval()
    picture = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(again(picture).logits, network(picture).logits)
    assert again(picture).depth.shape == (1, 1, 64, 96)


def test_late_split_costs_between_shared_and_separate_decoders():
    count = {
        name: sum(p.numel() for p in JointNetwork(5, name).parameters())
        for name in ("shared", "split_late", "separate")
    }
    assert count["shared"] < count["split_late"] < 1.01 * count["shared"]
    assert count["separate"] > 1.2 * count["shared"]


@pytest.mark.parametrize("decoders", ["separate", "split_late"])
def test_untrained_attention_changes_nothing_and_learns_at_once(decoders):
    torch.manual_seed(0)
    with_gate = JointNetwork(5, decoders, cross_task_attention=True).eval()
    without = JointNetwork(5, decoders).eval()
    without.load_state_dict(
        {k: v for k, v in with_gate.state_dict().items() if not k.startswith("attention.")}
    )
    picture = torch.rand(1, 3, 64, 64)
    prediction = with_gate(picture)
    assert torch.equal(prediction.disparity, without(picture).disparity)
    (prediction.disparity.sum() + prediction.logits[:, 0].sum()).backward()
    assert with_gate.attention.to_depth.factor.grad.abs().min() > 0
    assert with_gate.attention.to_semantic.factor.grad.abs().min() > 0


def test_attention_carries_a_task_to_the_other_only_through_the_gate():
    torch.manual_seed(0)
    network = JointNetwork(5, cross_task_attention=True).eval()
    picture = torch.rand(1, 3, 64, 64)

    def reaches_depth() -> bool:
        network.zero_grad()
        network(picture).disparity.sum().backward()
        gradient = network.semantic_decoder.before[0].conv.weight.grad
        return gradient is not None and bool(gradient.abs().sum() > 0)

    assert not reaches_depth()
    network.attention.to_depth.factor.data.fill_(0.5)
    assert reaches_depth()


def test_attention_inside_one_shared_decoder_is_refused():
    with pytest.raises(ValueError, match="attention only between two decoders"):
        JointNetwork(5, "shared", cross_task_attention=True)


def test_a_state_dict_of_another_network_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"expected a JointNetwork's; save it") as caught:
        JointNetwork.from_state(ResNetEncoder().state_dict())
    assert "\n" not in str(caught.value)


def test_pose_network_gives_small_motions_at_start():
    axis_angle, translation = PoseNetwork().eval()(torch.rand(2, 6, 64, 64))
    assert axis_angle.shape == translation.shape == (2, 3)
    assert axis_angle.abs().max() < 0.1


def test_each_pair_of_frames_gets_the_pose_that_it_gets_alone():
    torch.manual_seed(0)
    network = MotionNetwork().eval()
    frames = torch.rand(2, 4, 3, 64, 64)
    with torch.no_grad():
        axis_angle, translation = network.consecutive(frames)
        alone = network.first(torch.cat((frames[:, 1], frames[:, 2]), 1))
    assert axis_angle.shape == translation.shape == (3, 2, 3)
    torch.testing.assert_close(axis_angle[1], alone[0])
    torch.testing.assert_close(translation[1], alone[1])


def test_a_shared_pose_encoder_learns_from_the_residual_poses_too():
    pairs = torch.rand(4, 1, 6, 64, 64)
    for kind in ("own", "shared"):
        network = MotionNetwork(residual_encoder=kind)
        sum(part.sum() for part in network.residual(pairs)).backward()
        assert (network.first.encoder.conv1.weight.grad is not None) == (kind == "shared")
    own, shared = (
        sum(p.numel() for p in MotionNetwork(residual_encoder=kind).parameters())
        for kind in ("own", "shared")
    )
    assert own - shared == sum(p.numel() for p in ResNetEncoder(images=2).parameters())


def test_negative_residual_passes_are_refused():
    with pytest.raises(ValueError, match="expected 0 or more"):
        MotionNetwork(residual_passes=-1)
