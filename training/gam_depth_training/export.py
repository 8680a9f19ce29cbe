"""From trained weights to the ONNX file that the robot loads, checked against the network.

The file takes raw uint8 RGB and gives depth, sigma, label and confidence: normalisation, argmax
and softmax are inside. It carries its ModelSpec, and its weights are stored in 8 bits.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.model_spec import (
    INPUT_NAME,
    METADATA_KEY,
    OPTIONAL_OUTPUTS,
    REQUIRED_OUTPUTS,
    ModelSpec,
)
from gam_depth_training.edge_encoder import RepBlock
from gam_depth_training.model_metadata import write_model_file
from gam_depth_training.network_shape import SHAPE_METADATA_KEY
from gam_depth_training.networks import LAPLACE_68, JointNetwork, repeated
from gam_depth_training.weight_rounding import round_to_int8

logger = logging.getLogger(__name__)

OPSET = 18
OUTPUTS = REQUIRED_OUTPUTS + OPTIONAL_OUTPUTS
# Rounding in 8 bits moves depth; one per cent of it is far below what the network itself errs.
MAX_MEDIAN_DEPTH_CHANGE = 0.01
MIN_LABEL_AGREEMENT = 0.97


class ExportError(RuntimeError):
    """The exported file does not answer as the network does; it is not written."""


class DeployedNetwork(nn.Module):
    """The network as the contract wants it: uint8 N×H×W×3 in, contract outputs out."""

    def __init__(self, network: JointNetwork) -> None:
        super().__init__()
        self.network = network

    @staticmethod
    def of(network: JointNetwork) -> DeployedNetwork:
        """Return a network as it is exported: folded, in evaluation mode."""
        fused = fuse_batch_norm(network)
        fused.join_heads()
        return DeployedNetwork(fused).eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return depth, sigma, label, label_confidence (N×H×W each) and features (N×C)."""
        # (x / 255 - 0.45) / 0.225 in one step.
        normalised = image.permute(0, 3, 1, 2).float() * (1.0 / (255.0 * 0.225)) - 2.0
        answer = self.network.answer(self.network.encoder.encode(normalised))
        shape = self.network.shape
        # What is computed at a lower resolution is finished there, and only then repeated.
        sigma = repeated(LAPLACE_68 * answer.log_b.exp(), shape.depth_stride)
        highest, label = answer.logits.max(1, keepdim=True)
        # The highest class's share of the softmax, without the others'.
        confidence = 1.0 / (answer.logits - highest).exp().sum(1, keepdim=True)
        return (
            answer.depth[:, 0],
            sigma[:, 0],
            repeated(label.to(torch.uint8), shape.score_stride)[:, 0],
            repeated(confidence, shape.score_stride)[:, 0],
            answer.features,
        )


@dataclass(frozen=True)
class ParityReport:
    """How the written file differs from the network, over the check pictures.

    Attributes:
        median_depth_change: Median of |log depth(file) − log depth(network)|.
        max_depth_change: Its maximum.
        label_agreement: Share of pixels with the same label.
        size_bytes: Size of the file.
    """

    median_depth_change: float
    max_depth_change: float
    label_agreement: float
    size_bytes: int


def export_onnx(
    network: JointNetwork, spec: ModelSpec, path: Path, pictures: np.ndarray
) -> ParityReport:
    """Write ``path`` and check it.

    Args:
        network: Trained network.
        spec: The contract to carry; its ``outputs`` are set here.
        path: Where to write; replaced only when the check passes.
        pictures: N×H×W×3 uint8 at the spec's input size, for the check.

    Raises:
        ExportError: the file's answers differ from the network's by more than allowed.
    """
    deployed = DeployedNetwork.of(network)
    with TemporaryDirectory() as folder:
        candidate = Path(folder) / "candidate.onnx"
        export_plain(deployed, spec, candidate, compress=True)
        report = check_parity(deployed, candidate, pictures)
        if (
            report.median_depth_change > MAX_MEDIAN_DEPTH_CHANGE
            or report.label_agreement < MIN_LABEL_AGREEMENT
        ):
            raise ExportError(
                f"{path.name}: got a median depth change of {report.median_depth_change:.2%} and "
                f"{report.label_agreement:.1%} equal labels against the network, expected at most "
                f"{MAX_MEDIAN_DEPTH_CHANGE:.0%} and at least {MIN_LABEL_AGREEMENT:.0%}; nothing "
                "was written"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(candidate.read_bytes())
        partial.replace(path)
    return report


def export_plain(
    deployed: DeployedNetwork, spec: ModelSpec, path: Path, compress: bool = False
) -> None:
    """Write a model file unchecked.

    Args:
        deployed: What it computes.
        spec: The contract to carry; its ``outputs`` are set here.
        path: File to write.
        compress: Whether weights are stored in 8 bits, see compress_weights.
    """
    _trace(deployed, spec.input_size_hw, path)
    model = onnx.load(str(path))
    model = forget_machine(compress_weights(model) if compress else model)
    model.producer_name = "gam_depth_training"
    onnx.checker.check_model(model)
    metadata = {
        METADATA_KEY: replace(spec, outputs=OUTPUTS).to_json(),
        SHAPE_METADATA_KEY: deployed.network.shape.to_json(),
    }
    write_model_file(model, metadata, path)


def _trace(deployed: DeployedNetwork, size_hw: tuple[int, int], path: Path) -> None:
    example = torch.zeros(1, *size_hw, 3, dtype=torch.uint8)
    torch.onnx.export(
        deployed,
        (example,),
        str(path),
        input_names=[INPUT_NAME],
        output_names=list(OUTPUTS),
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def fuse_batch_norm(network: JointNetwork) -> JointNetwork:
    """Return a copy in evaluation mode with every batch norm folded into its convolution."""
    fused = copy.deepcopy(network).eval()
    for block in [module for module in fused.modules() if isinstance(module, RepBlock)]:
        block.fold()
    for module in fused.modules():
        for conv_name, norm_name in (("conv1", "bn1"), ("conv2", "bn2"), ("conv", "bn")):
            if isinstance(getattr(module, norm_name, None), nn.BatchNorm2d):
                conv = fuse_conv_bn_eval(getattr(module, conv_name), getattr(module, norm_name))
                setattr(module, conv_name, conv)
                setattr(module, norm_name, nn.Identity())
        shortcut = getattr(module, "downsample", None)
        if isinstance(shortcut, nn.Sequential):
            module.downsample = nn.Sequential(fuse_conv_bn_eval(shortcut[0], shortcut[1]))
    return fused


def forget_machine(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove what the tracer noted of the machine it ran on: stack traces with their paths."""
    for noted in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del noted.metadata_props[:]
        noted.doc_string = ""
    del model.graph.value_info[:]
    return model


def compress_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store convolution weights as int8 with one scale per output channel, see round_to_int8.

    A Cast and a Mul restore float32; ONNX Runtime folds both when it loads the file, so running
    costs nothing and needs no int8 kernels.
    """
    weights = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    added: list[onnx.NodeProto] = []
    for initializer in list(model.graph.initializer):
        if initializer.name not in weights:
            continue
        values = numpy_helper.to_array(initializer).astype(np.float32)
        steps, scale = round_to_int8(values)
        name = initializer.name
        model.graph.initializer.remove(initializer)
        model.graph.initializer.extend(
            [
                numpy_helper.from_array(steps, f"{name}_int8"),
                numpy_helper.from_array(scale, f"{name}_scale"),
            ]
        )
        added.append(
            helper.make_node("Cast", [f"{name}_int8"], [f"{name}_cast"], to=TensorProto.FLOAT)
        )
        added.append(helper.make_node("Mul", [f"{name}_cast", f"{name}_scale"], [name]))
    nodes = added + list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def check_parity(deployed: DeployedNetwork, path: Path, pictures: np.ndarray) -> ParityReport:
    """Compare the file, run as the robot runs it, with the network in PyTorch."""
    engine = OnnxEngine(path, EngineConfig(warmup_runs=0))
    changes, agreements = [], []
    for picture in pictures:
        batch = np.ascontiguousarray(picture[None])
        with torch.no_grad():
            depth, _, label, _, _ = (t.numpy()[0] for t in deployed(torch.from_numpy(batch)))
        output = engine.run(batch)
        changes.append(np.abs(np.log(output.depth) - np.log(depth)))
        agreements.append(float((output.label == label).mean()))
    change = np.stack(changes)
    return ParityReport(
        median_depth_change=float(np.median(change)),
        max_depth_change=float(change.max()),
        label_agreement=float(np.mean(agreements)),
        size_bytes=path.stat().st_size,
    )
