"""Shape and coding: elastic distortion, few grey levels, large pixels, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from gam_depth_ros.evaluation.corruption_light import Image, Values, to_image


def warp_elastically(
    rgb: Image, amplitude_px: float, smoothness_px: float, rng: np.random.Generator
) -> Image:
    """Displace pixels by a smooth random field (Simard et al. 2003).

    The truth stays where it was: keep the amplitude small against the objects.

    Args:
        rgb: H×W×3 uint8.
        amplitude_px: Root mean square of each component of the displacement; 0 is the same picture.
        smoothness_px: Standard deviation of the Gaussian that smooths the field.
        rng: Where the field comes from.
    """
    height, width = rgb.shape[:2]
    x, y = (_smooth_field(height, width, smoothness_px, rng) for _ in range(2))
    amplitude = np.float32(amplitude_px)
    warped = cv2.remap(
        rgb,
        np.arange(width, dtype=np.float32)[None, :] + amplitude * x,
        np.arange(height, dtype=np.float32)[:, None] + amplitude * y,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(warped, np.uint8)


def quantise(rgb: Image, bits: int) -> Image:
    """Round every value to the nearest of 2^bits levels, evenly spaced from 0 to 255.

    Args:
        rgb: H×W×3 uint8.
        bits: 1 to 8; 8 is the same picture.
    """
    steps = 2**bits - 1
    return to_image(np.rint(rgb * np.float32(steps / 255.0)) * np.float32(255.0 / steps))


def pixelate(rgb: Image, share: float) -> Image:
    """Shrink by area and enlarge again without smoothing.

    Args:
        rgb: H×W×3 uint8.
        share: Of the width and of the height that is left; 1 is the same picture.
    """
    height, width = rgb.shape[:2]
    small_size = max(1, round(share * width)), max(1, round(share * height))
    small = cv2.resize(rgb, small_size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def compress_jpeg(rgb: Image, quality: int) -> Image:
    """Code as JPEG and decode again.

    Args:
        rgb: H×W×3 uint8.
        quality: 1 (worst) to 100, on the scale of the IJG's library.
    """
    _, data = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def _smooth_field(
    height: int, width: int, smoothness_px: float, rng: np.random.Generator
) -> Values:
    """Return H×W float32 with root mean square 1."""
    noise = rng.standard_normal((height, width), np.float32)
    field = cv2.GaussianBlur(noise, (0, 0), smoothness_px, borderType=cv2.BORDER_REFLECT_101)
    rms = float(np.sqrt(np.mean(np.square(field, dtype=np.float64))))
    return np.asarray(field / np.float32(max(rms, 1e-9)), np.float32)
