"""What the filter over time gains from odometry, against optical flow: recordings with known poses.

    python benchmarks/odometry_on_recordings.py FOLDERS

``poses.txt`` (TUM format, camera to world) plays the odometry: as it is, and with the noise of a
wheel odometry on every pose. The whole pipeline runs each time, with the scale learnt online.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gam_depth_ros.core.config import EngineConfig, OdometryConfig, PipelineConfig, TemporalConfig
from gam_depth_ros.core.odometry import Odometry, OdometryError, Pose
from gam_depth_ros.core.pipeline import load_pipeline
from gam_depth_ros.core.transforms import Extrinsics, TransformTree
from gam_depth_ros.evaluation.evaluate import evaluate
from gam_depth_ros.evaluation.sample import FrameFailure, Sample
from gam_depth_ros.evaluation.sequence_folder import FRAME_ID, FolderRecording

NOISE_M, NOISE_RAD = 0.005, 0.005


class PosedRecording(FolderRecording):
    """A sequence folder whose frames carry the pose of ``poses.txt``.

    Args:
        path: The folder.
        noise: Times the noise of an odometry that is added to every pose.
    """

    def __init__(self, path: Path, noise: float) -> None:
        super().__init__(path)
        self._noise = noise

    def samples(self) -> Iterator[Sample | FrameFailure]:
        """Yield the frames with their pose, where there is one."""
        odometry = Odometry(OdometryConfig(), TransformTree())
        poses = self._poses()
        for sample in super().samples():
            if isinstance(sample, FrameFailure):
                yield sample
                continue
            for pose in poses:
                odometry.add(pose)
                if pose.stamp_ns >= sample.frame.stamp_ns:
                    break
            try:
                known = odometry.odom_T_camera(sample.frame.stamp_ns, FRAME_ID)
            except OdometryError:
                known = None
            yield replace(sample, frame=replace(sample.frame, odom_T_camera=known))

    def _poses(self) -> Iterator[Pose]:
        rng = np.random.default_rng(0)
        for row in np.loadtxt(self.path / "poses.txt"):
            at = row[1:4] + self._noise * NOISE_M * rng.standard_normal(3)
            # Half an angle about each axis is, for small ones, the vector part of the rotation.
            half = self._noise * NOISE_RAD / 2 * rng.standard_normal(3)
            turn = _product(row[4:8], (*half, 1.0))
            yield Pose(round(row[0] * 1e9), "world", FRAME_ID, Extrinsics(tuple(at), turn))


def _product(one: Any, other: Any) -> tuple[float, float, float, float]:
    """Return the product of two quaternions (x, y, z, w)."""
    (ax, ay, az, aw), (bx, by, bz, bw) = one, other
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def row(path: Path, mode: str, noise: float | None, frames: int | None) -> str:
    """Evaluate a folder in one way and return its line of the table."""
    config = PipelineConfig(
        engine=EngineConfig(threads=1), temporal=replace(TemporalConfig(), mode=mode)
    )
    recording = FolderRecording(path) if noise is None else PosedRecording(path, noise)
    report = evaluate(recording, load_pipeline(None, config), max_frames=frames).report
    seen, depth = report["temporal"], report["depth"]["online_scale"]
    filter_ms = report["latency_ms"]["stages_p50"]["filter"]
    still = "–" if seen["flicker"] is None else f"{seen['flicker']:.4f}"
    return (
        f"{seen['opw']:.4f} | {still} | {seen['label_change']:.4f} | {depth['abs_rel']:.4f} | "
        f"{filter_ms:.1f}"
    )


def main() -> None:
    """Read the command line, evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="sequence folders with poses.txt")
    parser.add_argument("--frames", type=int, default=None, help="of each; default: all")
    options = parser.parse_args()
    print("recording | motion | OPW | flicker | labels that change | AbsRel | filter, ms")
    for path in options.folders:
        for name, mode, noise in (
            ("no filter", "off", None),
            ("optical flow", "flow", None),
            ("odometry", "flow", 0.0),
            ("odometry, noise 5 mm and 0.3 degrees", "flow", 1.0),
        ):
            print(f"{path.name} | {name} | {row(path, mode, noise, options.frames)}", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
