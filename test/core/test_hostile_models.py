"""A model file from outside runs no code, reads no other file, and claims no more than there is."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from tiny_model import write_tiny_model

from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.model_file import MAX_MODEL_BYTES, read_model_file
from gam_depth_ros.core.model_spec import METADATA_KEY, ModelContractError

GRAPH, INITIALIZER = 7, 5  # field numbers of onnx.proto
EXTERNAL, LOCATION = 13, 14
VARINT, BYTES = 0, 2


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append((value & 0x7F) | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def field(key: int, content: bytes) -> bytes:
    return varint(key) + varint(len(content)) + content


def with_tensor(path: Path, tensor: bytes) -> Path:
    """Append a graph with one more initializer: protobuf merges it into the first."""
    path.write_bytes(
        path.read_bytes() + field(GRAPH << 3 | BYTES, field(INITIALIZER << 3 | BYTES, tensor))
    )
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ModelContractError) as caught:
        OnnxEngine(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("location", ["../../../../etc/passwd", "/etc/passwd", "weights.bin"])
def test_weights_in_another_file_are_refused_wherever_it_lies(tmp_path, location):
    model = onnx.load(write_tiny_model(tmp_path / "m.onnx"))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    said = refusal(tmp_path / "m.onnx")
    assert "got weights stored in another file, expected one self-contained file" in said


def test_a_location_that_other_readers_cut_to_external_is_refused(tmp_path):
    tensor = varint(LOCATION << 3 | VARINT) + varint(2**32 + 1)
    path = with_tensor(write_tiny_model(tmp_path / "m.onnx"), tensor)
    assert "weights stored in another file" in refusal(path)


def test_a_field_number_that_other_readers_cut_to_external_is_refused(tmp_path):
    tensor = field((1 << 32) | (EXTERNAL << 3 | BYTES), b"\x0a\x08location")
    path = with_tensor(write_tiny_model(tmp_path / "m.onnx"), tensor)
    assert "got the field number" in refusal(path)


@pytest.mark.parametrize("operator", ["EPContext", "PythonOp", "ATen"])
def test_operators_that_load_or_run_what_lies_outside_are_refused(tmp_path, operator):
    model = onnx.load(write_tiny_model(tmp_path / "m.onnx"))
    node = helper.make_node(operator, ["image"], ["x"], domain="com.microsoft")
    node.attribute.append(helper.make_attribute("ep_cache_context", "../../engine.trt"))
    model.graph.node.append(node)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert f"got the operator {operator}, expected operators of ONNX" in refusal(
        tmp_path / "m.onnx"
    )


def test_an_operator_hidden_in_a_function_or_a_branch_is_found(tmp_path):
    model = onnx.load(write_tiny_model(tmp_path / "m.onnx"))
    inner = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft")
    branch = helper.make_graph([inner], "b", [], [helper.make_tensor_value_info("y", 1, [1])])
    outer = helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch)
    model.functions.append(
        helper.make_function("here", "f", ["x"], ["z"], [outer], [helper.make_opsetid("", 17)])
    )
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert "got the operator EPContext" in refusal(tmp_path / "m.onnx")


def test_a_file_over_the_bound_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(MAX_MODEL_BYTES + 1)  # a hole: it takes no room on the disk
    with pytest.raises(ModelContractError, match=rf"got {MAX_MODEL_BYTES + 1} bytes, expected 1 "):
        read_model_file(path)


@pytest.mark.parametrize("size", [[2**40, 2**40], [8193, 64], [-1, 64]])
def test_a_contract_that_asks_for_a_gigantic_input_is_refused(tmp_path, size):
    path = write_tiny_model(tmp_path / "m.onnx")
    model = onnx.load(path)
    spec = json.loads(model.metadata_props[0].value)
    spec["input_size_hw"] = size
    helper.set_model_props(model, {METADATA_KEY: json.dumps(spec)})
    path.write_bytes(model.SerializeToString())
    assert "input size" in refusal(path)


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, '{"format_version": ' + "1" * 5000 + "}", '{"a":' * 50_000],
    ids=["nested lists", "endless number", "nested objects"],
)
def test_a_contract_that_would_overflow_the_reader_is_refused(tmp_path, text):
    path = write_tiny_model(tmp_path / "m.onnx", metadata=text)
    assert "got text that is not JSON" in refusal(path)
