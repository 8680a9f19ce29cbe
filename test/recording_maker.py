"""Small made-up recordings: grey pictures, whose depth the tiny model is known to see."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.typesys import Stores, get_typestore

from gam_depth_ros.evaluation.bag import open_recording
from gam_depth_ros.evaluation.ros_types import ros2_types

WIDTH, HEIGHT = 64, 48
INTERVAL_S = 0.1


def grey_of(index: int) -> int:
    """Return the grey level of a frame."""
    return 20 + 15 * index


def picture(index: int) -> np.ndarray:
    """Return H×W×3 uint8: two halves of different grey, so that the depth has two values."""
    rgb = np.full((HEIGHT, WIDTH, 3), grey_of(index), np.uint8)
    rgb[:, WIDTH // 2 :] = 200
    return rgb


def truth_mm(index: int) -> np.ndarray:
    """Return H×W uint16 millimetres: a slope that differs from frame to frame, with holes."""
    rows = np.linspace(1000 + 50 * index, 3000, HEIGHT)[:, None]
    depth = np.broadcast_to(rows, (HEIGHT, WIDTH)).astype(np.uint16).copy()
    depth[:4, :4] = 0
    return depth


def make_sequence(
    path: Path,
    frames: int = 6,
    *,
    depth_every: int = 1,
    labels: bool = False,
    exact: bool = False,
    times: bool = True,
) -> Path:
    """Write a sequence folder.

    Args:
        path: Where.
        frames: Number of pictures.
        depth_every: Every how many frames have depth; 0 for none.
        labels: Write true labels: floor right, wall left.
        exact: Write exact depth.
        times: Fill in t_seconds.
    """
    for folder in ("color", "depth", "labels", "depth_exact"):
        (path / folder).mkdir(parents=True, exist_ok=True)
    intrinsics = {"width": WIDTH, "height": HEIGHT, "fx": 60.0, "fy": 61.0, "cx": 31.5, "cy": 23.5}
    (path / "intrinsics.json").write_text(json.dumps(intrinsics))
    lines = ["frame,source_file,t_seconds,has_depth,has_pose"]
    for index in range(frames):
        name = f"{index:06d}"
        has_depth = depth_every > 0 and index % depth_every == 0
        cv2.imwrite(str(path / "color" / f"{name}.png"), picture(index)[..., ::-1])
        if has_depth:
            cv2.imwrite(str(path / "depth" / f"{name}.png"), truth_mm(index))
        if exact:
            full = np.where(truth_mm(index) == 0, 1000, truth_mm(index)).astype(np.uint16)
            cv2.imwrite(str(path / "depth_exact" / f"{name}.png"), full)
        if labels:
            ids = np.full((HEIGHT, WIDTH), 11, np.uint8)
            ids[:, WIDTH // 2 :] = 4
            cv2.imwrite(str(path / "labels" / f"{name}.png"), ids)
        seconds = f"{1000 + INTERVAL_S * index:.6f}" if times else ""
        lines.append(f"{name},x,{seconds},{int(has_depth)},0")
    (path / "frames.csv").write_text("\n".join(lines) + "\n")
    return path


def write_ros1(sequence: Path, bag: Path) -> None:
    """Write a folder as a rosbag1."""
    store = get_typestore(Stores.ROS1_NOETIC)
    with Writer1(bag) as writer:
        connections: dict[str, object] = {}
        for message in open_recording(sequence).input_messages():
            if message.topic not in connections:
                connections[message.topic] = writer.add_connection(
                    message.topic, message.msgtype, typestore=store
                )
            data = ros2_types().cdr_to_ros1(message.data, message.msgtype)
            writer.write(connections[message.topic], message.bag_time_ns, data)
