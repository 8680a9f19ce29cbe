"""Any ONNX or TorchScript segmenter as ProxySegNet, described by a small YAML file.

Example:
    model: my_segmenter.onnx       # beside this file; another suffix: TorchScript
    input_size_hw: [512, 512]      # left out: the picture's own size
    channel_order: rgb             # or bgr
    scale: 255                     # pictures are divided by this, then normalised
    mean: [0.485, 0.456, 0.406]
    std: [0.229, 0.224, 0.225]
    output: logits                 # or probabilities, or labels (ids, without confidence)
    output_name: logits            # ONNX: left out takes the first; TorchScript: a key, if a dict
    label_map: nyu40_to_nyu13      # or same, or a list: the id that each of its ids becomes
    ignore: 255                    # an id of the segmenter that carries no label
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.core.model_file import read_model_file
from gam_depth_training.config import read_yaml
from gam_depth_training.file_digest import file_digest
from gam_depth_training.label_maps import LabelMap, label_map
from gam_depth_training.proxy_labels import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Confidence,
    Labels,
    labels_of_scores,
)
from gam_depth_training.video_batch import IGNORED_LABEL

OUTPUTS = ("logits", "probabilities", "labels")


@dataclass(frozen=True)
class SegmenterSpec:
    """What has to be known of a segmenter to run it; see the example in the module's docstring.

    Attributes:
        model: Model file.
        input_size_hw: Height and width of its input; None takes the picture's.
        channel_order: ``rgb`` or ``bgr``.
        scale: Divisor of the 8-bit values.
        mean: Subtracted from the divided values, in the channel order.
        std: Divides them then.
        output: What it returns: 1×C×h×w ``logits`` or ``probabilities``, or 1×h×w ``labels``.
        output_name: Which of several outputs; None takes the first.
        label_map: ``same``, ``nyu40_to_nyu13``, or the id that each of its ids becomes.
        ignore: Its id of pixels without a label.
        classes: Classes after a label map given as a list.
    """

    model: Path
    input_size_hw: tuple[int, int] | None = None
    channel_order: str = "rgb"
    scale: float = 255.0
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    output: str = "logits"
    output_name: str | None = None
    label_map: str | tuple[int, ...] = "nyu40_to_nyu13"
    ignore: int | None = None
    classes: int = len(NYU13)

    def __post_init__(self) -> None:
        if self.channel_order not in ("rgb", "bgr"):
            raise ValueError(f"channel_order: got '{self.channel_order}', expected rgb or bgr")
        if self.output not in OUTPUTS:
            raise ValueError(f"output: got '{self.output}', expected one of {', '.join(OUTPUTS)}")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(self.std) or not self.scale:
            raise ValueError("mean, std, scale: expected three values each, std and scale not zero")

    def mapping(self, source_classes: int) -> LabelMap:
        """Return the label map for a segmenter of so many classes, 0 where unknown."""
        if isinstance(self.label_map, str):
            return label_map(self.label_map, source_classes, self.ignore)
        ids = [IGNORED_LABEL if own == self.ignore else i for own, i in enumerate(self.label_map)]
        return LabelMap("from the segmenter file", tuple(ids), self.classes)


def read_segmenter_file(path: Path) -> SegmenterSpec:
    """Read a description.

    Raises:
        ValueError: One line naming the file, the key and what was expected.
    """
    data = read_yaml(path, "a YAML file that describes a segmenter")
    known = [entry.name for entry in dataclasses.fields(SegmenterSpec)]
    unknown = sorted(set(data) - set(known)) if isinstance(data, dict) else []
    if not isinstance(data, dict) or "model" not in data or unknown:
        got = f"unknown key '{unknown[0]}'" if unknown else "no key 'model'"
        raise ValueError(f"{path}: got {got}, expected model and any of {', '.join(known[1:])}")
    try:
        values = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
        return SegmenterSpec(**{**values, "model": path.parent / str(values["model"])})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


class CustomSegmenter:
    """A segmenter that a file describes.

    Args:
        spec: The description.

    Raises:
        ValueError: The model is missing or cannot be loaded.
    """

    def __init__(self, spec: SegmenterSpec) -> None:
        self._spec = spec
        self._network = _load(spec)
        self.name = spec.model.name
        described = {**dataclasses.asdict(spec), "model": file_digest(spec.model)}
        self.digest = repr(sorted(described.items()))
        self.classes = spec.mapping(0).classes

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> tuple[Labels, Confidence]:
        """See Segmenter.

        Raises:
            ValueError: An output of another shape than described.
        """
        spec = self._spec
        output = self._network(_network_input(rgb, spec))
        wanted = 3 if spec.output == "labels" else 4
        if output.ndim == wanted + 1 and output.shape[1] == 1 and spec.output == "labels":
            output = output[:, 0]
        if output.ndim != wanted or len(output) != 1:
            raise ValueError(
                f"{spec.model}: got an output {output.shape}, expected "
                f"{'1×h×w' if wanted == 3 else '1×classes×h×w'} for '{spec.output}'; change output "
                "or output_name"
            )
        size = (rgb.shape[1], rgb.shape[0])
        if spec.output == "labels":
            # Many give a void of -1 or beyond 8 bits: it must not become a class at either end.
            known = (output[0] >= 0) & (output[0] < IGNORED_LABEL)
            ids = np.where(known, output[0], IGNORED_LABEL).astype(np.uint8)
            ids = cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST_EXACT)
            labels = spec.mapping(0).table()[ids]
            return labels, np.ones(labels.shape, np.float32)
        scores = np.stack([cv2.resize(one, size) for one in output[0].astype(np.float32)])
        if spec.output == "logits":
            scores = np.exp(scores - scores.max(axis=0))
            scores /= scores.sum(axis=0)
        return labels_of_scores(scores, spec.mapping(len(scores)))


class _Network(Protocol):
    def __call__(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]: ...


def _network_input(rgb: npt.NDArray[np.uint8], spec: SegmenterSpec) -> npt.NDArray[np.float32]:
    """H×W×3 uint8 → 1×3×h×w float32 as the segmenter was trained."""
    image = rgb
    if spec.input_size_hw is not None:
        height, width = spec.input_size_hw
        image = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    if spec.channel_order == "bgr":
        image = image[..., ::-1]
    values = (image / np.float32(spec.scale) - np.float32(spec.mean)) / np.float32(spec.std)
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None], np.float32)


def _load(spec: SegmenterSpec) -> _Network:
    """Return a function from input to output."""
    if not spec.model.is_file():
        raise ValueError(f"{spec.model}: got no file, expected the model; correct its path")
    return _load_onnx(spec) if spec.model.suffix == ".onnx" else _load_torchscript(spec)


def _load_onnx(spec: SegmenterSpec) -> _Network:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            read_model_file(spec.model).data, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's own classes share no other base
        raise ValueError(
            f"{spec.model}: got '{' '.join(str(error).split())[:200]}' from ONNX Runtime, expected "
            "a model that it can load"
        ) from error
    names = [output.name for output in session.get_outputs()]
    name = spec.output_name or names[0]
    if name not in names:
        raise ValueError(f"{spec.model}: got outputs {names}, expected '{name}' among them")
    entry = session.get_inputs()[0].name
    return lambda batch: np.asarray(session.run([name], {entry: batch})[0])


def _load_torchscript(spec: SegmenterSpec) -> _Network:
    try:
        network = torch.jit.load(str(spec.model), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{spec.model}: got '{' '.join(str(error).split())[:200]}', expected .onnx or a "
            "TorchScript file; export the network with torch.onnx.export or torch.jit.save"
        ) from error

    def run(batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        with torch.inference_mode():
            output = network(torch.from_numpy(batch))
        if isinstance(output, Mapping):
            output = output[spec.output_name] if spec.output_name else next(iter(output.values()))
        elif isinstance(output, (tuple, list)):
            output = output[0]
        return output.numpy()

    return run
