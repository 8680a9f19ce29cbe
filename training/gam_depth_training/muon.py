"""Muon, an optimiser for convolutions: each step turns a kernel by an orthogonal matrix.

From scratch it learns more from each picture than AdamW: after 4,800 synthetic ones, held-out
AbsRel was 0.351 against 0.361 and mIoU 0.118 against 0.087 (one run each, peak rates 2e-3, 3e-3).
Sources: Jordan et al. 2024 (momentum, Newton–Schulz iteration and its coefficients), Liu et al.
2025 (the scale that lets it share AdamW's learning rate).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

MOMENTUM = 0.95
ADAM_BETAS = (0.9, 0.999)
ADAM_EPS = 1e-8
# Root mean square of an AdamW update; an orthogonal one is scaled to it.
UPDATE_RMS = 0.2
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


class Muon(torch.optim.Optimizer):
    """Muon for the kernels between input and heads, AdamW for all other parameters.

    Args:
        groups: From :func:`muon_groups`, of one module or of several.
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; ``closure`` computes the gradients first, where given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            moving = [p for p in group["params"] if p.grad is not None]
            if group["orthogonal"]:
                self._turn(moving, group["lr"], group["weight_decay"])
            else:
                self._adamw(moving, group["lr"])
        return loss

    def _turn(self, kernels: Iterable[Tensor], rate: float, decay: float) -> None:
        for kernel in kernels:
            state = self.state[kernel]
            if not state:
                state["momentum"] = torch.zeros_like(kernel)
            gradient = kernel.grad
            assert gradient is not None
            momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
            ahead = gradient.lerp(momentum, MOMENTUM)
            update = orthogonalise(ahead.reshape(len(ahead), -1))
            scale = UPDATE_RMS * max(update.shape) ** 0.5
            kernel.mul_(1 - rate * decay)
            kernel.add_(update.view(kernel.shape), alpha=-rate * scale)

    def _adamw(self, parameters: list[Tensor], rate: float) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros(())
                state["mean"] = torch.zeros_like(parameter)
                state["square"] = torch.zeros_like(parameter)
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            parameters,
            [p.grad for p in parameters if p.grad is not None],
            [state["mean"] for state in states],
            [state["square"] for state in states],
            [],
            [state["step"] for state in states],
            foreach=True,
            amsgrad=False,
            beta1=ADAM_BETAS[0],
            beta2=ADAM_BETAS[1],
            lr=rate,
            weight_decay=0.0,
            eps=ADAM_EPS,
            maximize=False,
        )


def muon_groups(
    network: nn.Module, learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Return a network's two parameter groups: kernels that Muon moves, and the others.

    Args:
        network: What learns. Its first convolution, heads, biases and normalisations go by AdamW
            without decay: their columns are no directions of one space.
        learning_rate: Of both.
        weight_decay: Of the kernels.
    """
    kernels, others = split_parameters(network)
    rate = {"lr": learning_rate}
    return [
        {"params": kernels, "weight_decay": weight_decay, "orthogonal": True, **rate},
        {"params": others, "weight_decay": 0.0, "orthogonal": False, **rate},
    ]


def split_parameters(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return the learning kernels that Muon moves, and all other learning parameters.

    A head is what its name says, or a pose decoder's last convolution.
    """
    kernels, others = [], []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        first_or_last = ("encoder.conv1.weight", "pose.weight")
        inner = "head" not in name and not name.endswith(first_or_last)
        (kernels if parameter.ndim == 4 and inner else others).append(parameter)
    return kernels, others


def orthogonalise(matrix: Tensor) -> Tensor:
    """Return about the nearest orthogonal matrix (singular values about 0.5 to 1.3) of M×N.

    The iteration X ← (aI + bXXᵀ + c(XXᵀ)²)X runs on the smaller Gram matrix alone: each factor is
    a polynomial of XXᵀ, so the factors gather in one matrix that meets X once, at the end, which
    saves multiplications with kernels, much wider than they are high.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    identity = torch.eye(len(wide), dtype=wide.dtype, device=wide.device)
    a, b, c = NEWTON_SCHULZ
    gram, gathered = wide @ wide.T, identity
    for _ in range(NEWTON_SCHULZ_STEPS):
        factor = a * identity + b * gram + c * (gram @ gram)
        gathered = factor @ gathered
        gram = factor @ gram @ factor
        gram = (gram + gram.T) / 2  # stays symmetric in spite of rounding
    result = gathered @ wide
    return result if matrix.shape[0] <= matrix.shape[1] else result.T
