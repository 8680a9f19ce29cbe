"""Loss terms as pure functions on tensors.

Shapes are B×1×H×W unless said; masks are boolean, True where the truth is known.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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


def laplace_nll(residual: Tensor, log_b: Tensor, mask: Tensor) -> Tensor:
    """Negative log likelihood of a Laplace distribution, without its constant.

    Args:
        residual: Log-depth residual.
        log_b: Natural logarithm of the distribution's scale b.
        mask: Pixels with truth.
    """
    return masked_mean(residual.abs() * torch.exp(-log_b) + log_b, mask)


def semantic_cross_entropy(logits: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """Cross-entropy of B×C×H×W scores (before softmax) with B×H×W int64 labels.

    Pixels labelled ``ignore_index`` do not count; a batch of only those gives 0, not NaN.
    """
    total = functional.cross_entropy(logits, labels, ignore_index=ignore_index, reduction="sum")
    return total / (labels != ignore_index).sum().clamp(min=1)
