"""Biases that take back what 8 bits shift.

Rounded kernels shift the mean of what a convolution gives, and every later one builds on it. So
each channel's mean over pictures is brought back to that of the float network, layer by layer in
the order of the graph: a later layer sees the earlier ones corrected. It costs nothing to run.

Nagel et al., Data-Free Quantization through Weight Equalization and Bias Correction, 2019, section
4.2; with pictures in place of batch statistics, as in their appendix D.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from gam_depth_ros.core.model_spec import INPUT_NAME

Batches = Sequence[npt.NDArray[np.uint8]]
Means = dict[str, npt.NDArray[np.float64]]
Step = Callable[[int, int], None]


def correct_biases(
    plain: onnx.ModelProto,
    quantized: onnx.ModelProto,
    batches: Batches,
    on_step: Step | None = None,
) -> onnx.ModelProto:
    """Return a copy of a quantised model whose convolutions give the float model's means.

    Args:
        plain: The model in float, with plain weights.
        quantized: The same in 8 bits (QDQ), its nodes under the same names. Convolutions that
            stayed in float are corrected too: what they read has shifted.
        batches: Inputs, 1×H×W×3 uint8.
        on_step: Told after each convolution how many are done, and of how many.

    Raises:
        ValueError: a convolution without its counterpart or without a bias.
    """
    corrected = onnx.ModelProto()
    corrected.CopyFrom(quantized)
    before = {node.name: node.output[0] for node in _convolutions(plain)}
    nodes = _convolutions(corrected)
    strange = [node.name for node in nodes if node.name not in before or len(node.input) < 3]
    if strange:
        raise ValueError(
            f"got convolutions {strange} without a bias or a counterpart in float, expected a "
            "model quantised from the float one; export and quantise it again"
        )
    wanted = channel_means(plain, [before[node.name] for node in nodes], batches)
    for done, node in enumerate(nodes, start=1):
        found = channel_means(corrected, [node.output[0]], batches)[node.output[0]]
        _shift(corrected, node, wanted[before[node.name]] - found)
        if on_step is not None:
            on_step(done, len(nodes))
    return corrected


def channel_means(model: onnx.ModelProto, names: Sequence[str], batches: Batches) -> Means:
    """Return the mean of each channel of the named 1×C×h×w tensors over all batches."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    known = {one.name for one in opened.graph.output}
    kind = onnx.TensorProto.FLOAT
    opened.graph.output.extend(
        helper.make_tensor_value_info(name, kind, None) for name in names if name not in known
    )
    session = onnxruntime.InferenceSession(
        opened.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    sums: Means = {}
    for batch in batches:
        for name, value in zip(names, session.run(list(names), {INPUT_NAME: batch}), strict=True):
            sums[name] = sums.get(name, 0.0) + value.mean(axis=(0, 2, 3), dtype=np.float64)
    return {name: total / len(batches) for name, total in sums.items()}


def _convolutions(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the convolutions in the order of the graph, which is one of computing."""
    return [node for node in model.graph.node if node.op_type == "Conv"]


def _shift(model: onnx.ModelProto, node: onnx.NodeProto, shift: npt.NDArray[np.float64]) -> None:
    """Add to a convolution's bias, in whole steps where it is stored in steps."""
    stored = {one.name: one for one in model.graph.initializer}
    maker = {output: one for one in model.graph.node for output in one.output}
    name, step = node.input[2], np.float64(1.0)
    if name in maker:  # behind a DequantizeLinear: int32 in steps of its scale
        name, scale = maker[name].input[0], maker[name].input[1]
        step = numpy_helper.to_array(stored[scale]).astype(np.float64)
    bias = numpy_helper.to_array(stored[name])
    moved = bias + shift / step
    if np.issubdtype(bias.dtype, np.integer):
        limits = np.iinfo(bias.dtype)
        moved = np.clip(np.rint(moved), limits.min, limits.max)
    stored[name].CopyFrom(numpy_helper.from_array(moved.astype(bias.dtype), name))
