"""Find, read and look over a model file before ONNX Runtime sees it.

The file's protobuf is walked, without the onnx package, for what has to be known first: whether it
is whole, whether it points to other files or brings code along, and which operators and number
types it has. Where two readers of protobuf could see different things, the file is refused.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gam_depth_ros.core.model_spec import ModelContractError

MODEL_ENVIRONMENT_VARIABLE = "GAM_DEPTH_MODEL"
DEFAULT_MODEL_NAME = "gam-depth-r18.onnx"
MAX_MODEL_BYTES = 2**31 - 1  # protobuf's own limit
_MAX_NESTING = 32
_MAX_KEY = 2**32 - 1  # beyond, other readers of protobuf cut the number and see another field
_FOREIGN_OPERATORS = frozenset({"ATen", "EPContext", "PyOp", "PythonOp", "PythonOpGrad"})
"""Operators that run Python, or load a compiled engine from a path that the model names."""
_INT8_OPERATORS = frozenset(
    {
        "QuantizeLinear",
        "DynamicQuantizeLinear",
        "QLinearConv",
        "QLinearMatMul",
        "ConvInteger",
        "MatMulInteger",
    }
)
_FLOAT16, _INT8, _UINT8 = 10, 3, 2  # onnx.TensorProto.DataType

# message -> field number -> message in that field (onnx.proto); other fields are skipped.
_SUBMESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_MODEL_METADATA, _METADATA_KEY, _METADATA_VALUE = 14, 1, 2
_NODE_OP_TYPE, _TENSOR_DATA_TYPE, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 4, 2, 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class ModelFile:
    """A model read into memory.

    Attributes:
        path: Where it was read.
        data: The file's bytes.
        sha256: Their SHA-256, hexadecimal.
        operators: How often each operator occurs.
        tensor_types: How many stored tensors have each ``TensorProto.DataType``.
        metadata: Texts stored beside the graph; the contract is one of them.
    """

    path: Path
    data: bytes
    sha256: str
    operators: Counter[str] = field(default_factory=Counter)
    tensor_types: Counter[int] = field(default_factory=Counter)
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def computes_in_int8(self) -> bool:
        """Whether the network's arithmetic is in 8 bits, not its stored weights alone."""
        return not _INT8_OPERATORS.isdisjoint(self.operators)

    @property
    def computes_in_float16(self) -> bool:
        """Whether it is in half precision on an accelerator; on the CPU such weights are cast."""
        return self.tensor_types[_FLOAT16] > self.operators["Cast"]

    @property
    def stored_weights(self) -> str:
        """What the weights are stored as: ``float16``, ``int8`` or ``float32``."""
        if self.tensor_types[_FLOAT16]:
            return "float16"
        # One 8-bit constant is no weight: the id of unlabelled pixels may be stored in the graph.
        return "int8" if self.tensor_types[_INT8] + self.tensor_types[_UINT8] > 1 else "float32"


def model_folders() -> list[Path]:
    """Return where shipped models may lie, there or not, in the order in which they are looked for.

    The package's own ``models`` folder, the ``share`` folders of ROS and Python environments, the
    source tree.
    """
    here = Path(__file__).resolve()
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    folders = [here.parents[1] / "models"]
    folders += [Path(p) / "share/gam_depth_ros/models" for p in (*prefixes, sys.prefix)]
    return [*folders, here.parents[3] / "models"]


def default_model_path() -> Path:
    """Return the shipped model's path: what ``GAM_DEPTH_MODEL`` names, else the first found.

    Raises:
        ModelContractError: nothing was found.
    """
    named = os.environ.get(MODEL_ENVIRONMENT_VARIABLE)
    if named:
        return Path(named)
    folders = model_folders()
    for folder in folders:
        if (folder / DEFAULT_MODEL_NAME).is_file():
            return folder / DEFAULT_MODEL_NAME
    raise ModelContractError(
        f"model file: got no {DEFAULT_MODEL_NAME} in {', '.join(map(str, folders))}, expected the "
        f"shipped model in one of them; name a model file, or set {MODEL_ENVIRONMENT_VARIABLE}"
    )


def read_model_file(path: str | Path) -> ModelFile:
    """Read a model file and check that it can be handed to ONNX Runtime.

    Raises:
        ModelContractError: missing, unreadable, empty, larger than 2 GiB, truncated, not ONNX, or
            with weights in other files, or with operators that bring code along.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ModelContractError(
                f"model file: got {path}, which is not a file, expected an .onnx file; "
                "check the model path"
            )
        if not 0 < size <= MAX_MODEL_BYTES:
            raise ModelContractError(
                f"model file {path}: got {size} bytes, expected 1 to {MAX_MODEL_BYTES}; "
                "fetch or export the model again"
            )
        data = path.read_bytes()
    except OSError as error:
        raise ModelContractError(
            f"model file: got '{error.strerror}' for {path}, expected a readable .onnx file; "
            "check the model path"
        ) from error
    model = ModelFile(path, data, hashlib.sha256(data).hexdigest())
    try:
        _look_over(memoryview(data), "model", model)
    except _MalformedError as error:
        raise ModelContractError(
            f"model file {path}: got {error}, expected a whole ONNX file; the file is truncated or "
            "not ONNX, fetch or export it again"
        ) from error
    if not model.operators:
        raise ModelContractError(
            f"model file {path}: got no operators, expected an ONNX graph; the file is truncated "
            "or not ONNX, fetch or export it again"
        )
    foreign = sorted(_FOREIGN_OPERATORS & model.operators.keys())
    if foreign:
        raise ModelContractError(
            f"model file {path}: got the operator {foreign[0]}, expected operators of ONNX alone: "
            "this one loads or runs what lies outside the file; export the model again"
        )
    return model


class _MalformedError(ValueError):
    """The bytes are not protobuf of the expected shape."""


def _look_over(message: memoryview, kind: str, found: ModelFile, nesting: int = 0) -> None:
    """Walk a protobuf message, count operators and tensor types, refuse external data."""
    if nesting > _MAX_NESTING:
        raise _MalformedError(f"messages nested deeper than {_MAX_NESTING}")
    children = _SUBMESSAGES[kind]
    for number, value in _fields(message):
        if kind == "tensor":
            # Whatever is not 0 may be cut to 1 by another reader.
            external = number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value != 0)
            if external:
                raise ModelContractError(
                    f"model file {found.path}: got weights stored in another file, expected one "
                    "self-contained file; export it without external data"
                )
            if number == _TENSOR_DATA_TYPE and isinstance(value, int):
                found.tensor_types[value] += 1
        elif kind == "node" and number == _NODE_OP_TYPE and isinstance(value, memoryview):
            found.operators[bytes(value).decode("utf-8", "replace")] += 1
        elif kind == "model" and number == _MODEL_METADATA and isinstance(value, memoryview):
            entry = {
                part: bytes(text) for part, text in _fields(value) if not isinstance(text, int)
            }
            name, text = (
                entry.get(part, b"").decode("utf-8", "replace")
                for part in (_METADATA_KEY, _METADATA_VALUE)
            )
            found.metadata[name] = text
        if number in children:
            if not isinstance(value, memoryview):
                raise _MalformedError(f"a number where a {children[number]} belongs")
            _look_over(value, children[number], found, nesting + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, value) of one protobuf message; raises _MalformedError."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        if key > _MAX_KEY:
            raise _MalformedError(f"the field number {key >> 3}")
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire == _FIXED64:
            length = 8
        elif wire == _FIXED32:
            length = 4
        else:
            raise _MalformedError(f"wire type {wire}")
        if number == 0 or length > end - at:
            raise _MalformedError(f"{end - at} bytes where {length} were announced")
        yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise _MalformedError("an end in the middle of a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _MalformedError("a number longer than 64 bits")
