"""What the network says about a picture, at the picture's size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.model_calibration import relative_depth
from gam_depth_ros.core.model_spec import ModelSpec, NetworkOutput
from gam_depth_ros.core.preprocessing import to_image_size


@dataclass(frozen=True)
class Prediction:
    """A network output at image size. What was not asked for is an empty 0×0 array.

    Attributes:
        depth: H×W float32, up to scale, positive.
        sigma_log: H×W float32, calibrated half-width of the 68.3 % interval of log depth.
        labels: H×W uint8 ids.
        label_confidence: H×W float32, 0 to 1, calibrated share of right labels.
    """

    depth: npt.NDArray[np.float32]
    sigma_log: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    label_confidence: npt.NDArray[np.float32]


def empty_float() -> npt.NDArray[np.float32]:
    """Return the 0×0 float32 array that stands for a quantity that was not asked for."""
    return np.empty((0, 0), np.float32)


def empty_ids() -> npt.NDArray[np.uint8]:
    """Return the 0×0 uint8 array that stands for ids that were not asked for."""
    return np.empty((0, 0), np.uint8)


def calibrated(output: NetworkOutput, spec: ModelSpec, sigma_gain: float = 1.0) -> NetworkOutput:
    """Return the output with sigma and confidence that mean what they say.

    At the network's size, where it costs a fraction of what it would at the picture's.

    Args:
        output: One inference, h×w arrays.
        spec: The model's contract, which carries both calibrations.
        sigma_gain: Factor on the calibrated sigma, learnt on the run.

    Returns:
        The same depth and labels; ``sigma`` is the half-width of the 68.3 % interval of log depth
        without the scale's part, ``label_confidence`` the share of right labels to expect.
    """
    half_width = spec.sigma_calibration.half_width(output.sigma, relative_depth(output.depth))
    return replace(
        output,
        sigma=half_width if sigma_gain == 1.0 else half_width * np.float32(sigma_gain),
        label_confidence=spec.confidence_calibration.calibrated(output.label_confidence),
    )


def predict(
    output: NetworkOutput,
    size_hw: tuple[int, int],
    *,
    depth: bool = True,
    sigma: bool = True,
    labels: bool = True,
    confidence: bool = True,
) -> Prediction:
    """Bring a calibrated network output to the picture's size.

    Args:
        output: From :func:`calibrated`.
        size_hw: Height and width of the picture, pixels.
        depth: Whether depth is wanted.
        sigma: Whether sigma is wanted.
        labels: Whether labels are wanted.
        confidence: Whether the labels' confidence is wanted.
    """
    return Prediction(
        depth=to_image_size(output.depth, size_hw) if depth else empty_float(),
        sigma_log=to_image_size(output.sigma, size_hw) if sigma else empty_float(),
        labels=to_image_size(output.label, size_hw, nearest=True) if labels else empty_ids(),
        label_confidence=(
            to_image_size(output.label_confidence, size_hw) if confidence else empty_float()
        ),
    )


def unfiltered(
    answer: NetworkOutput, output: NetworkOutput, prediction: Prediction
) -> npt.NDArray[np.float32]:
    """Return the network's own depth at the picture's size.

    Args:
        answer: What the network said.
        output: The same after the filter over time.
        prediction: ``output`` at the picture's size, with depth; where nothing was filtered, its
            depth is what is returned.
    """
    if output.depth is answer.depth:
        return prediction.depth
    height, width = prediction.depth.shape
    return to_image_size(answer.depth, (height, width))
