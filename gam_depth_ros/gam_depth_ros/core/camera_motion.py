"""How the camera moved since the frame before, where odometry tells it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gam_depth_ros.core.camera import CameraError
from gam_depth_ros.core.frame import Frame
from gam_depth_ros.core.frame_check import fitting_intrinsics
from gam_depth_ros.core.optical_flow import Motion, rigid_flow


class CameraMotion:
    """Remembers where the camera was."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget where it was."""
        self._odom_T_last: npt.NDArray[np.float64] | None = None

    def since_last(
        self, frame: Frame, depth: npt.NDArray[np.float32], metres_per_unit: float
    ) -> Motion | None:
        """Return the motion of a scene that stands still; call it once for each frame, in order.

        Args:
            frame: With the camera's pose and calibration, else the picture itself has to tell.
            depth: h×w float32 up to scale, on the grid that the motion is wanted on.
            metres_per_unit: The scale; NaN while it is unknown.

        Returns:
            None where it cannot be told.
        """
        last, self._odom_T_last = self._odom_T_last, frame.odom_T_camera
        intrinsics, _ = fitting_intrinsics(frame)
        if last is None or frame.odom_T_camera is None or intrinsics is None:
            return None
        if not np.isfinite(metres_per_unit):
            return None
        try:
            grid = intrinsics.resized(depth.shape[1], depth.shape[0])
        except CameraError:
            return None
        last_T_now = np.linalg.inv(last) @ frame.odom_T_camera  # noqa: N806
        return rigid_flow(depth * np.float32(metres_per_unit), grid, last_T_now)
