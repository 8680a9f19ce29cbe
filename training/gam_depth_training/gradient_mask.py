"""Where the photometric error is worth looking at: the gradient-aware mask and its rivals.

The paper's mask (eq. 5 and 6) is a logistic curve over the Sobel magnitude with fixed constants;
the adaptive one sets the curve by each picture's own magnitudes. Both are for the unjittered
target. Arrays and tensors are taken alike.
"""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Values = TypeVar("Values", NDArray[np.float64], Tensor)

# Share of the pixels that stay below the adaptive mask's middle, in every picture.
ADAPTIVE_SHARE = 0.9
# Slope of the adaptive curve per unit of relative magnitude: at no gradient it is 2 % up.
ADAPTIVE_STEEPNESS = 4.0
# A grey step of 4 levels: below this a picture's gradients are sensor noise, not edges.
ADAPTIVE_LEAST_MAGNITUDE = 10.0


def gradient_magnitude(
    rgb_uint8: NDArray[np.uint8], swapped_grey_weights: bool = False
) -> NDArray[np.float64]:
    """Sobel magnitude of a smoothed grey picture on the 0–255 scale (paper eq. 5).

    Grey, 5×5 binomial blur, 3×3 Sobel in x and y without normalisation, borders mirrored about
    their pixel: a step of A grey levels gives about 2.5·A. The paper names the Sobel filter alone;
    blur, scale and borders are its code's, on which the constants of eq. 6 depend.

    Args:
        rgb_uint8: H×W×3 uint8 at the size of the loss.
        swapped_grey_weights: The official code's 0.114 R + 0.587 G + 0.299 B.

    Returns:
        1×H×W float64, 0 or more.

    Raises:
        ValueError: not an H×W×3 uint8 picture.
    """
    if rgb_uint8.dtype != np.uint8 or rgb_uint8.ndim != 3 or rgb_uint8.shape[2] != 3:
        raise ValueError(
            f"got {rgb_uint8.dtype} of shape {rgb_uint8.shape}, expected H×W×3 uint8; convert "
            "the picture to 8-bit RGB"
        )
    code = cv2.COLOR_BGR2GRAY if swapped_grey_weights else cv2.COLOR_RGB2GRAY
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb_uint8, code), (5, 5), 0)
    gx = cv2.Sobel(grey, cv2.CV_64F, 1, 0, ksize=3)
    gy = cv2.Sobel(grey, cv2.CV_64F, 0, 1, ksize=3)
    return np.hypot(gx, gy)[None]


def gradient_aware_mask(
    magnitude: Values, beta: float = 0.1, gamma1: float = 0.1, gamma2: float = 40.0
) -> Values:
    """The paper's mask β + (1 − β)/(1 + exp(−γ₁·m + γ₂)), in [β, 1] (eq. 6).

    Args:
        magnitude: Sobel magnitude, 0–255 scale, any shape.
        beta: Weight where nothing changes.
        gamma1: Steepness.
        gamma2: Threshold: the curve is half-way at m = γ₂/γ₁ = 400.
    """
    return beta + (1.0 - beta) * _sigmoid(gamma1 * magnitude - gamma2)


def adaptive_gradient_mask(
    magnitude: Values,
    beta: float = 0.1,
    share: float = ADAPTIVE_SHARE,
    steepness: float = ADAPTIVE_STEEPNESS,
    least_magnitude: float = ADAPTIVE_LEAST_MAGNITUDE,
) -> Values:
    """A mask that stands out at the same share of the pixels in any picture, in [β, 1].

    The magnitude is divided by the picture's own quantile ``q``; the same logistic curve is
    half-way there: β + (1 − β)/(1 + exp(−s·(m/q − 1))). Multiplying all gradients of a picture
    by one factor (contrast, exposure) changes nothing. Ours, not the paper's.

    Args:
        magnitude: Sobel magnitude, 0–255 scale, ...×H×W; each H×W is a picture.
        beta: Weight far below the quantile.
        share: Share of the pixels below the half-way point.
        steepness: Slope s of the curve per relative magnitude.
        least_magnitude: Least ``q``, so that a blank picture keeps a flat, low mask.
    """
    reference = _quantile(magnitude, share).clip(least_magnitude)
    return beta + (1.0 - beta) * _sigmoid(steepness * (magnitude / reference - 1.0))


def _sigmoid(values: Values) -> Values:
    """1/(1 + exp(−x)) without overflow."""
    if isinstance(values, Tensor):
        return torch.sigmoid(values)
    return 0.5 + 0.5 * np.tanh(0.5 * values)


def _quantile(values: Values, share: float) -> Values:
    """The value per H×W below which ``share`` of its values lie, ...×1×1; no interpolation."""
    flat = values.reshape(*values.shape[:-2], 1, -1)
    rank = min(int(share * flat.shape[-1]), flat.shape[-1] - 1)
    if isinstance(flat, Tensor):
        return flat.kthvalue(rank + 1, dim=-1, keepdim=True).values
    return np.partition(flat, rank, axis=-1)[..., rank : rank + 1]


def weighted_photometric(
    minimum: Tensor, mask: Tensor, factor: float = 10.0, batch_broadcasting: bool = False
) -> Tensor:
    """Mean of factor·mask·minimum, a scalar (paper eq. 4; the published code has factor 10).

    With the paper's mask near its floor of 0.1 this is close to the plain mean of the minimum.

    Args:
        minimum: Least photometric error over the sources, B×1×H×W.
        mask: Weight per pixel, B×1×H×W; taken in the type of ``minimum``, so that a float64 mask
            does not make the loss float64.
        factor: Constant factor.
        batch_broadcasting: The official code's mean over all pairs of one picture's error and
            another's mask.
    """
    mask = mask.to(minimum.dtype)
    if batch_broadcasting:
        # The mean over pairs of a product is the product of the means over the batch.
        return factor * (mask.mean(0) * minimum.mean(0)).mean()
    return factor * (mask * minimum).mean()


def keypoint_photometric(minimum: Tensor, keypoints: Tensor) -> Tensor:
    """Mean of the minimum at the key points, a scalar; 0, not NaN, where there are none.

    Args:
        minimum: Least photometric error over the sources, B×1×H×W.
        keypoints: B×1×H×W, 1 at key points, 0 elsewhere.
    """
    weight = keypoints.to(minimum.dtype)
    return (minimum * weight).sum() / weight.sum().clamp(min=1.0)
