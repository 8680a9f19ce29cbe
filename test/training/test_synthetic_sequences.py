"""Rendered sequences: the recorded format, determinism, depth and poses that explain each other."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("embreex")

from gam_depth_training.synthetic import (
    write_sequence,
)
from gam_depth_training.synthetic.camera_path import quaternion_xyzw
from gam_depth_training.synthetic.mesh import rotation


@pytest.fixture(scope="module")
def sequence(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sequences") / "robot"
    return write_sequence(folder, 4, frames=4, size_hw=(120, 160), motion="hand", reference="exact")


def test_sequence_has_the_recorded_format(sequence):
    with (sequence / "frames.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == [f"{index:06d}" for index in range(4)]
    assert set(rows[0]) == {"frame", "source_file", "t_seconds", "has_depth", "has_pose"}
    about = json.loads((sequence / "intrinsics.json").read_text())
    assert (about["width"], about["height"], about["depth_scale"]) == (160, 120, 1000.0)
    poses = np.loadtxt(sequence / "poses.txt")
    assert poses.shape == (4, 8)
    np.testing.assert_allclose(np.linalg.norm(poses[:, 4:], axis=1), 1, atol=1e-5)
    for row in rows:
        name = row["frame"]
        assert cv2.imread(str(sequence / "color" / f"{name}.jpg")).shape == (120, 160, 3)
        exact = cv2.imread(str(sequence / "depth_exact" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert exact.dtype == np.uint16
        assert (exact > 0).mean() > 0.95
        label = cv2.imread(str(sequence / "labels" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(label)) <= {*range(13), 255}


def test_sequence_bytes_do_not_depend_on_the_number_of_workers(sequence, tmp_path):
    parallel = write_sequence(
        tmp_path / "robot",
        4,
        frames=4,
        size_hw=(120, 160),
        motion="hand",
        reference="exact",
        workers=2,
    )
    for path in sorted(sequence.rglob("*")):
        if path.is_file():
            assert (parallel / path.relative_to(sequence)).read_bytes() == path.read_bytes(), path


def _pose(row):
    x, y, z, w = row[4:]
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, row[1:4]
    return pose


def test_warping_with_depth_pose_and_intrinsics_explains_the_next_frame(sequence):
    about = json.loads((sequence / "intrinsics.json").read_text())
    camera = np.array([[about["fx"], 0, about["cx"]], [0, about["fy"], about["cy"]], [0, 0, 1]])
    poses = [_pose(row) for row in np.loadtxt(sequence / "poses.txt")]
    colour = [
        cv2.imread(str(sequence / "color" / f"{i:06d}.jpg")).astype(np.float32) for i in range(4)
    ]
    depth = cv2.imread(str(sequence / "depth_exact/000000.png"), cv2.IMREAD_UNCHANGED) / 1000
    v, u = np.mgrid[0:120, 0:160]
    rays = np.linalg.inv(camera) @ np.stack([u.ravel(), v.ravel(), np.ones(u.size)])
    points = np.vstack([rays * depth.ravel(), np.ones(u.size)])
    moved = (np.linalg.inv(poses[3]) @ poses[0] @ points)[:3]
    pixel = (camera @ moved)[:2] / np.maximum(moved[2], 1e-6)
    at = pixel.reshape(2, 120, 160).astype(np.float32)
    warped = cv2.remap(colour[3], at[0], at[1], cv2.INTER_LINEAR)
    inside = (at[0] > 1) & (at[0] < 158) & (at[1] > 1) & (at[1] < 118)
    still = np.abs(colour[3] - colour[0])[inside].mean()
    explained = np.abs(warped - colour[0])[inside].mean()
    assert inside.mean() > 0.3
    assert explained < 0.5 * still


def test_a_word_that_is_no_motion_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected one of"):
        write_sequence(tmp_path / "x", 1, frames=2, motion="drone")
    with pytest.raises(ValueError, match="expected one of"):
        write_sequence(tmp_path / "x", 1, frames=2, reference="lidar")


@pytest.mark.parametrize("angles", [(0.3, -0.5, 2.8), (3.1, 0.1, 0.0), (0.0, 1.5, -3.0)])
def test_quaternion_turns_back_into_the_matrix(angles):
    matrix = rotation(*angles).astype(float)
    row = np.concatenate([[0, 0, 0, 0], quaternion_xyzw(matrix)])
    np.testing.assert_allclose(_pose(row)[:3, :3], matrix, atol=1e-6)
