"""Whether a frame, and what the network answers to it, can be used at all."""

from __future__ import annotations

import numpy as np

from gam_depth_ros.core.camera import CameraError, Intrinsics
from gam_depth_ros.core.frame import Frame
from gam_depth_ros.core.image_layout import ImageError, check_size
from gam_depth_ros.core.model_spec import NetworkOutput


class FrameError(ValueError):
    """A frame cannot be processed; the pipeline goes on. One line: got, expected, remedy."""


def check_frame(frame: Frame) -> None:
    """Raise FrameError unless the picture and the stamp can be used."""
    rgb = frame.rgb
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.shape[2:] != (3,):
        got = f"{rgb.shape} {rgb.dtype}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise FrameError(f"image: got {got}, expected H×W×3 uint8 RGB; decode it with image_codec")
    try:
        check_size(*rgb.shape[:2])
    except ImageError as error:
        raise FrameError(str(error)) from error
    if frame.stamp_ns < 0:
        raise FrameError(
            f"image: got stamp {frame.stamp_ns} ns, expected zero or later; "
            "check the camera's clock"
        )


def fitting_intrinsics(frame: Frame) -> tuple[Intrinsics | None, tuple[str, ...]]:
    """Return the calibration if it is for the picture's size, else None and a note."""
    if frame.intrinsics is None:
        return None, ()
    try:
        frame.intrinsics.require_size(frame.rgb.shape[:2])
    except CameraError as error:
        return None, (str(error),)
    return frame.intrinsics, ()


def check_answer(output: NetworkOutput) -> None:
    """Raise FrameError unless depth and sigma are numbers that can be used."""
    usable = bool((output.depth > 0).all() and (output.sigma >= 0).all())
    if not (usable and np.isfinite(output.depth).all() and np.isfinite(output.sigma).all()):
        raise FrameError(
            "network: got depth or sigma that is not finite and positive, expected numbers; "
            "check the model and the provider's precision"
        )
