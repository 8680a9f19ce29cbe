"""Which pixels drive an answer of the network: gradients with respect to the picture.

Three ways, from cheap to faithful: gradient times difference from a baseline (Simonyan et al.,
ICLR workshop 2014; Shrikumar et al. 2016), the same with the gradient averaged over noisy copies
(SmoothGrad; Smilkov et al. 2017), and with the gradient averaged on the way from the baseline
(integrated gradients; Sundararajan et al., ICML 2017), whose sum is the difference of the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gam_depth_training.networks import JointNetwork, JointPrediction

METHODS = ("integrated", "smooth", "gradient")
# Smilkov et al. 2017, figure 3: noise of 10 to 20 % of the picture's range reads best.
NOISE_SHARE = 0.15


@dataclass(frozen=True)
class Question:
    """What is asked of the network.

    Attributes:
        quantity: ``depth`` or ``label``.
        rows: Rows of the network's input that the place covers.
        columns: Its columns.
        label_id: The label whose score is asked for; without meaning for depth.
    """

    quantity: str
    rows: slice
    columns: slice
    label_id: int = 0

    def answer(self, prediction: JointPrediction) -> Tensor:
        """Return the answer to one picture, a scalar that has a gradient.

        For ``depth`` the mean of log depth over the place; for ``label`` the mean of its log odds,
        log p / (1 - p). Odds do not saturate as a probability does, whose gradient vanishes where
        the network is sure, and unlike a bare score before softmax they do not depend on what all
        scores have in common.
        """
        if self.quantity == "depth":
            return prediction.depth[0, 0, self.rows, self.columns].log().mean()
        logits = prediction.logits[0, :, self.rows, self.columns]
        others = torch.cat((logits[: self.label_id], logits[self.label_id + 1 :]))
        return (logits[self.label_id] - others.logsumexp(0)).mean()


@dataclass(frozen=True)
class Influence:
    """How much each pixel of the input contributes to an answer.

    Attributes:
        pixels: h×w float64, contribution of a pixel, its three colours together; of the unit of
            ``score``. Hiding a pixel behind the baseline takes it away, to first order.
        score: The answer to the picture.
        baseline_score: The answer to the baseline.
        runs: Passes through the network, backward ones not counted.
    """

    pixels: npt.NDArray[np.float64]
    score: float
    baseline_score: float
    runs: int

    def patches(self, patch_px: int) -> npt.NDArray[np.float32]:
        """Return h×w, the contribution of the patch around each pixel: the sum of its pixels.

        Single pixels are noisy, and neighbours of opposite sign cancel where nobody would hide one
        without the other; a patch also compares with occlusion, which hides as much.
        """
        return cv2.boxFilter(
            self.pixels,
            -1,
            (patch_px, patch_px),
            normalize=False,
            borderType=cv2.BORDER_CONSTANT,
        ).astype(np.float32)


def influence(
    network: JointNetwork,
    image: Tensor,
    baseline: Tensor,
    question: Question,
    *,
    method: str = "integrated",
    steps: int = 32,
    seed: int = 0,
    on_step: Callable[[], None] = lambda: None,
) -> Influence:
    """Attribute an answer to the pixels of a picture.

    Args:
        network: In evaluation mode; its weights stay as they are.
        image: 1×3×h×w in [0, 1]; sides multiples of 32.
        baseline: The same size: what a pixel that is not there looks like.
        question: What is asked.
        method: One of :data:`METHODS`.
        steps: Gradients that are averaged; the plain gradient takes one.
        seed: Of SmoothGrad's noise.
        on_step: Called after every gradient.

    Raises:
        ValueError: an unknown method, no step, or an answer that is not finite.
    """
    if method not in METHODS or steps < 1:
        raise ValueError(
            f"got method '{method}' with {steps} steps, expected one of {', '.join(METHODS)} with "
            "at least one step"
        )
    total = torch.zeros_like(image, dtype=torch.float64)
    count = 0
    for place in _places(image, baseline, method, steps, seed):
        total += _gradient(network, place, question)
        count += 1
        on_step()
    with torch.no_grad():
        score, empty = (float(question.answer(network(seen))) for seen in (image, baseline))
    pixels = (total / count * (image - baseline).double())[0].sum(0).numpy()
    if not (np.isfinite(pixels).all() and np.isfinite([score, empty]).all()):
        raise ValueError("got an answer that is not finite, expected numbers; are the weights ok?")
    return Influence(pixels, score, empty, count + 2)


def gradient_count(method: str, steps: int) -> int:
    """Return how many gradients a method takes."""
    return 1 if method == "gradient" else steps


def _places(
    image: Tensor, baseline: Tensor, method: str, steps: int, seed: int
) -> Iterator[Tensor]:
    """Yield the pictures at which the gradient is taken."""
    if method == "gradient":
        yield image
    elif method == "smooth":
        spread = NOISE_SHARE * float(image.max() - image.min())
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            yield image + spread * torch.randn(image.shape, generator=generator)
    else:
        for step in range(steps):
            # Middles of equal parts: second order, where left ends would be first.
            yield baseline + (step + 0.5) / steps * (image - baseline)


def _gradient(network: JointNetwork, place: Tensor, question: Question) -> Tensor:
    seen = place.detach().clone().requires_grad_(True)
    (found,) = torch.autograd.grad(question.answer(network(seen)), seen)
    return found.double()
