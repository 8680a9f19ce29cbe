"""From radiance to the picture of a cheap camera: exposure, white balance, blur, noise, JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Float = NDArray[np.float32]


@dataclass(frozen=True)
class CameraStyle:
    """How one camera renders colour; a sequence keeps its style.

    key: mean display brightness that exposure aims at, 0..1. white_balance: gains R, G, B.
    contrast: exponent around mid-grey. saturation: 1 is faithful. vignetting: darkening in the
    corners, 0..1. noise: read noise of display values, 0..1. blur_px: Gaussian sigma.
    sharpen: strength of an unsharp mask. jpeg_quality: 1..100, 0 leaves the image uncompressed.
    """

    key: float = 0.46
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    saturation: float = 1.0
    vignetting: float = 0.0
    noise: float = 0.0
    blur_px: float = 0.0
    sharpen: float = 0.0
    jpeg_quality: int = 0


def random_style(rng: Rng) -> CameraStyle:
    """A random camera; one in eight is clean."""
    key = float(np.clip(rng.normal(0.5, 0.1), 0.22, 0.75))
    if rng.random() < 0.125:
        return CameraStyle(key=key)
    warmth, tint = rng.normal(0, 0.1), rng.normal(0, 0.04)
    return CameraStyle(
        key=key,
        white_balance=(float(np.exp(warmth)), float(np.exp(tint)), float(np.exp(-warmth))),
        contrast=float(rng.uniform(0.85, 1.25)),
        saturation=float(rng.uniform(0.6, 1.3)),
        vignetting=float(rng.uniform(0, 0.45)) if rng.random() < 0.6 else 0.0,
        noise=float(rng.exponential(0.012)),
        blur_px=float(abs(rng.normal(0, 0.6))) if rng.random() < 0.5 else 0.0,
        sharpen=float(rng.uniform(0, 1.0)) if rng.random() < 0.5 else 0.0,
        jpeg_quality=int(rng.integers(35, 97)) if rng.random() < 0.8 else 0,
    )


def exposure_gain(radiance: Float, key: float) -> float:
    """The factor that brings the mean display value (square-root coded, clipped) to ``key``."""
    small = radiance[::4, ::4].mean(-1)
    gain = (key / max(float(np.sqrt(small).mean()), 1e-4)) ** 2
    for _ in range(4):  # clipping makes bright scenes darker than asked
        mean = float(np.sqrt((small * gain).clip(0, 1)).mean())
        gain *= (key / max(mean, 1e-4)) ** 1.5
    # Cameras protect highlights: four fifths of the picture stay below clipping.
    return float(min(gain, 1.2 / max(float(np.percentile(small, 80)), 1e-6)))


def develop(radiance: Float, style: CameraStyle, rng: Rng, *, gain: float | None = None,
            motion_px: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.uint8]:  # fmt: skip
    """Linear H×W×3 to uint8 RGB. ``motion_px`` is the smear (x, y) during exposure."""
    size_scale = radiance.shape[1] / 256
    image = radiance * np.float32(exposure_gain(radiance, style.key) if gain is None else gain)
    image = image * np.asarray(style.white_balance, np.float32)
    if style.vignetting:
        image = image * _vignette(radiance.shape[0], radiance.shape[1], style.vignetting)
    if np.hypot(*motion_px) > 0.7:
        image = cv2.filter2D(image, -1, _smear(motion_px))
    if style.blur_px * size_scale > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), style.blur_px * size_scale)
    value = np.sqrt(np.maximum(image, 0))
    if style.contrast != 1.0:
        value = np.where(value < 1, 0.5 * (2 * value.clip(0, 1)) ** style.contrast, value)
    if style.saturation != 1.0:
        grey = value.mean(-1, keepdims=True)
        value = grey + np.float32(style.saturation) * (value - grey)
    # A soft shoulder: sensors roll off before they clip.
    value = np.where(value > 0.85, 0.85 + 0.15 * np.tanh((value - 0.85) / 0.15), value)
    if style.sharpen:
        soft = cv2.GaussianBlur(value.astype(np.float32), (0, 0), 1.0)
        value = value + np.float32(style.sharpen) * (value - soft)
    if style.noise:
        value = value + _sensor_noise(value.shape, style.noise, rng)
    picture = (value * 255 + 0.5).clip(0, 255).astype(np.uint8)
    return _jpeg(picture, style.jpeg_quality) if style.jpeg_quality else picture


def _sensor_noise(shape: tuple[int, ...], sigma: float, rng: Rng) -> Float:
    """Grain shared by the channels plus coloured grain."""
    shared = rng.standard_normal(shape[:2], dtype=np.float32)[..., None]
    own = rng.standard_normal(shape, dtype=np.float32)
    return np.float32(sigma) * (np.float32(0.7) * shared + np.float32(0.7) * own)


def _vignette(height: int, width: int, strength: float) -> Float:
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return (1 - strength * ((x * x + y * y) / 2) ** 1.5)[..., None].astype(np.float32)


def _smear(motion_px: tuple[float, float]) -> Float:
    reach = int(np.ceil(max(abs(motion_px[0]), abs(motion_px[1])) / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for t in np.linspace(-0.5, 0.5, 4 * reach + 1):
        x, y = reach + t * motion_px[0], reach + t * motion_px[1]
        x0, y0 = int(np.floor(x)), int(np.floor(y))
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            weight = (1 - abs(x - x0 - dx)) * (1 - abs(y - y0 - dy))
            if 0 <= x0 + dx < kernel.shape[1] and 0 <= y0 + dy < kernel.shape[0]:
                kernel[y0 + dy, x0 + dx] += weight
    return kernel / kernel.sum()


def _jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def is_blank(picture: NDArray[np.uint8], depth_m: Float) -> bool:
    """Whether a frame teaches nothing: nearly one colour, nearly black or white, or no depth."""
    grey = picture.mean(-1)
    spread = float(np.percentile(grey, 97) - np.percentile(grey, 3))
    valid = np.isfinite(depth_m)
    if valid.mean() < 0.9 or spread < 14 or not 12 < grey.mean() < 243:
        return True
    return bool(np.percentile(depth_m[valid], 5) < 0.12)
