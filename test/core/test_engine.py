"""Claims about loading and running a model: the contract, the provider, the errors."""

import dataclasses
import hashlib
import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_model import tiny_depth, tiny_labels, write_tiny_model

from gam_depth_ros.core import providers
from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import EngineError, OnnxEngine
from gam_depth_ros.core.model_contract import check_outputs
from gam_depth_ros.core.model_file import (
    DEFAULT_MODEL_NAME,
    default_model_path,
    read_model_file,
)
from gam_depth_ros.core.model_spec import ModelContractError

RGB = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("dynamic", [False, True])
def test_values_are_those_of_the_graph_for_fixed_and_dynamic_batch(tmp_path, dynamic):
    path = write_tiny_model(
        tmp_path / "m.onnx", dynamic_batch=dynamic, symbolic_size=dynamic, features=True
    )
    output = OnnxEngine(path).run(RGB[None])
    np.testing.assert_allclose(output.depth, tiny_depth(RGB), rtol=1e-6)
    np.testing.assert_array_equal(output.label, tiny_labels(RGB))
    np.testing.assert_allclose(output.sigma, 0.1)
    np.testing.assert_allclose(output.features, RGB.mean(axis=(0, 1)), rtol=1e-5)


def test_features_are_none_where_the_model_gives_none(tmp_path):
    assert OnnxEngine(write_tiny_model(tmp_path / "m.onnx")).run(RGB[None]).features is None


def test_the_same_picture_twice_gives_the_same_bytes(tmp_path):
    path = write_tiny_model(tmp_path / "m.onnx")
    runs = [OnnxEngine(path, EngineConfig(threads=n)).run(RGB[None]) for n in (1, 2, 2)]
    assert len({run.depth.tobytes() for run in runs}) == 1


def test_what_is_in_use_is_reported(tmp_path):
    path = write_tiny_model(tmp_path / "m.onnx")
    engine = OnnxEngine(path, EngineConfig(threads=1))
    assert engine.provider == "CPUExecutionProvider"
    assert engine.precision == "float32"
    assert engine.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert engine.info["sha256"] == engine.sha256
    assert engine.info["input"] == "48x64"
    assert engine.info["threads"] == "1"
    assert engine.spec.labels.name == "nyu13"


@pytest.mark.parametrize("name", ["cuda", "tensorrt", "openvino"])
def test_an_unavailable_accelerator_is_skipped_with_a_loud_warning(tmp_path, caplog, name):
    provider = providers.PROVIDERS[name]
    if provider in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has {provider}")
    with caplog.at_level(logging.WARNING):
        engine = OnnxEngine(
            write_tiny_model(tmp_path / "m.onnx"), EngineConfig(providers=(name, "cpu"))
        )
    assert engine.provider == "CPUExecutionProvider"
    assert f"{provider} was asked for but this onnxruntime offers" in caplog.text
    assert f"{provider} was asked for but the network runs on CPUExecutionProvider" in caplog.text


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_an_accelerator_that_fails_at_session_creation_is_noticed(tmp_path, caplog, monkeypatch):
    """onnxruntime-gpu on a machine without drivers: offered, yet the CPU answers."""
    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
    )
    with caplog.at_level(logging.WARNING):
        engine = OnnxEngine(
            write_tiny_model(tmp_path / "m.onnx"), EngineConfig(providers=("cuda", "cpu"))
        )
    assert engine.provider == "CPUExecutionProvider"
    assert "expect it to be many times slower" in caplog.text


def test_no_warning_when_the_cpu_was_asked_for(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        OnnxEngine(write_tiny_model(tmp_path / "m.onnx"))
    assert not caplog.records


def test_a_lesser_accelerator_is_noticed(caplog):
    providers.warn_if_not_as_asked(
        ["TensorrtExecutionProvider", "CUDAExecutionProvider"], "CUDAExecutionProvider"
    )
    assert "TensorrtExecutionProvider was asked for but the network runs on CUDA" in caplog.text


@pytest.mark.parametrize("providers", [(), ("gpu",), ("cpu", "banana")])
def test_unknown_provider_names_are_refused(tmp_path, providers):
    with pytest.raises(EngineError, match="expected one or more of tensorrt, cuda, openvino, cpu"):
        OnnxEngine(write_tiny_model(tmp_path / "m.onnx"), EngineConfig(providers=providers))


@pytest.mark.parametrize(
    "batch",
    [RGB, RGB[None, :, :32], RGB[None].astype(np.float32), np.repeat(RGB[None], 2, axis=0)],
    ids=["no batch axis", "narrow", "float", "two"],
)
def test_a_batch_of_another_shape_or_type_is_refused(tmp_path, batch):
    engine = OnnxEngine(write_tiny_model(tmp_path / "m.onnx", dynamic_batch=True))
    with pytest.raises(EngineError, match=r"expected \(1, 48, 64, 3\) uint8"):
        engine.run(batch)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"no_metadata": True}, "got no 'gam_depth_model_spec' in its metadata"),
        ({"metadata": "not json"}, "got text that is not JSON"),
        ({"metadata": "[1, 2]"}, "got a JSON list, expected an object"),
        ({"metadata": '{"format_version": 1}'}, "while reading it, expected every field"),
        ({"format_version": 2}, "got format version 2, expected 1"),
        ({"omit_output": "sigma"}, "got outputs depth, label, label_confidence, expected 'sigma'"),
        ({"omit_output": "features", "features": True}, "expected 'features' too"),
        ({"output_type": {"depth": TensorProto.DOUBLE}}, r"'depth': got tensor\(double\)"),
        ({"output_type": {"label": TensorProto.INT64}}, r"'label': got tensor\(int64\)"),
        ({"squeeze_output": "depth"}, r"'depth': got shape \[48, 64\], expected \[1, 48, 64\]"),
        ({"spec_size_hw": (96, 64)}, r"'image': got shape \[1, 48, 64, 3\]"),
        ({"input_name": "input.1"}, "got inputs input.1, expected only 'image'"),
        ({"input_type": TensorProto.FLOAT}, r"'image': got tensor\(float\)"),
        ({"depth_offset": float("nan")}, "'depth': got nan to nan"),
        ({"depth_offset": -1.0}, "'depth': got -1 to 3 .*, expected finite values above zero"),
        ({"sigma": -0.5}, "'sigma': got -0.5 to -0.5"),
        ({"dark_id": 13}, "'label': got 4 to 13 .*, expected ids below 13"),
        ({"unknown_operator": True}, "from ONNX Runtime"),
        ({"external_data": True}, "got weights stored in another file"),
        ({"truncate_to": 0.0}, "got 0 bytes"),
        ({"truncate_to": 0.5}, "the file is truncated or not ONNX"),
        ({"truncate_to": 0.99}, "the file is truncated or not ONNX"),
    ],
    ids=str,
)
def test_a_broken_contract_is_refused_in_one_line_that_names_the_file(tmp_path, broken, words):
    path = write_tiny_model(tmp_path / "broken.onnx", **broken)
    with pytest.raises(ModelContractError, match=words) as caught:
        OnnxEngine(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("depth", np.ones((24, 64), np.float32), r"'depth': got \(24, 64\) float32 from a first"),
        ("label", np.ones((48, 64), np.int64), r"'label': got \(48, 64\) int64"),
        ("label_confidence", np.full((48, 64), 1.5, np.float32), "expected values from 0 to 1"),
    ],
)
def test_what_a_signature_does_not_show_is_checked_by_the_first_values(
    tmp_path, name, array, words
):
    engine = OnnxEngine(write_tiny_model(tmp_path / "m.onnx"))
    output = dataclasses.replace(engine.run(RGB[None]), **{name: array})
    with pytest.raises(ModelContractError, match=words):
        check_outputs(output, engine.spec)


@pytest.mark.parametrize("content", [b"hello", b"\x00" * 64, bytes(range(256)) * 8, b"ORTM" * 64])
def test_a_file_that_is_not_onnx_is_refused(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelContractError, match="not ONNX") as caught:
        OnnxEngine(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(ModelContractError, match="got 'No such file or directory'"):
        OnnxEngine(tmp_path / "none.onnx")
    with pytest.raises(ModelContractError, match="which is not a file"):
        OnnxEngine(tmp_path)


def test_a_file_past_the_limit_is_refused_unread(tmp_path):
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)  # sparse: takes no room
    with pytest.raises(ModelContractError, match="got 2147483648 bytes, expected 1 to 2147483647"):
        OnnxEngine(path)


def test_deeply_nested_messages_do_not_exhaust_the_stack(tmp_path):
    def wrapped(key: int, message: bytes) -> bytes:
        length, digits = len(message), b""
        while length > 0x7F:
            digits, length = digits + bytes([length & 0x7F | 0x80]), length >> 7
        return bytes([key]) + digits + bytes([length]) + message

    message = b""
    for _ in range(500):  # attribute.g -> graph.node -> node.attribute -> ...
        message = wrapped(0x0A, wrapped(0x2A, wrapped(0x32, message)))
    (tmp_path / "deep.onnx").write_bytes(wrapped(0x3A, message))
    with pytest.raises(ModelContractError, match="nested deeper than 32"):
        read_model_file(tmp_path / "deep.onnx")


def store_depth_slope_in_int8(path: Path, operator: str) -> None:
    """Keep the tiny model's depth slope of 4/255 as INT8 8 times a float step of 1/510."""
    model = onnx.load(path)
    graph = model.graph
    slope = next(tensor for tensor in graph.initializer if tensor.name == "depth_slope")
    graph.initializer.remove(slope)
    for name, value in (
        ("slope8", np.int8(8)),
        ("step", np.float32(1 / 510)),
        ("origin", np.int8(0)),
    ):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    if operator == "Cast":
        graph.node.insert(0, helper.make_node("Mul", ["slope32", "step"], ["depth_slope"]))
        graph.node.insert(
            0, helper.make_node("Cast", ["slope8"], ["slope32"], to=TensorProto.FLOAT)
        )
    else:
        inputs = ["slope8", "step", "origin"]
        graph.node.insert(0, helper.make_node(operator, inputs, ["depth_slope"]))
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("operator", ["DequantizeLinear", "Cast"])
def test_int8_weights_are_unpacked_once_at_load(tmp_path, operator, monkeypatch):
    """Weights stored in INT8 cost nothing per frame: no unpacking is left in the graph."""
    path = write_tiny_model(tmp_path / "m.onnx")
    store_depth_slope_in_int8(path, operator)
    make_options = onnxruntime.SessionOptions

    def recording_options():
        options = make_options()
        options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
        return options

    monkeypatch.setattr(onnxruntime, "SessionOptions", recording_options)
    engine = OnnxEngine(path)
    np.testing.assert_allclose(engine.run(RGB[None]).depth, tiny_depth(RGB), rtol=1e-5)
    assert engine.precision == "float32"
    left = onnx.load(tmp_path / "optimised.onnx").graph
    assert "DequantizeLinear" not in {node.op_type for node in left.node}
    assert "slope8" not in {tensor.name for tensor in left.initializer}


def test_the_default_model_can_be_named_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("GAM_DEPTH_MODEL", str(tmp_path / "mine.onnx"))
    assert default_model_path() == tmp_path / "mine.onnx"


def test_the_default_model_is_found_in_a_ros_share_folder(tmp_path, monkeypatch):
    model = tmp_path / "share/gam_depth_ros/models" / DEFAULT_MODEL_NAME
    model.parent.mkdir(parents=True)
    model.write_bytes(b"x")
    monkeypatch.delenv("GAM_DEPTH_MODEL", raising=False)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path}")
    assert default_model_path() == model
