"""Colour jitter of what networks see; losses never look at it.

Monodepth2's strength: brightness, contrast and saturation by a factor within 1 ± 0.2, hue turned by
up to ±0.1 of the colour circle, each with every second clip, in random order.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

_STEPS = ("brightness", "contrast", "saturation", "hue")


@dataclass(frozen=True)
class JitterDraw:
    """One drawn change of colour.

    Attributes:
        brightness: Factor on every channel.
        contrast: Factor on the distance from the picture's mean grey.
        saturation: Factor on the distance from each pixel's grey.
        hue: Turn of the hue, in full circles.
        order: The names of the four in the order in which they apply.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float
    order: tuple[str, ...] = _STEPS

    def apply(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Change an H×W×3 uint8 picture; each step is clamped to 0…255."""
        for name in self.order:
            rgb = _APPLY[name](rgb, getattr(self, name))
        return rgb


@dataclass(frozen=True)
class ColourJitter:
    """Half-widths of the uniform draws.

    Attributes:
        brightness: Around a factor of one.
        contrast: Around a factor of one.
        saturation: Around a factor of one.
        hue: Around no turn, in full circles.
        probability: That a clip is changed at all.
        per_frame: Draw anew for each frame of a clip. The official code does, by accident; a
            shared draw keeps the frames alike for the pose network.
    """

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.1
    probability: float = 0.5
    per_frame: bool = False

    def draw(self, frames: int, rng: np.random.Generator) -> list[JitterDraw] | None:
        """Draw one change for each of ``frames`` frames; None where the clip stays as it is."""
        if rng.random() >= self.probability:
            return None
        if self.per_frame:
            return [self._draw_once(rng) for _ in range(frames)]
        return [self._draw_once(rng)] * frames

    def _draw_once(self, rng: np.random.Generator) -> JitterDraw:
        return JitterDraw(
            brightness=1 + rng.uniform(-self.brightness, self.brightness),
            contrast=1 + rng.uniform(-self.contrast, self.contrast),
            saturation=1 + rng.uniform(-self.saturation, self.saturation),
            hue=rng.uniform(-self.hue, self.hue),
            order=tuple(_STEPS[index] for index in rng.permutation(len(_STEPS))),
        )


def _brightness(rgb: np.ndarray, factor: float) -> np.ndarray:
    return cv2.convertScaleAbs(rgb, alpha=factor)


def _contrast(rgb: np.ndarray, factor: float) -> np.ndarray:
    mean = cv2.mean(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))[0]
    levels = mean + factor * (np.arange(256) - mean)
    return cv2.LUT(rgb, np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def _saturation(rgb: np.ndarray, factor: float) -> np.ndarray:
    grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(rgb, factor, grey, 1 - factor, 0)


def _hue(rgb: np.ndarray, turn: float) -> np.ndarray:
    steps = round(turn * 256)
    if steps == 0:
        return rgb
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(steps % 256)  # wraps around like the circle itself
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


_APPLY = {"brightness": _brightness, "contrast": _contrast, "saturation": _saturation, "hue": _hue}
