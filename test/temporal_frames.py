"""Small frames for the filter over time."""

from __future__ import annotations

import cv2
import numpy as np

from gam_depth_ros.core.temporal_config import TemporalConfig

SIZE = (24, 32)
SIGMA = 0.2
FRAME_NS = 100_000_000
PICTURE = np.random.default_rng(3).integers(0, 255, (*SIZE, 3), np.uint8)
POSTER = cv2.resize(PICTURE, (128, 96), interpolation=cv2.INTER_CUBIC)
LABELS = np.full(SIZE, 3, np.uint8)
BOX = (slice(6, 14), slice(8, 16))
# Without the part for whole frames the filter is one of single pixels alone.
PIXELS_ONLY = TemporalConfig(mode="still", frame_time_s=0.0)


def image(value):
    return np.full(SIZE, value, np.float32)


def feed(filter_, frame, depth, *, picture=PICTURE, sigma=SIGMA, labels=LABELS, sure=0.8, **more):
    sigma = image(sigma) if np.isscalar(sigma) else sigma
    return filter_.update(frame * FRAME_NS, picture, depth, sigma, labels, image(sure), **more)


def noisy_scene(seed, frames, noise=0.04):
    rng = np.random.default_rng(seed)
    return np.exp(rng.normal(0.7, noise, (frames, *SIZE))).astype(np.float32)
