"""Claims about model files in 8 bits, and about the way back from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_spec import ModelSpec
from gam_depth_training.bias_correction import channel_means, correct_biases
from gam_depth_training.export import (
    DeployedNetwork,
    compress_weights,
    export_plain,
)
from gam_depth_training.network_shape import NetworkShape
from gam_depth_training.networks import JointNetwork
from gam_depth_training.picture_answers import ReferencePicture
from gam_depth_training.quantize import (
    QuantizationError,
    QuantizeOptions,
    nodes_in_8_bits,
    quantize_model,
    unpack_weights,
)
from gam_depth_training.quantize_parity import ParityError, QuantizationReport, refuse_worse
from gam_depth_training.release import load_network

SIZE_HW = (64, 96)
EDGE = NetworkShape("edge", (8, 8, 16, 16, 32), (16, 8, 16, 16), (16, 8, 16, 16), "zeros", "relu")


def _pictures(count: int) -> list[ReferencePicture]:
    rng = np.random.default_rng(0)
    ramp = np.linspace(1.0, 4.0, SIZE_HW[1], dtype=np.float32)
    depth_m = np.broadcast_to(ramp, SIZE_HW)
    return [
        ReferencePicture(rng.integers(0, 256, (*SIZE_HW, 3)).astype(np.uint8), depth_m)
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[JointNetwork, Path]:
    torch.manual_seed(0)
    network = JointNetwork(len(NYU13), "split_late", decoder_norm=True, shape=EDGE)
    with torch.no_grad():
        for _ in range(20):
            network.train()(torch.rand(4, 3, *SIZE_HW))
    path = tmp_path_factory.mktemp("model") / "float.onnx"
    spec = ModelSpec("tiny", SIZE_HW, NYU13, licence="MIT")
    export_plain(DeployedNetwork.of(network.eval()), spec, path, compress=True)
    return network, path


@pytest.fixture(scope="module")
def small(exported: tuple[JointNetwork, Path]) -> tuple[Path, QuantizationReport]:
    path = exported[1].with_name("int8.onnx")
    pictures = _pictures(6)
    report = quantize_model(
        exported[1], pictures[::2], pictures[1::2], path, QuantizeOptions(most_worse=0.1)
    )
    return path, report


def test_a_file_in_8_bits_answers_nearly_as_the_float_one_under_the_same_contract(exported, small):
    path, report = small
    assert report.frames == 3
    assert report.median_depth_change < 0.05
    assert abs(report.abs_rel_change) < 0.1
    before, after = (OnnxEngine(file, EngineConfig(threads=1)) for file in (exported[1], path))
    assert after.precision == "int8"
    assert after.spec == before.spec
    operators = [node.op_type for node in onnx.load(str(path)).graph.node]
    assert operators.count("QuantizeLinear") > 10


def test_8_bits_give_the_same_bytes_run_after_run(small):
    engine = OnnxEngine(small[0], EngineConfig(threads=1))
    batch = _pictures(1)[0].rgb[None]
    first, second = engine.run(batch), engine.run(batch)
    assert first.depth.tobytes() == second.depth.tobytes()
    assert first.label.tobytes() == second.label.tobytes()


def test_heads_stay_in_float_and_what_stands_behind_them_too(exported):
    model = unpack_weights(onnx.load(str(exported[1])))
    chosen = set(nodes_in_8_bits(model))
    for node in model.graph.node:
        if node.name in chosen:
            assert not any("joined_head" in name for name in node.input)
            assert node.op_type in ("Conv", "Relu", "Add", "Concat", "Resize", "MaxPool")
    heads = [n.name for n in model.graph.node if any("semantic_head" in i for i in n.input)]
    assert heads[0] in chosen
    assert not set(heads) & set(nodes_in_8_bits(model, ["semantic_head"]))


def test_stored_weights_unpack_to_what_the_file_computes_with(exported, tmp_path):
    plain = tmp_path / "plain.onnx"
    spec = ModelSpec("tiny", SIZE_HW, NYU13)
    export_plain(DeployedNetwork.of(exported[0]), spec, plain)
    packed = compress_weights(onnx.load(str(plain)))
    unpacked = unpack_weights(packed)
    assert not any(one.name.endswith("_int8") for one in unpacked.graph.initializer)
    onnx.checker.check_model(unpacked)
    assert len(unpacked.graph.node) == len(onnx.load(str(plain)).graph.node)


def test_what_is_read_back_from_a_float_file_answers_as_the_file(exported):
    engine = OnnxEngine(exported[1], EngineConfig(warmup_runs=0))
    picture = _pictures(1)[0].rgb
    image = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        seen = load_network(exported[1]).eval()(image)
    np.testing.assert_allclose(engine.run(picture[None]).depth, seen.depth[0, 0], rtol=1e-3)


@pytest.mark.parametrize("kind", ["float", "int8"])
def test_a_training_goes_on_from_either_file(exported, small, kind):
    network, path = exported
    again = load_network(path if kind == "float" else small[0])
    assert again.shape == network.shape
    image = torch.from_numpy(_pictures(1)[0].rgb).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        before, after = network(image).depth.log(), again(image).depth.log()
    # Weights of 8 bits, of 7 where activations are in 8 bits as well.
    assert (before - after).abs().median() < (0.01 if kind == "float" else 0.02)


def test_a_worse_answer_is_refused_and_nothing_is_written(exported, tmp_path):
    out = tmp_path / "bad.onnx"
    with pytest.raises(ParityError, match="AbsRel worse than in float over 1 frames"):
        quantize_model(
            exported[1], _pictures(1), _pictures(1), out, QuantizeOptions(most_worse=-1.0)
        )
    assert not out.exists()


def test_without_depth_the_change_of_depth_is_what_counts():
    nan = float("nan")
    report = QuantizationReport(4, nan, nan, 0.03, 0.0, 1.0, 1, 1)
    with pytest.raises(ParityError, match=r"got 3\.0% median change of depth"):
        refuse_worse(report, 0.02, Path("m.onnx"))
    refuse_worse(report, 0.04, Path("m.onnx"))


def test_a_model_in_8_bits_already_and_no_frames_are_refused(exported, small, tmp_path):
    with pytest.raises(QuantizationError, match="in 8 bits already"):
        quantize_model(small[0], _pictures(1), _pictures(1), tmp_path / "o.onnx")
    with pytest.raises(QuantizationError, match="expected some of both"):
        quantize_model(exported[1], [], _pictures(1), tmp_path / "o.onnx")


@pytest.fixture(scope="module")
def uncorrected(exported: tuple[JointNetwork, Path]) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    path = exported[1].with_name("uncorrected.onnx")
    options = QuantizeOptions(most_worse=1.0, correct_on=0)
    pictures = _pictures(6)
    quantize_model(exported[1], pictures[::2], pictures[1::2], path, options)
    return unpack_weights(onnx.load(exported[1])), onnx.load(path)


def test_corrected_biases_bring_each_channels_mean_back(uncorrected):
    plain, quantized = uncorrected
    by_name = {node.name: node.output[0] for node in plain.graph.node if node.op_type == "Conv"}
    names = {node.name: node.output[0] for node in quantized.graph.node if node.op_type == "Conv"}
    batches = [picture.rgb[None] for picture in _pictures(3)]
    stored = next(
        one for one in quantized.graph.initializer if one.name.endswith("conv.bias_quantized")
    )
    spoilt = numpy_helper.to_array(stored) + 2000
    stored.CopyFrom(numpy_helper.from_array(spoilt, stored.name))
    corrected = correct_biases(plain, quantized, batches)
    wanted = channel_means(plain, list(by_name.values()), batches)

    def farthest(model: onnx.ModelProto) -> float:
        found = channel_means(model, list(names.values()), batches)
        return max(abs(found[names[n]] - wanted[by_name[n]]).max() for n in names)

    assert farthest(corrected) < 0.01
    assert farthest(corrected) < 0.1 * farthest(quantized)


def test_biases_of_another_network_are_refused(uncorrected):
    plain, quantized = uncorrected
    other = onnx.ModelProto()
    other.CopyFrom(plain)
    for node in other.graph.node:
        node.name = f"other_{node.name}"
    with pytest.raises(ValueError, match="counterpart in float"):
        correct_biases(other, quantized, [_pictures(1)[0].rgb[None]])
