"""InteriorNet's renderings: cam0/data and depth0/data in each sequence's folder.

Whether its depth is along the optical axis or along each pixel's ray is not settled among its
users; as in the published comparisons, values are taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_training.clip import DEFAULT_OFFSETS, Clip
from gam_depth_training.datasets.split_list import Recording, by_number, existing_depth
from gam_depth_training.datasets.targets import read_targets
from gam_depth_training.evaluation_frames import EvaluationRules
from gam_depth_training.frame_geometry import FrameGeometry

CAMERA = Intrinsics(640, 480, fx=600.0, fy=600.0, cx=320.0, cy=240.0)

RULES = EvaluationRules()
"""The whole picture; depth in millimetres."""


def read_list(
    split_list: Path, root: Path, offsets: Sequence[int] = DEFAULT_OFFSETS, gap: int = 1
) -> list[Clip]:
    """Return the clips of a split list.

    Args:
        split_list: A sequence (``3FO4IDEI1LAV_Bedroom/original_1_1``) or one of its pictures
            (``…/cam0/data/0000000000000000000.png``) a line.
        root: Folder of the scenes.
        offsets: Temporal offsets; (0,) for testing, which needs no neighbours.
        gap: Rendered frames between neighbours.

    Raises:
        ValueError: Sequences or pictures that are not there.
    """
    return read_targets(split_list, root, _recording, "cam0", offsets, gap)


def _recording(root: Path, name: str) -> Recording:
    folder = root / name
    return Recording(
        name=name,
        # Named by time, of different lengths.
        frames=by_number(folder / "cam0" / "data", "*.png", lambda path: int(path.stem)),
        geometry=FrameGeometry.whole(CAMERA),
        group=name.split("/")[0],
        depth_of=lambda path: existing_depth(folder / "depth0" / "data" / path.name),
    )
