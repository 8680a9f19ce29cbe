"""Change what a model file says of itself, and nothing of what it computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import helper

from gam_depth_ros.core.model_file import read_model_file
from gam_depth_ros.core.model_spec import METADATA_KEY, ModelSpec


def rewrite_spec(path: Path, change: Callable[[ModelSpec], ModelSpec], out: Path) -> ModelSpec:
    """Write a copy of a model file with another contract; graph and weights stay as they are.

    Args:
        path: The model file.
        change: From the contract found to the one to write.
        out: File to write, which may be ``path`` itself; replaced only once it is whole.

    Returns:
        The contract written.

    Raises:
        ModelContractError: the file carries no contract that can be read. It is a ValueError.
        ValueError: the file is not ONNX.
        OSError: a file cannot be read or written.
    """
    model = read_model(path)
    spec = change(stored_spec(model))
    write_model_file(model, {**stored_metadata(model), METADATA_KEY: spec.to_json()}, out)
    return spec


def read_model(path: Path) -> onnx.ModelProto:
    """Read a model file; raises ValueError where it is none."""
    try:
        return onnx.load_from_string(read_model_file(path).data)
    except DecodeError as error:
        raise ValueError(f"{path}: got no ONNX file, expected a model; export it again") from error


def stored_metadata(model: onnx.ModelProto) -> dict[str, str]:
    """Return what a model says of itself, by key."""
    return {entry.key: entry.value for entry in model.metadata_props}


def stored_spec(model: onnx.ModelProto) -> ModelSpec:
    """Return the contract that a model carries; raises ModelContractError where it has none."""
    return ModelSpec.from_json(stored_metadata(model).get(METADATA_KEY, ""))


def write_model_file(model: onnx.ModelProto, metadata: Mapping[str, str], out: Path) -> None:
    """Write a model file with what it says of itself; ``out`` is replaced once it is whole.

    Raises:
        OSError: it cannot be written.
    """
    helper.set_model_props(model, dict(metadata))
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    partial.write_bytes(model.SerializeToString())
    partial.replace(out)
