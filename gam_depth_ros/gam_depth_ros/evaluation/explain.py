"""Which parts of a picture drive the depth, or the label, at a place: occlusion sensitivity.

A patch is slid over the picture, and each time the network looks again (Zeiler & Fergus, ECCV
2014). Where hiding something changes the answer, the answer depended on it. The network is a black
box here: any ONNX file will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.engine import Engine
from gam_depth_ros.core.model_spec import NetworkOutput
from gam_depth_ros.core.preprocessing import prepare, to_image_size

QUANTITIES = ("depth", "label")
FILLS = ("mean", "blur")
_BLUR_SHARE = 0.5  # of the patch: its own detail is gone, its colour stays

Image = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Region:
    """A rectangle of the picture, pixels; at least one pixel lies within the picture.

    Attributes:
        x: Left edge.
        y: Upper edge.
        width: Width.
        height: Height.
    """

    x: int
    y: int
    width: int
    height: int

    def check(self, size_hw: tuple[int, int]) -> None:
        """Raise ValueError unless the rectangle lies within a picture of this size."""
        height, width = size_hw
        inside = self.x >= 0 and self.y >= 0 and self.width > 0 and self.height > 0
        if not (inside and self.x + self.width <= width and self.y + self.height <= height):
            raise ValueError(
                f"region: got {self.width}x{self.height} at {self.x},{self.y}, expected it within "
                f"the picture of {width}x{height}; choose another place"
            )

    def slices(self, size_hw: tuple[int, int], grid_hw: tuple[int, int]) -> tuple[slice, slice]:
        """Return rows and columns of a grid laid over the picture that the rectangle touches."""
        (height, width), (rows, columns) = size_hw, grid_hw
        return (
            slice(self.y * rows // height, -(-(self.y + self.height) * rows // height)),
            slice(self.x * columns // width, -(-(self.x + self.width) * columns // width)),
        )


@dataclass(frozen=True)
class Explanation:
    """What drives an answer.

    Attributes:
        quantity: ``depth`` or ``label``.
        region: Where the answer was asked for.
        label_id: The most frequent label there.
        score: The answer: mean log depth of the region, up to scale; or the share of the region
            that has the label, weighted by its confidence.
        influence: H×W float32, mean change of the answer, without its sign, over the patches
            that hid a pixel; of the unit of ``score``.
        signed: H×W float32, the same with its sign: positive where hiding raises the answer.
        depth: H×W float32, the network's depth of the whole picture, up to scale.
        labels: H×W uint8 ids, its labels.
        patch_px: Side of the patch, pixels of the network's input.
        runs: Inferences made.
    """

    quantity: str
    region: Region
    label_id: int
    score: float
    influence: Float
    signed: Float
    depth: Float
    labels: Image
    patch_px: int
    runs: int


@dataclass(frozen=True)
class LabelShare:
    """How much of the influence falls on a label.

    Attributes:
        label_id: The label.
        influence: Share of all influence, 0 to 1.
        area: Share of the picture, 0 to 1; influence far above it is attention.
        signed: Mean change of the answer when a patch of it is hidden.
    """

    label_id: int
    influence: float
    area: float
    signed: float


def explain(
    rgb: Image,
    engine: Engine,
    region: Region,
    *,
    quantity: str = "depth",
    patch_px: int = 16,
    stride_px: int = 8,
    fill: str = "mean",
    on_run: Callable[[], None] = lambda: None,
) -> Explanation:
    """Slide a patch over a picture and note how the answer in a region changes.

    Args:
        rgb: H×W×3 uint8 RGB.
        engine: Runs the network; once and once for every patch.
        region: Where the answer is asked for.
        quantity: ``depth`` or ``label``.
        patch_px: Side of the patch, pixels of the network's input.
        stride_px: Step of the patch, likewise.
        fill: What hides: the picture's ``mean`` colour, or a ``blur`` of what is there.
        on_run: Called after every inference.

    Raises:
        ValueError: a region outside the picture, or an unknown quantity, fill or size.
        EngineError: the network failed.
    """
    size_hw = (rgb.shape[0], rgb.shape[1])
    region.check(size_hw)
    _check(quantity, fill, patch_px, stride_px, engine.spec.input_size_hw)
    batch = prepare(rgb, engine.spec.input_size_hw)
    grid_hw = engine.spec.input_size_hw
    rows, columns = region.slices(size_hw, grid_hw)
    clean = engine.run(batch)
    on_run()
    label_id = int(np.bincount(clean.label[rows, columns].ravel()).argmax())

    def answer(output: NetworkOutput) -> float:
        return _answer(output, quantity, (rows, columns), label_id)

    hidden = _hidden(batch[0], fill, patch_px)
    score = answer(clean)
    total, signed, count = (np.zeros(grid_hw, np.float64) for _ in range(3))
    for place in _places(grid_hw, patch_px, stride_px):
        occluded = batch.copy()
        occluded[0][place] = hidden[place]
        change = answer(engine.run(occluded)) - score
        total[place] += abs(change)
        signed[place] += change
        count[place] += 1.0
        on_run()
    return Explanation(
        quantity=quantity,
        region=region,
        label_id=label_id,
        score=score,
        influence=to_image_size((total / count).astype(np.float32), size_hw),
        signed=to_image_size((signed / count).astype(np.float32), size_hw),
        depth=to_image_size(clean.depth, size_hw),
        labels=to_image_size(clean.label, size_hw, nearest=True),
        patch_px=patch_px,
        runs=1 + run_count(grid_hw, patch_px, stride_px),
    )


def _answer(
    output: NetworkOutput, quantity: str, place: tuple[slice, slice], label_id: int
) -> float:
    """Return the mean log depth at a place, or the mean confidence in a label there."""
    if quantity == "depth":
        return float(np.mean(np.log(output.depth[place])))
    same = output.label[place] == label_id
    return float(np.mean(np.where(same, output.label_confidence[place], 0.0)))


def _places(
    grid_hw: tuple[int, int], patch_px: int, stride_px: int
) -> Iterator[tuple[slice, slice]]:
    for top in patch_starts(grid_hw[0], patch_px, stride_px):
        for left in patch_starts(grid_hw[1], patch_px, stride_px):
            yield slice(top, top + patch_px), slice(left, left + patch_px)


def patch_starts(length: int, patch_px: int, stride_px: int) -> list[int]:
    """Return where patches start, so that all together cover a side and none leaves it."""
    last = length - patch_px
    return sorted({*range(0, last, stride_px), last})


def run_count(grid_hw: tuple[int, int], patch_px: int, stride_px: int) -> int:
    """Return the number of patches of one explanation."""
    down, across = (len(patch_starts(side, patch_px, stride_px)) for side in grid_hw)
    return down * across


def label_shares(explanation: Explanation) -> list[LabelShare]:
    """Return how the influence is spread over the labels of the picture, the largest first."""
    labels, influence = explanation.labels, explanation.influence
    total = float(influence.sum(dtype=np.float64))
    shares = []
    for label_id in np.unique(labels):
        there = labels == label_id
        part = float(influence[there].sum(dtype=np.float64))
        shares.append(
            LabelShare(
                label_id=int(label_id),
                influence=part / total if total > 0.0 else 0.0,
                area=float(there.mean()),
                signed=float(explanation.signed[there].mean(dtype=np.float64)),
            )
        )
    return sorted(shares, key=lambda share: (-share.influence, share.label_id))


def _hidden(rgb: Image, fill: str, patch_px: int) -> npt.NDArray[Any]:
    """Return the picture that shows through the patch."""
    if fill == "blur":
        return np.asarray(cv2.GaussianBlur(rgb, (0, 0), _BLUR_SHARE * patch_px))
    return np.broadcast_to(rgb.mean(axis=(0, 1)).round().astype(np.uint8), rgb.shape)


def _check(
    quantity: str, fill: str, patch_px: int, stride_px: int, grid_hw: tuple[int, int]
) -> None:
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity: got '{quantity}', expected one of {', '.join(QUANTITIES)}")
    if fill not in FILLS:
        raise ValueError(f"fill: got '{fill}', expected one of {', '.join(FILLS)}")
    if not 1 <= patch_px <= min(grid_hw) or not 1 <= stride_px <= patch_px:
        raise ValueError(
            f"patch: got {patch_px} pixels in steps of {stride_px}, expected 1 to {min(grid_hw)} "
            "(the network's input), in steps of 1 up to the patch itself"
        )
