"""Change what a model file says of itself, and nothing of what it computes."""

from __future__ import annotations

from collections.abc import Callable
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
    try:
        model = onnx.load_from_string(read_model_file(path).data)
    except DecodeError as error:
        raise ValueError(f"{path}: got no ONNX file, expected a model; export it again") from error
    stored = {entry.key: entry.value for entry in model.metadata_props}
    spec = change(ModelSpec.from_json(stored.get(METADATA_KEY, "")))
    stored[METADATA_KEY] = spec.to_json()
    helper.set_model_props(model, stored)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    partial.write_bytes(model.SerializeToString())
    partial.replace(out)
    return spec
