"""A small ONNX model that keeps the contract, and ways to break each part of it.

Its depth is a known simple function of the picture, so values can be asserted end to end:

- depth = 1 + 4 * mean(rgb) / 255 (1 for black, 5 for white)
- sigma = 0.1 everywhere
- label = 4 (floor) where mean(rgb) > 127.5, else 11 (wall)
- label_confidence = 0.5 + abs(mean(rgb) - 127.5) / 255
- features (optional) = mean of each channel
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_spec import (
    FORMAT_VERSION,
    METADATA_KEY,
    REQUIRED_OUTPUTS,
    ModelSpec,
    SigmaCalibration,
)

SIGMA = 0.1
BRIGHT_ID = 4
DARK_ID = 11


def tiny_depth(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the depth the tiny model gives to a picture of its input size."""
    return (1.0 + 4.0 * rgb.astype(np.float32).mean(axis=-1) / 255.0).astype(np.float32)


def tiny_labels(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the ids the tiny model gives to a picture of its input size."""
    bright = rgb.astype(np.float32).mean(axis=-1) > 127.5
    return np.where(bright, BRIGHT_ID, DARK_ID).astype(np.uint8)


@dataclass(frozen=True)
class Tiny:
    """What the model is like. Attributes past ``calibration`` break the contract.

    Attributes:
        size_hw: Input size.
        features: Add the optional ``features`` output.
        dynamic_batch: Declare N as a symbol instead of 1.
        symbolic_size: Declare the outputs' height and width as symbols.
        calibration: Sigma factors in the spec.
        no_metadata: Leave the spec out.
        metadata: Text to store instead of the spec.
        format_version: Version stated in the spec.
        omit_output: Output left out of the graph (the spec still names it).
        output_type: ONNX types to cast outputs to, by output name.
        squeeze_output: Output to take the batch axis from.
        spec_size_hw: Input size stated in the spec, if other than the graph's.
        input_name: Name of the input.
        input_type: ONNX type of the input.
        depth_offset: What black gives; NaN or a negative value breaks the contract.
        sigma: Constant sigma output.
        dark_id: Label of dark pixels.
        unknown_operator: Add an operator that no runtime has.
        external_data: Store the weights beside the file.
        truncate_to: Keep this share of the file's bytes.
    """

    size_hw: tuple[int, int] = (48, 64)
    features: bool = False
    dynamic_batch: bool = False
    symbolic_size: bool = False
    calibration: SigmaCalibration = field(default_factory=SigmaCalibration)
    no_metadata: bool = False
    metadata: str | None = None
    format_version: int = FORMAT_VERSION
    omit_output: str = ""
    output_type: dict[str, int] = field(default_factory=dict)
    squeeze_output: str = ""
    spec_size_hw: tuple[int, int] | None = None
    input_name: str = "image"
    input_type: int = TensorProto.UINT8
    depth_offset: float = 1.0
    sigma: float = SIGMA
    dark_id: int = DARK_ID
    unknown_operator: bool = False
    external_data: bool = False
    truncate_to: float | None = None


def write_tiny_model(path: str | Path, size_hw: tuple[int, int] = (48, 64), **options: Any) -> Path:
    """Write the model and return its path; ``options`` are attributes of :class:`Tiny`."""
    tiny, path = Tiny(size_hw=size_hw, **options), Path(path)
    spec = _spec(tiny)
    graph = _graph(tiny, [name for name in spec.outputs if name != tiny.omit_output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    if not tiny.no_metadata:
        helper.set_model_props(model, {METADATA_KEY: tiny.metadata or spec.to_json()})
    path.parent.mkdir(parents=True, exist_ok=True)
    if tiny.external_data:
        onnx.save_model(
            model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
        )
    else:
        path.write_bytes(model.SerializeToString())
    if tiny.truncate_to is not None:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * tiny.truncate_to)])
    return path


def _spec(tiny: Tiny) -> ModelSpec:
    return ModelSpec(
        name="tiny",
        input_size_hw=tiny.spec_size_hw or tiny.size_hw,
        labels=NYU13,
        sigma_calibration=tiny.calibration,
        training={"data": "none"},
        outputs=(*REQUIRED_OUTPUTS, "features") if tiny.features else REQUIRED_OUTPUTS,
        format_version=tiny.format_version,
    )


def _graph(tiny: Tiny, outputs: list[str]) -> onnx.GraphProto:
    """Return the graph: what is computed, then each output cast, declared and named."""
    nodes = _arithmetic(tiny.input_name)
    if tiny.unknown_operator:
        nodes.append(helper.make_node("Conjure", ["mean"], ["conjured"], domain="org.nowhere"))
    batch: int | str = "N" if tiny.dynamic_batch else 1
    sides: tuple[Any, Any] = ("H", "W") if tiny.symbolic_size else tiny.size_hw
    values = []
    for name in outputs:
        shape: list[Any] = [batch, 3] if name == "features" else [batch, *sides]
        default = TensorProto.UINT8 if name == "label" else TensorProto.FLOAT
        dtype = tiny.output_type.get(name, default)
        nodes.append(helper.make_node("Cast", [f"raw_{name}"], [f"typed_{name}"], to=dtype))
        if name == tiny.squeeze_output:
            nodes.append(helper.make_node("Squeeze", [f"typed_{name}", "first_axis"], [name]))
            shape = shape[1:]
        else:
            nodes.append(helper.make_node("Identity", [f"typed_{name}"], [name]))
        values.append(helper.make_tensor_value_info(name, dtype, shape))
    shape = [batch, *tiny.size_hw, 3]
    image = helper.make_tensor_value_info(tiny.input_name, tiny.input_type, shape)
    return helper.make_graph(nodes, "tiny", [image], values, _constants(tiny))


def _arithmetic(input_name: str) -> list[onnx.NodeProto]:
    make = helper.make_node
    return [
        make("Cast", [input_name], ["pixels"], to=TensorProto.FLOAT),
        make("ReduceMean", ["pixels"], ["mean"], axes=[3], keepdims=0),
        make("Mul", ["mean", "depth_slope"], ["depth_rise"]),
        make("Add", ["depth_rise", "depth_offset"], ["raw_depth"]),
        make("Mul", ["mean", "zero"], ["nothing"]),
        make("Add", ["nothing", "sigma_value"], ["raw_sigma"]),
        make("Greater", ["mean", "middle"], ["is_bright"]),
        make("Where", ["is_bright", "bright", "dark"], ["float_label"]),
        make("Cast", ["float_label"], ["raw_label"], to=TensorProto.UINT8),
        make("Sub", ["mean", "middle"], ["offset"]),
        make("Abs", ["offset"], ["distance"]),
        make("Div", ["distance", "full"], ["share"]),
        make("Add", ["share", "half"], ["raw_label_confidence"]),
        make("ReduceMean", ["pixels"], ["raw_features"], axes=[1, 2], keepdims=0),
    ]


def _constants(tiny: Tiny) -> list[onnx.TensorProto]:
    values = {
        "depth_offset": tiny.depth_offset,
        "depth_slope": 4.0 / 255.0,
        "sigma_value": tiny.sigma,
        "dark": float(tiny.dark_id),
        "bright": float(BRIGHT_ID),
        "middle": 127.5,
        "half": 0.5,
        "full": 255.0,
        "zero": 0.0,
    }
    tensors = [
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in values.items()
    ]
    return [*tensors, numpy_helper.from_array(np.array([0], np.int64), "first_axis")]
