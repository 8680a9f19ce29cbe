"""The way back: a model file's weights as those of the network that it was exported from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor, nn

from gam_depth_ros.core.model_spec import METADATA_KEY, ModelSpec
from gam_depth_training.networks import JointNetwork

# The traced module that carries the network, see export.DeployedNetwork.
_PREFIX = "network."
_BATCH_NORM_EPS = nn.BatchNorm2d(1).eps


def read_onnx_state(path: Path) -> dict[str, Tensor]:
    """Read a model file that :func:`gam_depth_training.export.export_onnx` wrote.

    Kernels come back as the file stores them, rounded to 8 bits. Batch normalisation was folded
    into them: the encoder's layers are there, but change nothing, and the decoders have none. So
    the network answers as the file does in evaluation mode, and can be trained on only with its
    batch statistics frozen.

    Returns:
        A state dict of :class:`JointNetwork`.

    Raises:
        ValueError: the file cannot be read, or is another program's.
    """
    try:
        arrays = _arrays(onnx.load(str(path)))
        network = _network_like(arrays)
    except (OSError, DecodeError, KeyError) as error:
        raise ValueError(
            f"{path}: got {error.__class__.__name__} while reading it, expected a model file of "
            "`gam-depth-train export`"
        ) from error
    state = network.state_dict()
    for name, value in arrays.items():
        layer, _, kind = name.rpartition(".")
        norm = _norm_of(layer)
        target = f"{norm}.bias" if kind == "bias" and f"{norm}.bias" in state else name
        if target not in state or state[target].shape != value.shape:
            raise ValueError(
                f"{path}: got weights '{name}' that are no JointNetwork's, expected a model file "
                "of `gam-depth-train export`"
            )
        state[target] = torch.from_numpy(value)
    return state


def read_onnx_spec(path: Path) -> ModelSpec:
    """Read the contract that a model file carries.

    Raises:
        ValueError: the file cannot be read, or carries none.
    """
    try:
        properties = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
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
        value = numpy_helper.to_array(tensor)
        if name.endswith("_scale"):
            continue
        plain = name.removesuffix("_int8")
        if plain != name:
            value = value.astype(np.float32) * numpy_helper.to_array(stored[f"{plain}_scale"])
        arrays[plain.removeprefix(_PREFIX)] = np.array(value, np.float32)
    return arrays


def _network_like(arrays: Mapping[str, npt.NDArray[np.float32]]) -> JointNetwork:
    """Build the network whose weights these are, its normalisations without effect."""
    state = {name: torch.from_numpy(value) for name, value in arrays.items()}
    network = JointNetwork.shaped_as(state)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Statistics start as 0 and 1; what epsilon takes away the factor gives back.
            nn.init.constant_(module.weight, (1 + _BATCH_NORM_EPS) ** 0.5)
    return network


def _norm_of(layer: str) -> str:
    """Return the name of the normalisation that follows a convolution, as ResNetEncoder has it."""
    head, _, last = layer.rpartition(".")
    follower = {"conv1": "bn1", "conv2": "bn2", "0": "1"}.get(last, "")
    return f"{head}.{follower}" if head else follower
