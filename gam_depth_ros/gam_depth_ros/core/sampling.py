"""How coarse a regular grid over an image may be for what needs no more than so many pixels."""

from __future__ import annotations

import math

NETWORK_PIXELS = 96 * 128
"""Pixels of the shipped network's output. What is found of a whole frame, a motion, a quantile or
a share, gains nothing from more of them, and on finer networks' outputs is found on a grid of about
as many."""


def grid_step(pixels: int, wanted: int) -> int:
    """Return the step, along each axis, of a grid that keeps at least so many pixels.

    Args:
        pixels: Of the image.
        wanted: How many are enough; images that have fewer keep all.
    """
    return max(1, math.isqrt(pixels // wanted))


def network_step(pixels: int) -> int:
    """Return the step of a grid of about ``NETWORK_PIXELS``; 1 up to four times as many."""
    return grid_step(pixels, NETWORK_PIXELS)
