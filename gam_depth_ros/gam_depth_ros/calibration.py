"""The calibration of a camera as its driver publishes it, again and again."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo

from gam_depth_ros import messages
from gam_depth_ros.core.camera import Intrinsics


class Calibration:
    """The newest usable camera_info of one camera.

    Args:
        rectified: Whether its images are rectified.
    """

    def __init__(self, rectified: bool) -> None:
        self._rectified = rectified
        self.message: CameraInfo | None = None
        self.intrinsics: Intrinsics | None = None

    def update(self, info: CameraInfo) -> str:
        """Take a calibration; returns one line if it replaces another one, else nothing.

        Raises:
            CameraError: It is unusable; the former one is kept.
        """
        former, before = self.message, self.intrinsics
        if former is not None and _same_calibration(info, former):
            return ""
        self.intrinsics = messages.to_intrinsics(info, self._rectified)
        self.message = info
        if before is None or before == self.intrinsics:
            return ""
        return f"changed from {_brief(before)} to {_brief(self.intrinsics)}"


def _same_calibration(info: CameraInfo, former: CameraInfo) -> bool:
    return all(
        (getattr(info, name) == getattr(former, name)) is True
        for name in ("width", "height", "distortion_model", "d", "binning_x", "binning_y", "roi")
    ) and bool((info.k == former.k).all() and (info.p == former.p).all())


def _brief(camera: Intrinsics) -> str:
    return (
        f"{camera.width}x{camera.height} fx {camera.fx:.1f} fy {camera.fy:.1f} cx {camera.cx:.1f} "
        f"cy {camera.cy:.1f} {camera.distortion_model}"
    )
