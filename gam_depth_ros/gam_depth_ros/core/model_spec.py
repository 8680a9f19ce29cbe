"""The network's contract, carried as JSON inside the ONNX file.

Whoever exports a model writes a :class:`ModelSpec`; whoever loads one checks it, so a file from
another project, another version or a broken export is refused with one clear line at configure.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.labels import LabelSet
from gam_depth_ros.core.model_calibration import ConfidenceCalibration, SigmaCalibration
from gam_depth_ros.core.model_statistics import ModelStatistics

__all__ = [
    "FORMAT_VERSION",
    "INPUT_NAME",
    "METADATA_KEY",
    "OPTIONAL_OUTPUTS",
    "REQUIRED_OUTPUTS",
    "ConfidenceCalibration",
    "ModelContractError",
    "ModelSpec",
    "NetworkOutput",
    "SigmaCalibration",
]

METADATA_KEY = "gam_depth_model_spec"
FORMAT_VERSION = 1
INPUT_NAME = "image"
REQUIRED_OUTPUTS = ("depth", "sigma", "label", "label_confidence")
OPTIONAL_OUTPUTS = ("features",)
MAX_INPUT_SIDE_PX = 8192  # a file cannot ask for more than this at warm-up


class ModelContractError(ValueError):
    """A model file does not keep the contract. The message is one line: got, expected, remedy."""


@dataclass(frozen=True)
class NetworkOutput:
    """What one inference returns, at network input size.

    Attributes:
        depth: H×W float32, up to scale, positive.
        sigma: H×W float32, half-width of the 68.3 % interval of log depth, before calibration.
        label: H×W uint8 ids.
        label_confidence: H×W float32, 0 to 1, before calibration.
        features: C float32 pooled features, None where the model gives none.
    """

    depth: npt.NDArray[np.float32]
    sigma: npt.NDArray[np.float32]
    label: npt.NDArray[np.uint8]
    label_confidence: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class ModelSpec:
    """The contract of one model file.

    Attributes:
        name: Model name, for example ``gam-depth-r18``.
        input_size_hw: Height and width of the network input, pixels.
        labels: The label set of the ``label`` output.
        depth_range: Smallest and largest value the ``depth`` output can take.
        sigma_calibration: From ``sigma`` to intervals.
        confidence_calibration: From ``label_confidence`` to the share of right labels.
        training: Provenance: config hash, data, commit, command, date.
        licence: SPDX identifier or a line on terms.
        outputs: Output names present in the file.
        format_version: Version of this contract.
        statistics: The training reference for frame health and drift; None in files without.
    """

    name: str
    input_size_hw: tuple[int, int]
    labels: LabelSet
    depth_range: tuple[float, float] = (0.1, 10.0)
    sigma_calibration: SigmaCalibration = field(default_factory=SigmaCalibration)
    training: dict[str, str] = field(default_factory=dict)
    licence: str = "Apache-2.0"
    outputs: tuple[str, ...] = REQUIRED_OUTPUTS
    format_version: int = FORMAT_VERSION
    statistics: ModelStatistics | None = None
    confidence_calibration: ConfidenceCalibration = field(default_factory=ConfidenceCalibration)

    def to_json(self) -> str:
        """Return the spec as the JSON text stored under ``METADATA_KEY``."""
        return json.dumps(
            {
                "format_version": self.format_version,
                "name": self.name,
                "input_size_hw": list(self.input_size_hw),
                "outputs": list(self.outputs),
                "depth_range": list(self.depth_range),
                "labels": self.labels.to_json(),
                "sigma_calibration": self.sigma_calibration.to_json(),
                "training": self.training,
                "licence": self.licence,
                # Left out where there are none, so that older releases read the same text.
                **(
                    {"confidence_calibration": self.confidence_calibration.to_json()}
                    if self.confidence_calibration.share
                    else {}
                ),
                **({} if self.statistics is None else {"statistics": self.statistics.to_json()}),
            },
            sort_keys=True,
        )

    @staticmethod
    def from_json(text: str) -> ModelSpec:
        """Read and check the stored JSON.

        Raises:
            ModelContractError: not JSON, unknown version, or a field missing or malformed.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:  # a number or a nesting beyond Python's own
            raise ModelContractError(
                f"model spec: got text that is not JSON ({error}), expected the JSON written by "
                "`gam-depth-train export`; export the model again"
            ) from error
        if not isinstance(data, dict):
            raise ModelContractError(
                f"model spec: got a JSON {type(data).__name__}, expected an object; "
                "export the model again"
            )
        version = data.get("format_version")
        if type(version) is not int or version != FORMAT_VERSION:
            raise ModelContractError(
                f"model spec: got format version {version!r}, expected {FORMAT_VERSION}; "
                "export the model again with this release, or install the release that wrote it"
            )
        try:
            return _spec_from(data)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ModelContractError(
                f"model spec: got {error!r} while reading it, expected every field of format "
                f"version {FORMAT_VERSION}; export the model again"
            ) from error


def _spec_from(data: dict[str, Any]) -> ModelSpec:
    height, width = (int(value) for value in data["input_size_hw"])
    if not (0 < height <= MAX_INPUT_SIDE_PX and 0 < width <= MAX_INPUT_SIDE_PX):
        raise ValueError(f"input size {height}x{width}")
    outputs = tuple(str(name) for name in data["outputs"])
    if not set(REQUIRED_OUTPUTS) <= set(outputs):
        raise ValueError(f"outputs {', '.join(outputs)} without all of {REQUIRED_OUTPUTS}")
    low, high = (float(value) for value in data["depth_range"])
    if not 0.0 < low < high < math.inf:
        raise ValueError(f"depth range {low} to {high}")
    statistics = data.get("statistics")
    return ModelSpec(
        name=str(data["name"]),
        input_size_hw=(height, width),
        labels=LabelSet.from_json(data["labels"]),
        depth_range=(low, high),
        sigma_calibration=SigmaCalibration.from_json(data["sigma_calibration"]),
        training={str(key): str(value) for key, value in data["training"].items()},
        licence=str(data["licence"]),
        outputs=outputs,
        format_version=int(data["format_version"]),
        statistics=None if statistics is None else ModelStatistics.from_json(statistics),
        confidence_calibration=ConfidenceCalibration.from_json(data.get("confidence_calibration")),
    )
