"""Light that is wrong: too bright, too dark, too flat. Pictures are H×W×3 uint8 sRGB."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]

# IEC 61966-2-1: the straight piece near black, then the power.
_SRGB_KNEE, _SRGB_SLOPE, _SRGB_OFFSET, _SRGB_POWER = 0.0031308, 12.92, 0.055, 2.4


def brighten(rgb: Image, rise: float) -> Image:
    """Add to the value of HSV: V' = min(V + rise, 1). Hue stays, and what was bright is lost.

    Args:
        rgb: H×W×3 uint8.
        rise: Share of full scale, 0 (the same picture) to 1.
    """
    value = rgb.max(axis=2, keepdims=True).astype(np.float32)
    wanted = np.minimum(value + np.float32(255.0 * rise), np.float32(255.0))
    # Scaling the three channels alike scales V and leaves hue and saturation; black has neither.
    gain = np.divide(wanted, value, out=np.zeros_like(value), where=value > 0)
    return to_image(np.where(value > 0, rgb * gain, wanted))


def darken(rgb: Image, stops: float) -> Image:
    """Expose for less light: the linear light is divided by 2^stops, then coded again as sRGB.

    Args:
        rgb: H×W×3 uint8.
        stops: Photographic stops; 0 is the same picture, one stop takes white (255) to 188.
    """
    table = linear_to_srgb(srgb_to_linear(np.arange(256, dtype=np.uint8)) * np.float32(2.0**-stops))
    return np.asarray(cv2.LUT(rgb, to_image(255.0 * table)), np.uint8)


def lower_contrast(rgb: Image, factor: float) -> Image:
    """Pull every value to the mean of its channel: x' = mean + factor·(x − mean).

    Args:
        rgb: H×W×3 uint8.
        factor: What is left of the contrast; 1 is the same picture, 0 is a flat one.
    """
    mean = rgb.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    return to_image(mean + np.float32(factor) * (rgb - mean))


def srgb_to_linear(rgb: Image) -> Values:
    """Return linear light, 0 to 1, of sRGB codes (IEC 61966-2-1)."""
    code = np.arange(256, dtype=np.float64) / 255.0
    table = np.where(
        code <= _SRGB_SLOPE * _SRGB_KNEE,
        code / _SRGB_SLOPE,
        ((code + _SRGB_OFFSET) / (1.0 + _SRGB_OFFSET)) ** _SRGB_POWER,
    )
    return np.asarray(table.astype(np.float32)[rgb])


def linear_to_srgb(light: Values) -> Values:
    """Return sRGB values, 0 to 1, of linear light; light outside 0 to 1 is clipped."""
    clipped = np.clip(light, 0.0, 1.0)
    curve = (1.0 + _SRGB_OFFSET) * clipped ** np.float32(1.0 / _SRGB_POWER) - _SRGB_OFFSET
    return np.where(clipped <= _SRGB_KNEE, _SRGB_SLOPE * clipped, curve).astype(np.float32)


def to_image(values: npt.NDArray[np.floating]) -> Image:
    """Round and clip values on the scale 0 to 255 to uint8."""
    return np.asarray(np.clip(np.rint(values), 0.0, 255.0), np.uint8)
