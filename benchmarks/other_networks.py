"""Layouts of other projects with random weights, for timing alone; `transformers` builds them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

CLASSES = 13

class OtherNetworkError(RuntimeError):
    """A network of another project cannot be built here; the message says why."""


class _FirstOutput(nn.Module):
    """Gives a model's one answer as a tensor, as tracing wants it."""

    def __init__(self, model: nn.Module, answer: str) -> None:
        super().__init__()
        self.model = model
        self.answer = answer

    def forward(self, pixels: Tensor) -> Tensor:
        found: Tensor = getattr(self.model(pixel_values=pixels), self.answer)
        return found


def export_other(name: str, side: int, path: Path) -> None:
    """Write a network's ONNX file: 1×3×side×side float in.

    Raises:
        OtherNetworkError: `transformers` is missing, or the network is unknown.
    """
    try:
        import transformers
    except ImportError as error:
        raise OtherNetworkError(
            f"got '{error}', expected transformers; pip install -r requirements/bench.txt"
        ) from error
    torch.manual_seed(0)
    if name == "SegFormer-B0":
        # The configuration's defaults are B0's.
        config = transformers.SegformerConfig(num_labels=CLASSES)
        model = _FirstOutput(transformers.SegformerForSemanticSegmentation(config), "logits")
    elif name == "Depth Anything V2 Small":
        model = _FirstOutput(_depth_anything_small(transformers, side), "predicted_depth")
    else:
        raise OtherNetworkError(f"got network '{name}', expected one of this file's")
    torch.onnx.export(
        model.eval(),
        (torch.zeros(1, 3, side, side),),
        str(path),
        input_names=["pixels"],
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _depth_anything_small(transformers: object, side: int) -> nn.Module:
    """ViT-S/14 with the small decoder (Yang et al. 2024, Depth Anything V2)."""
    backbone = transformers.Dinov2Config(  # type: ignore[attr-defined]
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        image_size=side,
        patch_size=14,
        out_indices=[3, 6, 9, 12],
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    config = transformers.DepthAnythingConfig(  # type: ignore[attr-defined]
        backbone_config=backbone,
        patch_size=14,
        reassemble_hidden_size=384,
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_sizes=[48, 96, 192, 384],
        fusion_hidden_size=64,
        head_in_index=-1,
        head_hidden_size=32,
    )
    model: nn.Module = transformers.DepthAnythingForDepthEstimation(  # type: ignore[attr-defined]
        config
    )
    return model
