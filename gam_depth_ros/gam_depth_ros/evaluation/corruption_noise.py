"""Noise of a sensor: Gaussian, impulses, shot noise, and the noise of a high ISO setting."""

from __future__ import annotations

import numpy as np

from gam_depth_ros.evaluation.corruption_light import (
    Image,
    linear_to_srgb,
    srgb_to_linear,
    to_image,
)


def add_gaussian(rgb: Image, sigma: float, rng: np.random.Generator) -> Image:
    """Add independent normal noise to every value.

    Args:
        rgb: H×W×3 uint8.
        sigma: Standard deviation as a share of full scale; 0 is the same picture.
        rng: Where the noise comes from.
    """
    noise = rng.standard_normal(rgb.shape, np.float32)
    return to_image(rgb + np.float32(255.0 * sigma) * noise)


def add_impulses(rgb: Image, share: float, rng: np.random.Generator) -> Image:
    """Set a share of the values to 0 or 255, as dead and hot photosites or broken bits do.

    Args:
        rgb: H×W×3 uint8.
        share: Of all values, each channel for itself; half become 0, half 255.
        rng: Where they fall.
    """
    place = rng.random(rgb.shape, np.float32)
    noisy: Image = rgb.copy()
    noisy[place < share / 2.0] = 0
    noisy[place > 1.0 - share / 2.0] = 255
    return noisy


def add_shot(rgb: Image, photons_at_white: float, rng: np.random.Generator) -> Image:
    """Draw every value from a Poisson law, as if so few photons had made it.

    Args:
        rgb: H×W×3 uint8; its values are taken as light, as the literature does.
        photons_at_white: Mean count of a value of 255; fewer is noisier.
        rng: Where the counts come from.
    """
    expected = rgb.astype(np.float64) * (photons_at_white / 255.0)
    return to_image(rng.poisson(expected) * (255.0 / photons_at_white))


def add_iso(
    rgb: Image, electrons_at_white: float, read_noise: float, rng: np.random.Generator
) -> Image:
    """Take the picture at a high ISO setting: little light, then a gain that lifts the noise too.

    In linear light: electrons = Poisson(light·N) + Normal(0, read noise), divided by N, coded as
    sRGB. Unlike plain shot noise it is strongest, as seen, in the dark parts.

    Args:
        rgb: H×W×3 uint8.
        electrons_at_white: N, the mean count of white; fewer is a higher ISO.
        read_noise: Standard deviation of the read-out, electrons.
        rng: Where the noise comes from.
    """
    light = srgb_to_linear(rgb)
    electrons = rng.poisson(light.astype(np.float64) * electrons_at_white).astype(np.float32)
    electrons += np.float32(read_noise) * rng.standard_normal(rgb.shape, np.float32)
    return to_image(255.0 * linear_to_srgb(electrons / np.float32(electrons_at_white)))
