"""Loss terms as pure functions on tensors.

Shapes are B×1×H×W unless said; masks are boolean, True where the truth is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

# Stabilisers of SSIM for pictures in [0, 1]: (0.01)² and (0.03)² (Wang et al. 2004).
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2
# The published size of the noise that breaks ties between still pictures (Godard et al. 2019).
TIE_NOISE = 1e-5


def masked_median(values: Tensor, mask: Tensor) -> Tensor:
    """Return each sample's median of ``values`` where ``mask``, B×1×1×1; 0 where none is valid."""
    hidden = values.masked_fill(~mask, float("nan")).flatten(1)
    medians = torch.nanmedian(hidden, dim=1).values
    return torch.nan_to_num(medians, nan=0.0).view(-1, 1, 1, 1)


def log_depth_residual(depth: Tensor, truth: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Split log depth minus log truth into a global offset and what is left.

    Args:
        depth: Predicted depth, positive, up to scale.
        truth: True depth, any value where ``mask`` is False.
        mask: Pixels with truth.

    Returns:
        The residual after the offset is removed (0 where masked), and the offset, B×1×1×1: the
        median over the sample's pixels, as median scaling in evaluation takes it.
    """
    safe = torch.where(mask, truth, torch.ones_like(truth))
    difference = depth.log() - safe.log()
    offset = masked_median(difference, mask)
    return (difference - offset).masked_fill(~mask, 0.0), offset


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of ``values`` where ``mask``; 0, not NaN, where nothing is valid."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def gradient_matching(residual: Tensor, mask: Tensor, scales: int = 4) -> Tensor:
    """Mean absolute difference of neighbouring residuals over a pyramid.

    Zero when every edge of the log depth is as in the truth (Li & Snavely 2018, eq. 4).

    Args:
        residual: Log-depth residual, 0 where masked.
        mask: Pixels with truth.
        scales: Levels; each keeps every second row and column of the last.
    """
    total = residual.new_zeros(())
    for scale in range(scales):
        step = 2**scale
        r, m = residual[..., ::step, ::step], mask[..., ::step, ::step]
        if min(r.shape[-2:]) < 2:
            break
        total = total + masked_mean(
            (r[..., 1:] - r[..., :-1]).abs(), m[..., 1:] & m[..., :-1]
        )
        total = total + masked_mean(
            (r[..., 1:, :] - r[..., :-1, :]).abs(), m[..., 1:, :] & m[..., :-1, :]
        )
    return total / scales


def laplace_cost(residual: Tensor, log_b: Tensor) -> Tensor:
    """Negative log likelihood of a Laplace distribution per value, without its constant.

    |r|/b + ln b, least at b = |r|.

    Args:
        residual: Any shape.
        log_b: Natural logarithm of the distribution's scale b, same shape.
    """
    return residual.abs() * torch.exp(-log_b) + log_b


def laplace_nll(residual: Tensor, log_b: Tensor, mask: Tensor) -> Tensor:
    """Mean negative log likelihood of a Laplace distribution, without its constant.

    Args:
        residual: Log-depth residual.
        log_b: Natural logarithm of the distribution's scale b.
        mask: Pixels with truth.
    """
    return masked_mean(laplace_cost(residual, log_b), mask)


def semantic_cross_entropy(logits: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """Cross-entropy of B×C×H×W scores (before softmax) with B×H×W int64 labels; a scalar.

    Paper eq. 7, where prediction and proxy label stand in each other's place: taken as its code
    has them. Pixels labelled ``ignore_index`` do not count; a batch of only those gives 0, not NaN.
    """
    total = functional.cross_entropy(logits, labels, ignore_index=ignore_index, reduction="sum")
    return total / (labels != ignore_index).sum().clamp(min=1)


def ssim_dissimilarity(x: Tensor, y: Tensor) -> Tensor:
    """Structural dissimilarity (1 − SSIM)/2, clamped to [0, 1], per pixel and channel.

    Mean windows of 3×3 with reflected borders (Godard et al. 2017).

    Args:
        x: B×C×H×W in [0, 1].
        y: The other picture, the same shape.

    Returns:
        B×C×H×W, 0 where the windows are equal.
    """
    x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
    y = functional.pad(y, (1, 1, 1, 1), mode="reflect")
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x**2) - mean_x**2
    variance_y = _window_mean(y**2) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    above = (2 * mean_x * mean_y + SSIM_C1) * (2 * covariance + SSIM_C2)
    below = (mean_x**2 + mean_y**2 + SSIM_C1) * (variance_x + variance_y + SSIM_C2)
    return ((1 - above / below) / 2).clamp(0, 1)


def _window_mean(values: Tensor) -> Tensor:
    return functional.avg_pool2d(values, kernel_size=3, stride=1)


def photometric_error(reconstruction: Tensor, target: Tensor, alpha: float = 0.85) -> Tensor:
    """Weighted dissimilarity and absolute difference per pixel, B×1×H×W (paper eq. 3).

    Args:
        reconstruction: B×C×H×W in [0, 1].
        target: The picture that it should equal.
        alpha: Share of the structural dissimilarity.
    """
    structure = ssim_dissimilarity(reconstruction, target).mean(1, keepdim=True)
    difference = (reconstruction - target).abs().mean(1, keepdim=True)
    return alpha * structure + (1 - alpha) * difference


def minimum_reprojection(
    errors: Tensor | Sequence[Tensor],
    identity_errors: Tensor | Sequence[Tensor] | None = None,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Least error over the sources per pixel, B×1×H×W: what one source hides another may show.

    With identity errors the minimum runs over both sets (monodepth2's auto-mask): a pixel that
    an unwarped source explains better, as on a still camera, moves nothing.

    Args:
        errors: Photometric errors of the warped sources: B×S×H×W, or S times B×1×H×W.
        identity_errors: The same of the unwarped sources, or None for no auto-mask.
        noise: Standard deviation of noise on the identity errors that breaks ties, published as
            ``TIE_NOISE``; 0 leaves ties to the identity.
        generator: Where the noise comes from; torch's own where None.
    """
    candidates = _stacked(errors)
    if identity_errors is not None:
        identity = _stacked(identity_errors)
        if noise > 0:
            drawn = torch.randn(
                identity.shape,
                generator=generator,
                dtype=identity.dtype,
                device=identity.device if generator is None else generator.device,
            )
            identity = identity + noise * drawn.to(identity.device)
        candidates = torch.cat((identity, candidates), dim=1)
    return candidates.min(dim=1, keepdim=True).values


def _stacked(errors: Tensor | Sequence[Tensor]) -> Tensor:
    return errors if isinstance(errors, Tensor) else torch.cat(list(errors), dim=1)


def edge_aware_smoothness(disparity: Tensor, image: Tensor) -> Tensor:
    """Mean absolute slope of the disparity, less counted where the picture has edges; a scalar.

    The disparity is divided by its mean over the picture first, so that shrinking it gains
    nothing (Wang et al. 2018).

    Args:
        disparity: B×1×H×W, positive.
        image: B×C×H×W in [0, 1].
    """
    normalised = disparity / (disparity.mean((2, 3), keepdim=True) + 1e-7)
    total = disparity.new_zeros(())
    for axis in (2, 3):
        slope = normalised.diff(dim=axis).abs()
        edge = image.diff(dim=axis).abs().mean(1, keepdim=True)
        total = total + (slope * torch.exp(-edge)).mean()
    return total
