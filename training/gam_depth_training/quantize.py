"""From a model file in float to one in 8 bits, held to the answers of the first.

Static quantisation (Jacob et al. 2018): weights by output channel, activations by ranges measured
on recorded frames. The heads stay in float: depth and sigma are read off them directly.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from gam_depth_ros.core.model_spec import INPUT_NAME, ModelSpec
from gam_depth_ros.core.preprocessing import prepare
from gam_depth_training.bias_correction import Step, correct_biases
from gam_depth_training.model_metadata import (
    read_model,
    stored_metadata,
    stored_spec,
    write_model_file,
)
from gam_depth_training.picture_answers import ReferencePicture
from gam_depth_training.quantize_parity import QuantizationReport, compare_files, refuse_worse

logger = logging.getLogger(__name__)

# What runs in 8 bits; everything else between them is read as float and costs a pass each way.
OPERATORS = ("Conv", "Relu", "Add", "Concat", "Resize", "MaxPool")
_HEAD = "_head.conv.weight"


class QuantizationError(ValueError):
    """A model file that cannot be quantised, or one whose 8 bits answer too differently."""


@dataclass(frozen=True)
class QuantizeOptions:
    """How a model is brought to 8 bits.

    Attributes:
        percentile: Share of an activation's values, in per cent, that its range must hold; 100
            takes the least and the largest value.
        float_nodes: Convolutions, by a part of their weights' name, that stay in float beside the
            heads of depth and sigma.
        most_worse: Largest relative rise of AbsRel, or median change of depth where no frame has
            depth, at which the file is still written.
        correct_on: Calibration frames, evenly spread, on which biases are corrected afterwards
            (see gam_depth_training.bias_correction); 0 leaves them as they are, and is better
            where ``percentile`` clips little.
    """

    percentile: float = 100.0
    float_nodes: tuple[str, ...] = ("semantic_head",)
    most_worse: float = 0.02
    correct_on: int = 0


def quantize_model(
    model: Path,
    calibration: Sequence[ReferencePicture],
    check: Sequence[ReferencePicture],
    out: Path,
    options: QuantizeOptions = QuantizeOptions(),
    on_step: Step | None = None,
) -> QuantizationReport:
    """Write a model file in 8 bits.

    Args:
        model: Written by ``export``; weights stored in 8 bits are unpacked first.
        calibration: Frames on which the ranges are measured.
        check: Other frames, with depth where there is any, on which both files answer.
        out: File to write; it carries the same contract.
        options: See QuantizeOptions.
        on_step: Told how many convolutions are corrected, and of how many.

    Returns:
        How both files differ.

    Raises:
        ValueError: no frames, no such model, or one in 8 bits already.
        ParityError: an answer worse than ``most_worse`` allows; nothing is written.
    """
    if not calibration or not check:
        raise QuantizationError(
            f"{model}: got {len(calibration)} frames to calibrate and {len(check)} to check, "
            "expected some of both; give --data with at least two frames"
        )
    loaded = read_model(model)
    if any(node.op_type == "QuantizeLinear" for node in loaded.graph.node):
        raise QuantizationError(f"{model}: got a model in 8 bits already, expected one in float")
    metadata = stored_metadata(loaded)
    spec = stored_spec(loaded)
    plain = unpack_weights(loaded)
    with TemporaryDirectory() as folder:
        source, candidate = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save_model(onnx.shape_inference.infer_shapes(plain), str(source))
        _quantize(source, candidate, plain, spec, calibration, options)
        quantized = onnx.load(str(candidate))
        if options.correct_on:
            chosen = np.linspace(0, len(calibration) - 1, options.correct_on).round().astype(int)
            batches = [prepare(calibration[i].rgb, spec.input_size_hw) for i in np.unique(chosen)]
            quantized = correct_biases(onnx.load(str(source)), quantized, batches, on_step)
        quantized.producer_name = plain.producer_name
        write_model_file(quantized, metadata, candidate)
        report = compare_files(model, candidate, check)
        refuse_worse(report, options.most_worse, out)
        write_model_file(quantized, metadata, out)
    return report


def _quantize(
    source: Path,
    candidate: Path,
    plain: onnx.ModelProto,
    spec: ModelSpec,
    calibration: Sequence[ReferencePicture],
    options: QuantizeOptions,
) -> None:
    whole = options.percentile >= 100.0
    quantize_static(
        str(source),
        str(candidate),
        _Frames(calibration, spec.input_size_hw),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=list(OPERATORS),
        nodes_to_quantize=nodes_in_8_bits(plain, options.float_nodes),
        per_channel=True,
        # Seven bits of weights: with eight the sums of two products, which AVX2 adds in 16 bits,
        # would saturate, and one machine would answer otherwise than another.
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax if whole else CalibrationMethod.Percentile,
        extra_options={"CalibPercentile": options.percentile, "QuantizeBias": True},
    )


class _Frames(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no type hints
    """Hands frames to ONNX Runtime, one at a time, as the robot prepares them."""

    def __init__(self, frames: Sequence[ReferencePicture], size_hw: tuple[int, int]) -> None:
        self._batches = self._prepared(frames, size_hw)

    @staticmethod
    def _prepared(
        frames: Sequence[ReferencePicture], size_hw: tuple[int, int]
    ) -> Iterator[dict[str, npt.NDArray[np.uint8]]]:
        for frame in frames:
            yield {INPUT_NAME: prepare(frame.rgb, size_hw)}

    def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
        """Return the next input, None after the last."""
        return next(self._batches, None)


def unpack_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose weights are float again: what ONNX Runtime does when it loads the file.

    The opposite of gam_depth_training.export.compress_weights.
    """
    unpacked = onnx.ModelProto()
    unpacked.CopyFrom(model)
    graph = unpacked.graph
    stored = {one.name: one for one in graph.initializer}
    casts = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Cast" and node.input[0] in stored
    }
    gone: set[str] = set()
    for node in list(graph.node):
        if node.op_type != "Mul" or node.input[0] not in casts:
            continue
        steps, scale = casts[node.input[0]], node.input[1]
        weight = numpy_helper.to_array(stored[steps]).astype(np.float32)
        weight = weight * numpy_helper.to_array(stored[scale])
        graph.initializer.append(numpy_helper.from_array(weight, node.output[0]))
        gone |= {steps, scale, node.input[0], node.output[0]}
    kept = [node for node in graph.node if node.output[0] not in gone]
    del graph.node[:]
    graph.node.extend(kept)
    weights = [one for one in graph.initializer if one.name not in gone or one.name not in stored]
    del graph.initializer[:]
    graph.initializer.extend(weights)
    return unpacked


def nodes_in_8_bits(model: onnx.ModelProto, also_float: Sequence[str] = ()) -> list[str]:
    """Return the names of the nodes that quantisation may touch: what feeds the heads.

    Behind a head stand disparity, exponential and softmax, whose steps would be too coarse.

    Args:
        model: With plain weights.
        also_float: See QuantizeOptions.float_nodes.

    Raises:
        QuantizationError: a graph without the heads of ``gam-depth-train export``.
    """
    heads = [node for node in model.graph.node if len(node.input) > 1 and _HEAD in node.input[1]]
    if not heads:
        raise QuantizationError(
            "got a graph without heads, expected one written by `gam-depth-train export`; export "
            "the model again"
        )
    maker = {output: node for node in model.graph.node for output in node.output}
    waiting = [name for head in heads for name in head.input]
    found: dict[str, onnx.NodeProto] = {}
    while waiting:
        node = maker.get(waiting.pop())
        if node is not None and node.name not in found:
            found[node.name] = node
            waiting.extend(node.input)
    chosen = {**found, **{head.name: head for head in heads}}
    float_parts = ("disparity_head", "sigma_head", "joined_head", *also_float)
    return [
        name
        for name, node in chosen.items()
        if node.op_type in OPERATORS
        and not any(part in given for given in node.input for part in float_parts)
    ]
