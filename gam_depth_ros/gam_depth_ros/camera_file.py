"""A camera's topics and quirks, from a file in ``config/cameras``: what the launch files apply.

base: camera/camera           # what the driver's topics have in common; may be empty
frame: camera_color_optical_frame
topics: {image: color/image_raw, camera_info: color/camera_info}
parameters: {}                # of the node, before those of params_file
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gam_depth_ros import topics
from gam_depth_ros.plain_file import PlainFileError, read_yaml

# Our topics by the names that camera files and launch arguments have for them.
INPUTS = {
    "image": topics.IMAGE.name,
    "camera_info": topics.CAMERA_INFO.name,
    "reference_depth": topics.REFERENCE_DEPTH.name,
    "reference_camera_info": topics.REFERENCE_CAMERA_INFO.name,
    "odometry": topics.ODOMETRY.name,
}
_KEYS = {"base": str, "frame": str, "topics": dict, "parameters": dict}


class CameraFileError(ValueError):
    """A camera file cannot be used. One line: got, expected, remedy."""


@dataclass(frozen=True)
class CameraFile:
    """One camera.

    Attributes:
        base: Prefix of the driver's topics; relative to the node's namespace without a slash.
        frame: frame_id of its colour images, for viewers.
        topics: Topic of the driver by the keys of ``INPUTS``; those not there are not connected.
        parameters: Parameters of the node that this camera needs, nested as in a params file.
    """

    base: str
    frame: str
    topics: Mapping[str, str]
    parameters: Mapping[str, Any]

    def resolved(self, base: str = "", given: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the topic for each key of ``INPUTS``.

        Args:
            base: Instead of the file's own; empty: the file's own.
            given: Topics that win over the file's, by the same keys; empty ones do not count.
        """
        prefix = (base or self.base).rstrip("/")
        found = dict(INPUTS)
        for key, name in self.topics.items():
            absolute = name.startswith("/") or not prefix
            found[key] = name if absolute else f"{prefix}/{name}"
        return found | {key: name for key, name in (given or {}).items() if name}


ANY_CAMERA = CameraFile("", "", {}, {})
"""No camera file: every topic keeps the node's own name."""


def read_camera(name: str, folder: Path) -> CameraFile:
    """Read a camera file.

    Args:
        name: Path of a file, or the name of one in ``folder`` without its ending; empty: none.
        folder: Where the shipped ones lie.

    Raises:
        CameraFileError: It is not there or says something else than a camera; one line.
    """
    if not name:
        return ANY_CAMERA
    path = Path(name) if "/" in name or name.endswith(".yaml") else folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(entry.stem for entry in folder.glob("*.yaml")))
        raise CameraFileError(f"camera: got '{name}', expected a YAML file or one of {known}")
    try:
        content = read_yaml(path)
    except PlainFileError as error:
        raise CameraFileError(f"{path}: {error}; correct the file") from error
    return _camera(path, content)


def _camera(path: Path, content: Any) -> CameraFile:
    if not isinstance(content, dict) or not set(content) <= set(_KEYS):
        got = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise CameraFileError(f"{path}: got {got}, expected {', '.join(_KEYS)}; correct the file")
    values = {key: content.get(key) or kind() for key, kind in _KEYS.items()}
    wrong = [key for key, kind in _KEYS.items() if not isinstance(values[key], kind)]
    if wrong:
        raise CameraFileError(
            f"{path}: got {wrong[0]} {values[wrong[0]]!r}, expected a {_KEYS[wrong[0]].__name__}; "
            "correct the file"
        )
    names = values["topics"]
    if not (set(names) <= set(INPUTS) and all(isinstance(name, str) for name in names.values())):
        raise CameraFileError(
            f"{path}: got topics {names}, expected names for some of {', '.join(INPUTS)}; "
            "correct the file"
        )
    return CameraFile(**values)
