"""The published protocols of NYUv2, ScanNet and InteriorNet, as GAM-Depth's evaluation states them.

The picture is cropped as the data set's protocol says, resized to the network's input by Lanczos;
the prediction comes to the truth's size by nearest neighbour, is multiplied by the ratio of the
medians over the known pixels and only then clipped to 0.1-10 m; the truth has no upper limit. Each
picture stands for itself: no filter over time, no scale learnt. Other papers crop, interpolate and
limit otherwise: their figures differ for that alone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.engine import Engine
from gam_depth_ros.core.frame import Frame, ReferenceDepth
from gam_depth_ros.core.metrics import flip_average
from gam_depth_ros.core.model_spec import NetworkOutput
from gam_depth_ros.core.prediction import calibrated
from gam_depth_ros.evaluation.observation import Float, Observation
from gam_depth_ros.evaluation.public_sets import TestFrame
from gam_depth_ros.evaluation.sample import Sample

PROTOCOL_TEXT = (
    "{name} ({images} pictures in the published split): {window}; Lanczos to the network's input, "
    "the prediction to the truth's size by nearest neighbour; truth above zero without an upper "
    "limit; ratio of medians over these pixels, then clipped to 0.1-10 m; errors per image, mean "
    "over images.{flip} Each picture by itself: no filter, no scale learnt online."
)
FLIPPED = " Averaged with the mirrored picture (Godard et al. 2017)."
FRAME_INTERVAL_NS = 10_000_000_000
"""Stamps so far apart that nothing takes two pictures for neighbours."""
_LOBES = 3.0

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Protocol:
    """What differs between the data sets.

    Attributes:
        name: Of the data set.
        images: In the published test split.
        crop_xywh: Window of picture and depth; None takes all.
    """

    name: str
    images: int
    crop_xywh: tuple[int, int, int, int] | None = None

    def text(self, *, flip: bool) -> str:
        """Return the protocol in words, for the report."""
        window = "whole pictures"
        if self.crop_xywh is not None:
            x, y, width, height = self.crop_xywh
            window = f"rows {y} to {y + height - 1} and columns {x} to {x + width - 1}"
        return PROTOCOL_TEXT.format(
            name=self.name, images=self.images, window=window, flip=FLIPPED if flip else ""
        )

    def cropped(self, image: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Return the window of an image."""
        if self.crop_xywh is None:
            return image
        x, y, width, height = self.crop_xywh
        window: npt.NDArray[Scalar] = image[y : y + height, x : x + width]
        return window


PROTOCOLS = {
    "nyuv2": Protocol("NYU Depth v2", 654, (40, 44, 561, 427)),
    "scannet": Protocol("ScanNet", 533),
    "interiornet": Protocol("InteriorNet", 540),
}


def observe_test_set(
    frames: Iterator[TestFrame],
    engine: Engine,
    protocol: Protocol,
    *,
    flip: bool = False,
) -> Iterator[Observation]:
    """Run the network alone over a test set.

    Args:
        frames: Pictures with truth, not cropped.
        engine: Runs the network.
        protocol: The data set's.
        flip: Average with the mirrored picture.
    """
    for index, frame in enumerate(frames):
        rgb = np.ascontiguousarray(protocol.cropped(frame.rgb)).astype(np.uint8)
        truth_m = np.ascontiguousarray(protocol.cropped(frame.depth_m)).astype(np.float32)
        output, depth = predict_by_protocol(rgb, engine, flip=flip)
        size_hw = truth_m.shape[:2]
        stamp_ns = (1 + index) * FRAME_INTERVAL_NS
        shown = rgb
        if rgb.shape[:2] != size_hw:  # ScanNet's depth camera has fewer pixels than its colour one
            size = (size_hw[1], size_hw[0])
            shown = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        reference = ReferenceDepth(truth_m, stamp_ns, frame.key)
        yield Observation(
            sample=Sample(Frame(shown, stamp_ns, frame.key, None, reference), stamp_ns),
            depth=nearest(depth, size_hw),
            metric_depth_m=None,
            sigma_log=nearest(output.sigma, size_hw),
            metric_sigma_m=None,
            labels=nearest(output.label, size_hw),
            label_confidence=nearest(output.label_confidence, size_hw),
        )


def predict_by_protocol(
    rgb: npt.NDArray[np.uint8], engine: Engine, *, flip: bool
) -> tuple[NetworkOutput, Float]:
    """Return the calibrated output and the depth, averaged with the mirror's where asked.

    Args:
        rgb: H×W×3 uint8, cropped.
        engine: Runs the network.
        flip: Run the mirrored picture as well.
    """
    small = lanczos(rgb, engine.spec.input_size_hw)
    output = calibrated(engine.run(small[None]), engine.spec)
    if not flip:
        return output, output.depth
    mirrored = engine.run(np.ascontiguousarray(small[:, ::-1])[None]).depth[:, ::-1]
    disparity = flip_average(1.0 / output.depth, 1.0 / mirrored)
    return output, np.asarray(1.0 / disparity, np.float32)


def nearest(array: npt.NDArray[Scalar], size_hw: tuple[int, int]) -> npt.NDArray[Scalar]:
    """Resize by nearest neighbour as PyTorch does: pixel i comes from ⌊i · in / out⌋."""
    rows, columns = (
        np.minimum((np.arange(out) * (size / out)).astype(np.intp), size - 1)
        for out, size in zip(size_hw, array.shape[:2], strict=True)
    )
    picked: npt.NDArray[Scalar] = array[rows[:, None], columns]
    return picked


def lanczos(rgb: npt.NDArray[np.uint8], size_hw: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Resize by the Lanczos kernel of three lobes, widened when shrinking, as Pillow does.

    OpenCV's Lanczos looks at eight pixels whatever the factor, and aliases.

    Args:
        rgb: H×W×3 uint8.
        size_hw: Height and width wanted.
    """
    if rgb.shape[:2] == size_hw:
        return rgb
    down = _weights(rgb.shape[0], size_hw[0])
    across = _weights(rgb.shape[1], size_hw[1])
    resized: npt.NDArray[Any] = np.einsum(
        "ih,hwc,jw->ijc", down, rgb.astype(np.float32), across, optimize=True
    )
    return np.asarray(np.clip(np.rint(resized), 0, 255), np.uint8)


@functools.lru_cache(maxsize=16)
def _weights(size: int, out: int) -> npt.NDArray[np.float32]:
    """Return out×size: what each new pixel takes from each old one; rows sum to 1."""
    factor = max(size / out, 1.0)
    centres = (np.arange(out) + 0.5) * (size / out)
    offsets = (np.arange(size)[None] + 0.5 - centres[:, None]) / factor
    kernel = np.sinc(offsets) * np.sinc(offsets / _LOBES) * (np.abs(offsets) < _LOBES)
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True), np.float32)
