"""Which parts of a picture drive the depth, or the label, at a place: from a network's gradients.

The counterpart of occlusion sensitivity (:mod:`gam_depth_ros.evaluation.explain`), which needs
nothing but answers: here the weights are at hand, and every pixel is weighed at once.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gam_depth_ros.core.labels import NYU13, LabelSet
from gam_depth_ros.core.preprocessing import prepare, to_image_size
from gam_depth_ros.evaluation.explain import FILLS, QUANTITIES, Explanation, Region
from gam_depth_ros.evaluation.rank_correlation import rank_correlation
from gam_depth_training.attention_gates import Gate, attention_gates
from gam_depth_training.influence import Influence, Question, gradient_count, influence
from gam_depth_training.label_maps import NYU40_TO_NYU13
from gam_depth_training.networks import JointNetwork
from gam_depth_training.weight_randomisation import cascade

SIDE_UNIT = 32  # the encoder halves five times
_BLUR_SHARE = 0.5  # of the patch, as where a patch hides

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ExplainOptions:
    """How an explanation is made.

    Attributes:
        size_hw: Size of the network's input, pixels; multiples of 32.
        quantity: ``depth`` or ``label``.
        method: ``integrated``, ``smooth`` or ``gradient``, see :mod:`gam_depth_training.influence`.
        steps: Gradients that are averaged.
        patch_px: Side of the patch whose pixels are taken together, pixels of the input.
        fill: The baseline: the picture's ``mean`` colour, or a ``blur`` of it.
        seed: Of noise and of randomised weights.
    """

    size_hw: tuple[int, int]
    quantity: str = "depth"
    method: str = "integrated"
    steps: int = 32
    patch_px: int = 16
    fill: str = "mean"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES or self.fill not in FILLS:
            raise ValueError(
                f"got quantity '{self.quantity}' and fill '{self.fill}', expected one of "
                f"{', '.join(QUANTITIES)} and one of {', '.join(FILLS)}"
            )
        if any(side <= 0 or side % SIDE_UNIT for side in self.size_hw):
            raise ValueError(f"got size {self.size_hw}, expected multiples of {SIDE_UNIT}")
        if not 1 <= self.patch_px <= min(self.size_hw):
            raise ValueError(
                f"got a patch of {self.patch_px} pixels, expected 1 to {min(self.size_hw)}, the "
                "network's input"
            )

    @property
    def gradients(self) -> int:
        """How many gradients one map takes."""
        return gradient_count(self.method, self.steps)


@dataclass(frozen=True)
class Explained:
    """An explanation with what only the weights can tell.

    Attributes:
        found: As occlusion gives it: influence and its sign for a patch around every pixel.
        influence: The contributions of single pixels, at the network's input size.
        question: What was asked.
        gates: The gates between the decoders; empty where there are none.
    """

    found: Explanation
    influence: Influence
    question: Question
    gates: list[Gate]


def explain_network(
    rgb: Image,
    network: JointNetwork,
    region: Region,
    options: ExplainOptions,
    on_step: Callable[[], None] = lambda: None,
) -> Explained:
    """Attribute depth or label at a place to the picture.

    Args:
        rgb: H×W×3 uint8 RGB.
        network: In evaluation mode.
        region: Where the answer is asked for, pixels of the picture.
        options: How.
        on_step: Called after every gradient.

    Raises:
        ValueError: a region outside the picture, or answers that are not finite.
    """
    size_hw = (rgb.shape[0], rgb.shape[1])
    region.check(size_hw)
    image, baseline = _inputs(rgb, options)
    rows, columns = region.slices(size_hw, options.size_hw)
    with torch.no_grad():
        prediction = network(image)
    labels = prediction.logits[0].argmax(0).numpy().astype(np.uint8)
    label_id = int(np.bincount(labels[rows, columns].ravel()).argmax())
    question = Question(options.quantity, rows, columns, label_id)
    weighed = _influence(network, image, baseline, question, options, on_step)
    signed = -weighed.patches(options.patch_px)  # hiding takes the contribution away
    found = Explanation(
        quantity=options.quantity,
        region=region,
        label_id=label_id,
        score=weighed.score,
        influence=to_image_size(np.abs(signed), size_hw),
        signed=to_image_size(signed, size_hw),
        depth=to_image_size(prediction.depth[0, 0].numpy(), size_hw),
        labels=to_image_size(labels, size_hw, nearest=True),
        patch_px=options.patch_px,
        runs=weighed.runs + 1,
    )
    return Explained(found, weighed, question, attention_gates(network, image))


def randomised_correlations(
    rgb: Image,
    network: JointNetwork,
    explained: Explained,
    options: ExplainOptions,
    on_step: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Return how alike the map of a network that forgets is to that of the trained one.

    Spearman's correlation of the influence of patches side by side, without its sign, for each
    part that :func:`~gam_depth_training.weight_randomisation.cascade` randomises, outputs first;
    NaN where a map is flat. A map that explains the network falls towards 0.
    """
    image, baseline = _inputs(rgb, options)
    trained = _grid(explained.influence, options.patch_px)
    found = {}
    for part, network_then in cascade(network, options.seed):
        then = _influence(network_then, image, baseline, explained.question, options, on_step)
        found[part] = rank_correlation(trained, _grid(then, options.patch_px))
    return found


def label_set_of(classes: int) -> LabelSet:
    """Return the label set of a network with so many classes: NYU-13, NYU-40 or numbers."""
    if classes == len(NYU13):
        return NYU13
    forty = tuple(NYU40_TO_NYU13)
    names = forty if classes == len(forty) else tuple(f"class {i}" for i in range(classes))
    hues = (colorsys.hsv_to_rgb(i / classes, 0.6, 0.9) for i in range(classes))
    palette = tuple((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in hues)
    return LabelSet(f"classes{classes}", names, palette)


def _influence(
    network: JointNetwork,
    image: Tensor,
    baseline: Tensor,
    question: Question,
    options: ExplainOptions,
    on_step: Callable[[], None],
) -> Influence:
    return influence(
        network,
        image,
        baseline,
        question,
        method=options.method,
        steps=options.steps,
        seed=options.seed,
        on_step=on_step,
    )


def _inputs(rgb: Image, options: ExplainOptions) -> tuple[Tensor, Tensor]:
    """Return the picture and its baseline as 1×3×h×w in [0, 1]."""
    small = prepare(rgb, options.size_hw)[0]
    if options.fill == "blur":
        empty = cv2.GaussianBlur(small, (0, 0), _BLUR_SHARE * options.patch_px)
    else:
        empty = np.broadcast_to(small.mean(axis=(0, 1)).round().astype(np.uint8), small.shape)
    image, baseline = (
        torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255.0
        for picture in (small, empty)
    )
    return image, baseline


def _grid(found: Influence, patch_px: int) -> npt.NDArray[np.float64]:
    """Return the sizes of the contributions of patches side by side, flat."""
    height, width = (side // patch_px * patch_px for side in found.pixels.shape)
    cells = found.pixels[:height, :width].reshape(
        height // patch_px, patch_px, width // patch_px, patch_px
    )
    sizes: npt.NDArray[np.float64] = np.abs(cells.sum(axis=(1, 3))).ravel()
    return sizes
