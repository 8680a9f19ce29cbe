"""Flat frames and references for tests of the scale."""


import numpy as np

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.frame import ReferenceDepth
from gam_depth_ros.core.scale_alignment import (
    ScaleObservation,
)

SECOND = 1_000_000_000
STEP = SECOND // 10
HW = (20, 30)
GENERATOR = np.random.default_rng(0)
CAMERA = Intrinsics(30, 20, 20.0, 20.0, 14.5, 9.5)
FLOOR = 4


def seen(stamp_ns, metres=None, *, depth=1.5, sigma=None, labels=None, reference_ns=None):
    """A frame with a flat network depth and, if metres are given, a reference."""
    reference = None
    if metres is not None:
        depth_m = np.full(HW, metres, np.float32) if np.isscalar(metres) else metres
        at = stamp_ns if reference_ns is None else reference_ns
        reference = ReferenceDepth(depth_m, at, "camera")
    nothing = np.empty((0, 0), np.float32)
    return ScaleObservation(
        stamp_ns=stamp_ns,
        rgb=np.full((*HW, 3), stamp_ns // STEP % 2, np.uint8),
        depth=np.full(HW, depth, np.float32) if np.isscalar(depth) else depth,
        sigma_log=nothing if sigma is None else sigma,
        labels=np.empty((0, 0), np.uint8) if labels is None else labels,
        label_confidence=nothing if labels is None else np.ones(HW, np.float32),
        intrinsics=CAMERA,
        reference=reference,
    )
