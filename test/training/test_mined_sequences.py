"""What `gam-depth mine` writes is what training reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.evaluation.stretch_writer import StretchInfo, StretchWriter
from gam_depth_training.sequences import read_sequence_folders


def test_a_mined_stretch_is_a_clip_of_training(tmp_path: Path) -> None:
    camera = Intrinsics(64, 48, 60.0, 61.0, 31.5, 23.5, "plumb_bob", (0.1, 0.0, 0.0, 0.0, 0.0))
    writer = StretchWriter(tmp_path / "bag_000002", camera)
    for index in range(9):
        rgb = np.full((48, 64, 3), 20 * index, np.uint8)
        writer.add(rgb, None, (100 + index) * 10**8, "test")
    writer.finish(StretchInfo(frame_gap=2, room="kitchen", source="bag", picked={}))
    (clip,) = read_sequence_folders([tmp_path])  # four frames on either side: one clip
    assert clip.key == "bag_000002/000004"
    assert [path.stem for path in clip.frames] == ["000000", "000002", "000004", "000006", "000008"]
    assert clip.group == "kitchen"
