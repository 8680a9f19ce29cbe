"""Where a lens puts a ray: the forward distortion models of ``sensor_msgs/CameraInfo``.

The way back, from a pixel to its ray, is :meth:`gam_depth_ros.core.camera.Intrinsics.rays`.

Rational model with thin prism and tilt, r² = x² + y²:
    x' = x (1 + k1 r² + k2 r⁴ + k3 r⁶) / (1 + k4 r² + k5 r⁴ + k6 r⁶)
         + 2 p1 x y + p2 (r² + 2 x²) + s1 r² + s2 r⁴, and y' likewise with p1, p2 swapped and s3, s4
(Brown 1966 for the terms of plumb_bob; Claus and Fitzgibbon 2005 for the quotient). Fisheye, with
theta = atan(r): r' = theta (1 + k1 theta² + k2 theta⁴ + k3 theta⁶ + k4 theta⁸) (Kannala and
Brandt 2006).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import Intrinsics

_RATIONAL = 14  # k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 tau_x tau_y, in the order of CameraInfo.d


def project(
    x: npt.NDArray[Any], y: npt.NDArray[Any], camera: Intrinsics
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the pixel coordinates of rays, pixel centres at whole numbers.

    Args:
        x: Undistorted x/z, any shape, float32 or float64.
        y: Undistorted y/z, same shape.
        camera: The camera that looks; its lens distortion is applied.

    Returns:
        Column and row, same shape and type as ``x``; NaN stays NaN.
    """
    x, y = distort(x, y, camera)
    return x * camera.fx + camera.cx, y * camera.fy + camera.cy


def distort(
    x: npt.NDArray[Any], y: npt.NDArray[Any], camera: Intrinsics
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Bend rays as the lens does.

    Args:
        x: Undistorted x/z, any shape, float32 or float64.
        y: Undistorted y/z, same shape.
        camera: The camera; only its distortion is used.

    Returns:
        Distorted x/z and y/z; the arguments themselves for a camera without distortion. Outside
        the field of view the polynomials mean nothing: see :func:`field_radius_sq`.
    """
    if camera.distortion_model == "none":
        return x, y
    if camera.distortion_model == "equidistant":
        return _fisheye(x, y, camera.distortion)
    return _rational(x, y, camera.distortion)


def field_radius_sq(camera: Intrinsics) -> float:
    """Return the largest x² + y² of any ray in the picture.

    Rays farther out are not seen, though a polynomial may fold them back into the picture.
    """
    rays = camera.rays()
    # The farthest ray lies on the border, wherever the principal point is.
    border = np.concatenate([rays[0], rays[-1], rays[:, 0], rays[:, -1]])
    return float(np.nanmax(np.square(border).sum(axis=-1)))


def _rational(
    x: npt.NDArray[Any], y: npt.NDArray[Any], coefficients: tuple[float, ...]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    padded = (*coefficients, *([0.0] * (_RATIONAL - len(coefficients))))
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4, tau_x, tau_y = padded
    r2 = x * x + y * y
    factor = ((k3 * r2 + k2) * r2 + k1) * r2 + 1.0
    if k4 or k5 or k6:
        factor /= ((k6 * r2 + k5) * r2 + k4) * r2 + 1.0
    bent_x, bent_y = x * factor, y * factor
    if p1 or p2:
        xy2 = 2.0 * x * y
        bent_x += p1 * xy2 + p2 * (r2 + 2.0 * x * x)
        bent_y += p2 * xy2 + p1 * (r2 + 2.0 * y * y)
    if s1 or s2 or s3 or s4:
        bent_x += (s2 * r2 + s1) * r2
        bent_y += (s4 * r2 + s3) * r2
    return _tilt(bent_x, bent_y, tau_x, tau_y) if tau_x or tau_y else (bent_x, bent_y)


def _tilt(
    x: npt.NDArray[Any], y: npt.NDArray[Any], tau_x: float, tau_y: float
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Project onto a sensor turned by ``tau_x`` about x, then by ``tau_y`` about y."""
    cx, sx, cy, sy = math.cos(tau_x), math.sin(tau_x), math.cos(tau_y), math.sin(tau_y)
    # The turned ray R (x, y, 1), R = Ry(-tau_y) Rx(-tau_x), seen along the turned axis again.
    turned_x = cy * x + sy * sx * y - sy * cx
    turned_y = cx * y + sx
    turned_z = sy * x - cy * sx * y + cy * cx
    r13, r23, r33 = -sy * cx, sx, cy * cx
    return (
        (r33 * turned_x - r13 * turned_z) / turned_z,
        (r33 * turned_y - r23 * turned_z) / turned_z,
    )


def _fisheye(
    x: npt.NDArray[Any], y: npt.NDArray[Any], coefficients: tuple[float, ...]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    k1, k2, k3, k4 = coefficients
    r = np.sqrt(x * x + y * y)
    theta = np.arctan(r)
    t2 = theta * theta
    bent = theta * ((((k4 * t2 + k3) * t2 + k2) * t2 + k1) * t2 + 1.0)
    # On the axis theta / r is 1.
    factor = np.divide(bent, r, out=np.ones_like(r), where=r > 0)
    return x * factor, y * factor
