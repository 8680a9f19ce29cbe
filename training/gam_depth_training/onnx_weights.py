"""The way back: a model file's weights as those of the network that it was exported from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor, nn

from gam_depth_ros.core.model_file import read_model_file
from gam_depth_ros.core.model_spec import METADATA_KEY, ModelSpec
from gam_depth_training.network_shape import (
    SHAPE_METADATA_KEY,
    NetworkShape,
    shape_to_tensor,
)
from gam_depth_training.networks import SHAPE_KEY, JointNetwork

# The traced module that carries the network, see export.DeployedNetwork.
_PREFIX = "network."
# What carries batch normalisation; the heads have none.
_NORMALISED = ("encoder.", "depth_decoder.", "semantic_decoder.")
_BATCH_NORM_EPS = nn.BatchNorm2d(1).eps


def read_onnx_state(path: Path) -> dict[str, Tensor]:
    """Read a model file that :func:`gam_depth_training.export.export_onnx` wrote.

    Kernels come back as the file stores them, rounded to 8 bits, with batch normalisation folded
    into them. Folded kernels are of any size, and an optimiser whose steps are of one size would
    trample on the small ones. So each is brought back to the size that a kernel starts with, and
    its normalisation, which gets statistics of 0 and 1, multiplies by what that took away: also in
    the decoders, whether they had one or not. The network answers as the file does in evaluation
    mode, and can be trained on only with its batch statistics frozen.

    Returns:
        A state dict of :class:`JointNetwork`.

    Raises:
        ValueError: the file cannot be read, or is another program's.
    """
    try:
        model = onnx.load_from_string(read_model_file(path).data)
        found = _with_norms(_arrays(model))
        shape = {one.key: one.value for one in model.metadata_props}.get(SHAPE_METADATA_KEY)
        if shape is not None:
            found[SHAPE_KEY] = shape_to_tensor(NetworkShape.from_json(shape))
        state = JointNetwork.shaped_as(found).state_dict()
    except (OSError, DecodeError, KeyError) as error:
        raise ValueError(
            f"{path}: got {error.__class__.__name__} while reading it, expected a model file of "
            "`gam-depth-train export`"
        ) from error
    for name, value in found.items():
        if name not in state or state[name].shape != value.shape:
            raise ValueError(
                f"{path}: got weights '{name}' that are no JointNetwork's, expected a model file "
                "of `gam-depth-train export`"
            )
        state[name] = value
    return state


def read_onnx_spec(path: Path) -> ModelSpec:
    """Read the contract that a model file carries.

    Raises:
        ValueError: the file cannot be read, or carries none.
    """
    try:
        model = onnx.load_from_string(read_model_file(path).data)
        properties = {entry.key: entry.value for entry in model.metadata_props}
        return ModelSpec.from_json(properties[METADATA_KEY])
    except (OSError, DecodeError, KeyError) as error:
        raise ValueError(
            f"{path}: got {error.__class__.__name__} while reading it, expected a model file of "
            "`gam-depth-train export`"
        ) from error


def _arrays(model: onnx.ModelProto) -> dict[str, npt.NDArray[np.float32]]:
    """Return kernels and biases by the network's names, in float32."""
    stored = {one.name: one for one in model.graph.initializer if one.name.startswith(_PREFIX)}
    arrays: dict[str, npt.NDArray[np.float32]] = {}
    for name, tensor in stored.items():
        if name.endswith(("_scale", "_zero_point")):
            continue
        value = numpy_helper.to_array(tensor)
        # As `export` stores weights, and as `quantize` stores weights and biases.
        plain = name.removesuffix("_int8").removesuffix("_quantized")
        if plain != name:
            scale = stored.get(f"{plain}_scale") or stored[f"{name}_scale"]
            steps = numpy_helper.to_array(scale)
            value = value.astype(np.float32) * steps.reshape(-1, *[1] * (value.ndim - 1))
        arrays[plain.removeprefix(_PREFIX)] = np.array(value, np.float32)
    return _as_trained(arrays)


def _as_trained(
    arrays: Mapping[str, npt.NDArray[np.float32]],
) -> dict[str, npt.NDArray[np.float32]]:
    """Take apart what export joins: the heads of depth and sigma, and the edge encoder's branches.

    A block's convolution becomes its wide branch, less the identity; the narrow one starts at 0.
    """
    found: dict[str, npt.NDArray[np.float32]] = {}
    for name, value in arrays.items():
        layer, _, kind = name.rpartition(".")
        if layer == "joined_head.conv":
            found[f"disparity_head.conv.{kind}"] = value[:-1]
            found[f"sigma_head.conv.{kind}"] = value[-1:]
        elif layer.endswith(".body") and kind == "bias":
            found[f"{layer}.norm.bias"] = value
        elif layer.endswith(".body"):
            wide = value.copy()
            # The first block of a stage halves the resolution and has no identity.
            if layer.split(".")[-2] != "0":
                wide[:, :, 1, 1] -= np.eye(len(wide), dtype=np.float32)
            found[f"{layer}.wide.weight"] = wide
            found[f"{layer}.point.weight"] = np.zeros((*wide.shape[:2], 1, 1), np.float32)
            found[f"{layer}.norm.weight"] = np.full(
                len(wide), math.sqrt(1.0 + _BATCH_NORM_EPS), np.float32
            )
        else:
            found[name] = value
    return found


def _with_norms(arrays: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, Tensor]:
    """Return the parameters with each kernel's size in the normalisation that follows it."""
    state: dict[str, Tensor] = {}
    for name, value in arrays.items():
        layer, _, kind = name.rpartition(".")
        norm = _norm_of(layer)
        tensor = torch.from_numpy(value)
        if norm is None:
            state[name] = tensor
        elif kind == "bias":
            state[f"{norm}.bias"] = tensor
        else:
            size = tensor.square().mean((1, 2, 3)).sqrt()
            # He et al. 2015, by the outgoing connections, as the encoder's kernels start.
            start = math.sqrt(2.0 / (tensor.shape[0] * tensor.shape[2] * tensor.shape[3]))
            factor = torch.where(size > 0, size / start, 1.0)
            state[name] = tensor / factor.view(-1, 1, 1, 1)
            # Statistics are 0 and 1; what epsilon takes away the factor gives back.
            state[f"{norm}.weight"] = factor * math.sqrt(1.0 + _BATCH_NORM_EPS)
    return state


def _norm_of(layer: str) -> str | None:
    """Return the name of the normalisation that follows a convolution; None where none does."""
    head, _, last = layer.rpartition(".")
    followers = {"conv1": "bn1", "conv2": "bn2", "0": "1", "conv": "bn", "wide": "wide_norm"}
    if last not in followers or not layer.startswith(_NORMALISED):
        return None
    return f"{head}.{followers[last]}"
