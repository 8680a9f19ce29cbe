"""The fifteen corruptions of indoor depth benchmarks, each in five severities.

What is corrupted follows the names of the benchmark that introduced them for depth (RoboDepth, Kong
et al., NeurIPS 2023, after Hendrycks & Dietterich, ICLR 2019). The functions are written from the
definitions, and the severities are physical quantities chosen here (stops, photons, pixels): scores
compare models with each other, not with tables made with another set of pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gam_depth_ros.evaluation.corruption_blur import (
    blur_by_motion,
    blur_by_zoom,
    defocus,
    frost,
)
from gam_depth_ros.evaluation.corruption_coding import (
    compress_jpeg,
    pixelate,
    quantise,
    warp_elastically,
)
from gam_depth_ros.evaluation.corruption_light import Image, brighten, darken, lower_contrast
from gam_depth_ros.evaluation.corruption_noise import (
    add_gaussian,
    add_impulses,
    add_iso,
    add_shot,
)

SEVERITIES = (1, 2, 3, 4, 5)
REFERENCE_WIDTH_PX = 640
"""Lengths below are pixels of a picture this wide; others are scaled, so that they look alike."""

BRIGHT_RISE = (0.1, 0.2, 0.3, 0.4, 0.5)
DARK_STOPS = (1.0, 2.0, 3.0, 4.0, 5.0)
CONTRAST_LEFT = (0.6, 0.45, 0.3, 0.2, 0.1)
DEFOCUS_RADIUS_PX = (2.0, 3.5, 5.0, 7.0, 10.0)
GLASS_BLUR_REACH_PASSES = ((0.7, 1, 1), (0.9, 2, 1), (1.0, 2, 2), (1.2, 3, 2), (1.5, 4, 3))
MOTION_LENGTH_PX = (6.0, 12.0, 18.0, 26.0, 36.0)
ZOOM_LARGEST = (1.05, 1.1, 1.16, 1.23, 1.32)
ELASTIC_AMPLITUDE_PX = (1.5, 3.0, 5.0, 7.5, 11.0)
ELASTIC_SMOOTHNESS_PX = 24.0
QUANTISATION_BITS = (5, 4, 3, 2, 1)
GAUSSIAN_SIGMA = (0.04, 0.08, 0.12, 0.18, 0.26)
IMPULSE_SHARE = (0.01, 0.03, 0.06, 0.12, 0.24)
SHOT_PHOTONS = (120.0, 50.0, 22.0, 10.0, 4.0)
ISO_ELECTRONS_AND_READ_NOISE = ((300.0, 2.0), (120.0, 2.0), (50.0, 2.0), (25.0, 2.0), (12.0, 2.0))
PIXELATE_SHARE = (0.5, 0.35, 0.25, 0.18, 0.12)
JPEG_QUALITY = (30, 20, 13, 8, 4)

_Corruption = Callable[[Image, int, float, np.random.Generator], Image]
"""Picture, severity less one, pixels per reference pixel, randomness."""


def _motion(rgb: Image, step: int, unit: float, rng: np.random.Generator) -> Image:
    return blur_by_motion(rgb, unit * MOTION_LENGTH_PX[step], rng.uniform(0.0, math.pi))


def _glass(rgb: Image, step: int, unit: float, rng: np.random.Generator) -> Image:
    blur, reach, passes = GLASS_BLUR_REACH_PASSES[step]
    return frost(rgb, unit * blur, max(1, round(unit * reach)), passes, rng)


def _elastic(rgb: Image, step: int, unit: float, rng: np.random.Generator) -> Image:
    return warp_elastically(
        rgb, unit * ELASTIC_AMPLITUDE_PX[step], unit * ELASTIC_SMOOTHNESS_PX, rng
    )


_TABLE: dict[str, _Corruption] = {
    "bright": lambda rgb, step, _unit, _rng: brighten(rgb, BRIGHT_RISE[step]),
    "dark": lambda rgb, step, _unit, _rng: darken(rgb, DARK_STOPS[step]),
    "contrast": lambda rgb, step, _unit, _rng: lower_contrast(rgb, CONTRAST_LEFT[step]),
    "defocus": lambda rgb, step, unit, _rng: defocus(rgb, unit * DEFOCUS_RADIUS_PX[step]),
    "glass": _glass,
    "motion": _motion,
    "zoom": lambda rgb, step, _unit, _rng: blur_by_zoom(rgb, ZOOM_LARGEST[step]),
    "elastic": _elastic,
    "quantisation": lambda rgb, step, _unit, _rng: quantise(rgb, QUANTISATION_BITS[step]),
    "gaussian": lambda rgb, step, _unit, rng: add_gaussian(rgb, GAUSSIAN_SIGMA[step], rng),
    "impulse": lambda rgb, step, _unit, rng: add_impulses(rgb, IMPULSE_SHARE[step], rng),
    "shot": lambda rgb, step, _unit, rng: add_shot(rgb, SHOT_PHOTONS[step], rng),
    "iso": lambda rgb, step, _unit, rng: add_iso(rgb, *ISO_ELECTRONS_AND_READ_NOISE[step], rng),
    "pixelate": lambda rgb, step, _unit, _rng: pixelate(rgb, PIXELATE_SHARE[step]),
    "jpeg": lambda rgb, step, _unit, _rng: compress_jpeg(rgb, JPEG_QUALITY[step]),
}

CORRUPTIONS = tuple(_TABLE)
"""The names, in the order of the benchmark."""


def corrupt(rgb: Image, name: str, severity: int, seed: int) -> Image:
    """Return a corrupted copy of a picture.

    The randomness depends on seed and name, not on the severity: the severities of one seed are
    the same accident, more or less of it.

    Args:
        rgb: H×W×3 uint8 RGB; not changed.
        name: One of ``CORRUPTIONS``.
        severity: 1 (slight) to 5 (heavy).
        seed: Zero or more; the same seed gives the same bytes.

    Returns:
        H×W×3 uint8.

    Raises:
        ValueError: an unknown name, another severity, or no picture.
    """
    if name not in _TABLE:
        raise ValueError(
            f"corruption: got '{name}', expected one of {', '.join(CORRUPTIONS)}; correct the name"
        )
    if severity not in SEVERITIES:
        raise ValueError(f"severity: got {severity}, expected 1 to 5; choose one of these")
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise ValueError(
            f"picture: got {rgb.shape} {rgb.dtype}, expected H×W×3 uint8; decode it with "
            "image_codec"
        )
    rng = np.random.default_rng([seed, CORRUPTIONS.index(name)])
    return _TABLE[name](rgb, severity - 1, rgb.shape[1] / REFERENCE_WIDTH_PX, rng)
