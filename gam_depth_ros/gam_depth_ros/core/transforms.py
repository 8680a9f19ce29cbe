"""Where frames stand in each other: rigid motions, and the tree of those that never change."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_MOST_HOPS = 64
# Beyond these the arithmetic runs over; far beyond what any unit quaternion or robot shows.
_QUATERNION_LENGTHS = (1e-3, 1e3)
_FARTHEST_M = 1e9

Matrix = npt.NDArray[np.float64]


class TransformError(ValueError):
    """Numbers that are no rigid motion. One line: got, expected, remedy."""


@dataclass(frozen=True)
class Extrinsics:
    """A rigid motion ``target_T_source``: p_target = R p_source + t.

    Attributes:
        translation_m: Position of the source's origin in the target frame, metres.
        rotation_xyzw: Orientation of the source in the target frame, unit quaternion.
    """

    translation_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation_xyzw: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)

    def is_rigid(self) -> bool:
        """Whether the quaternion is one of a rotation and the translation one within 1e9 m."""
        shortest, longest = _QUATERNION_LENGTHS
        turns = shortest <= math.hypot(*self.rotation_xyzw) <= longest
        return turns and math.hypot(*self.translation_m) <= _FARTHEST_M

    def matrix(self) -> Matrix:
        """Return the 4×4 float64 homogeneous matrix; the quaternion is normalised first."""
        norm = math.hypot(*self.rotation_xyzw)
        x, y, z, w = (value / norm for value in self.rotation_xyzw)
        matrix = np.eye(4)
        matrix[:3, :3] = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
        matrix[:3, 3] = self.translation_m
        return matrix


class TransformTree:
    """The static transforms heard of. One thread may add while another one asks."""

    def __init__(self) -> None:
        self._parents: dict[str, tuple[str, Matrix]] = {}

    def add(self, parent: str, child: str, parent_T_child: Extrinsics) -> None:  # noqa: N803
        """Learn the pose of the frame ``child`` in ``parent``; a newer one replaces it.

        Raises:
            TransformError: it holds no rigid motion; one line.
        """
        if not parent_T_child.is_rigid():
            raise TransformError(
                f"transform from '{child}' to '{parent}': got translation "
                f"{list(parent_T_child.translation_m)} and quaternion "
                f"{list(parent_T_child.rotation_xyzw)}, expected finite numbers and a rotation; "
                "check who publishes it on /tf_static"
            )
        # A new dictionary: another thread may be walking the old one.
        self._parents = {
            **self._parents,
            _plain(child): (_plain(parent), parent_T_child.matrix()),
        }

    def between(self, target: str, source: str) -> Matrix | None:
        """Return the 4×4 ``target_T_source``; None where no chain joins the two frames."""
        target, source = _plain(target), _plain(source)
        if target == source:
            return np.eye(4)
        parents = self._parents
        target_chain, source_chain = _chain(parents, target), _chain(parents, source)
        for ancestor, ancestor_T_target in target_chain.items():  # noqa: N806
            if ancestor in source_chain:
                return np.linalg.inv(ancestor_T_target) @ source_chain[ancestor]
        return None


def _plain(frame_id: str) -> str:
    """Return a frame without the leading slash that ROS 1 gave it."""
    return frame_id.removeprefix("/")


def _chain(parents: dict[str, tuple[str, Matrix]], frame_id: str) -> dict[str, Matrix]:
    """Return ancestor_T_frame for a frame and all above it, nearest first."""
    chain = {frame_id: np.eye(4)}
    for _ in range(_MOST_HOPS):  # a loop in what others publish must not hang this node
        if frame_id not in parents:
            break
        parent, parent_T_child = parents[frame_id]  # noqa: N806
        chain[parent] = parent_T_child @ chain[frame_id]
        frame_id = parent
    return chain
