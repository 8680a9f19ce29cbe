"""Sequences as a robot or a hand would record them, in the folder format of recorded sequences.

``color/NNNNNN.jpg``, ``depth/NNNNNN.png`` (16-bit millimetres as a sensor reports them, 0 missing),
``depth_exact/NNNNNN.png`` (16-bit millimetres, exact), ``labels/NNNNNN.png`` (NYU-13 ids, 255
unlabelled), ``intrinsics.json``, ``frames.csv``, ``poses.txt`` (TUM format, camera-to-world, z up).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from .camera_path import MOTIONS, camera_path, quaternion_xyzw
from .colour_noise import CameraStyle, develop, exposure_gain, random_style
from .depth_noise import REFERENCES, SENSORS, sensor_depth, to_millimetres
from .render import Pinhole, render_view
from .scene import build_scene
from .surface import Tracer
from .textures import make_texture_bank

_ROOMS_TRIED = 50
_FOLDERS = ("color", "depth", "depth_exact", "labels")


@dataclass(frozen=True)
class SequenceRecipe:
    """Everything that decides a sequence's bytes.

    size_hw: rows, columns. motion: "robot" or "hand". reference: "kinect", "realsense" or "exact".
    """

    seed: int
    frames: int
    size_hw: tuple[int, int]
    fps: float
    motion: str
    reference: str


@dataclass(frozen=True)
class _Plan:
    """A recipe, carried out up to rendering."""

    recipe: SequenceRecipe
    room_seed: tuple[int, ...]
    camera: Pinhole
    poses: NDArray[np.float64]
    style: CameraStyle
    gains: NDArray[np.float64]


def _make_plan(recipe: SequenceRecipe) -> tuple[_Plan, Tracer]:
    """Find a room with space for the path; choose camera, path, style and exposure."""
    bank = make_texture_bank(recipe.seed)
    rng = np.random.default_rng([recipe.seed, 0x5E90])
    height, width = recipe.size_hw
    fov = np.deg2rad(rng.uniform(55, 72))
    focal = float(np.round(width / 2 / np.tan(fov / 2), 2))
    camera = Pinhole((focal, focal), ((width - 1) / 2, (height - 1) / 2), recipe.size_hw)
    style = replace(random_style(rng), jpeg_quality=0)
    style = replace(style, blur_px=min(style.blur_px, 0.4))
    for room in range(_ROOMS_TRIED):
        room_seed = (recipe.seed, 0x200A, room)
        tracer = Tracer(build_scene(bank, list(room_seed)))
        poses = camera_path(rng, tracer, recipe.frames, recipe.fps, recipe.motion, focal / width)
        if poses is not None:
            gains = _exposures(tracer, camera, poses, style.key, recipe)
            return _Plan(recipe, room_seed, camera, poses, style, gains), tracer
    raise RuntimeError(
        f"no path of {recipe.frames} frames in {_ROOMS_TRIED} rooms: ask for fewer frames"
    )


def _exposures(tracer: Tracer, camera: Pinhole, poses: NDArray[np.float64], key: float,
               recipe: SequenceRecipe) -> NDArray[np.float64]:  # fmt: skip
    """Auto-exposure that follows the scene slowly: gains of small previews, smoothed over 2 s."""
    height, width = 48, 64
    focal = camera.focal_px[0] * width / recipe.size_hw[1]
    small = Pinhole((focal, focal), ((width - 1) / 2, (height - 1) / 2), (height, width))
    at = np.unique(np.append(np.arange(0, len(poses), 5), len(poses) - 1))
    rng = np.random.default_rng([recipe.seed, 0xE4])
    logs = [
        np.log(exposure_gain(render_view(tracer, small, poses[i], rng).radiance, key)) for i in at
    ]
    every = np.interp(np.arange(len(poses)), at, logs)
    reach = max(1, round(recipe.fps))
    padded = np.pad(every, reach, mode="edge")
    kernel = np.ones(2 * reach + 1) / (2 * reach + 1)
    return np.exp(np.convolve(padded, kernel, mode="valid"))


def _write_frame(plan: _Plan, tracer: Tracer, out_dir: Path, index: int) -> float:
    """Render and write one frame; returns the share of pixels with a reference reading."""
    recipe = plan.recipe
    rng = np.random.default_rng([recipe.seed, 0xF7A, index])
    view = render_view(tracer, plan.camera, plan.poses[index], rng)
    rgb = develop(view.radiance, plan.style, rng, gain=float(plan.gains[index]),
                  motion_px=_motion_px(plan, index))  # fmt: skip
    exact = to_millimetres(view.depth_m)
    sensor = SENSORS.get(recipe.reference)
    depth = exact if sensor is None else sensor_depth(sensor, view.depth_m, view.label, rgb, rng)
    name = f"{index:06d}"
    _save(out_dir / "color" / f"{name}.jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 93])
    _save(out_dir / "depth" / f"{name}.png", depth)
    _save(out_dir / "depth_exact" / f"{name}.png", exact)
    _save(out_dir / "labels" / f"{name}.png", view.label)
    return float((depth > 0).mean())


def _save(path: Path, image: NDArray[np.generic], options: list[int] | None = None) -> None:
    if not cv2.imwrite(str(path), image, options or []):
        raise OSError(f"cannot write {path}: check that the folder exists and the disk has space")


def _motion_px(plan: _Plan, index: int) -> tuple[float, float]:
    """Smear at the image centre during a tenth of the frame interval."""
    if index == 0:
        return 0.0, 0.0
    before, now = plan.poses[index - 1][:3, :3], plan.poses[index][:3, :3]
    x, y, z = before.T @ now[:, 2]
    focal = plan.camera.focal_px[0]
    return float(0.1 * focal * x / z), float(0.1 * focal * y / z)


_worker: tuple[_Plan, Tracer, Path] | None = None


def _start_worker(plan: _Plan, out_dir: Path) -> None:
    """Rebuild the room once in this process."""
    global _worker  # noqa: PLW0603  - a pool's workers can only keep state in their module
    cv2.setNumThreads(1)
    bank = make_texture_bank(plan.recipe.seed)
    _worker = plan, Tracer(build_scene(bank, list(plan.room_seed))), out_dir


def _write_in_worker(index: int) -> float:
    if _worker is None:
        raise RuntimeError("the worker has no room: start it with _start_worker")
    plan, tracer, out_dir = _worker
    return _write_frame(plan, tracer, out_dir, index)


def _written(plan: _Plan, tracer: Tracer, out_dir: Path, workers: int) -> Iterator[float]:
    """Write all frames, here or in a pool; yields each frame's share of valid readings."""
    indices = range(plan.recipe.frames)
    if workers <= 1:
        yield from (_write_frame(plan, tracer, out_dir, index) for index in indices)
        return
    # Spawned, not forked: a parent that already runs threads (torch) must not be copied.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (plan, out_dir))
    with pool:
        yield from pool.map(_write_in_worker, indices)


def write_sequence(
    out_dir: Path,
    seed: int,
    frames: int = 120,
    size_hw: tuple[int, int] = (480, 640),
    fps: float = 10,
    motion: str = "robot",
    reference: str = "kinect",
    workers: int = 1,
) -> Path:
    """Write one sequence folder; the same arguments give the same bytes for any ``workers``.

    ``motion`` is "robot" or "hand"; ``reference`` is what ``depth/`` holds: "kinect", "realsense"
    or "exact". Raises ValueError for other words. Returns the folder.
    """
    if motion not in MOTIONS:
        raise ValueError(f"motion is {motion!r}, expected one of {MOTIONS}")
    if reference not in REFERENCES:
        raise ValueError(f"reference is {reference!r}, expected one of {REFERENCES}")
    cv2.setNumThreads(1)
    out_dir = Path(out_dir)
    for folder in _FOLDERS:
        (out_dir / folder).mkdir(parents=True, exist_ok=True)
    recipe = SequenceRecipe(seed, frames, tuple(size_hw), fps, motion, reference)
    plan, tracer = _make_plan(recipe)
    shares = list(track(_written(plan, tracer, out_dir, workers), out_dir.name, total=frames))
    _write_tables(plan, out_dir, float(np.mean(shares)))
    return out_dir


def _write_tables(plan: _Plan, out_dir: Path, valid_ratio: float) -> None:
    """frames.csv, poses.txt and intrinsics.json."""
    recipe = plan.recipe
    times = [f"{index / recipe.fps:.6f}" for index in range(recipe.frames)]
    with (out_dir / "frames.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["frame", "source_file", "t_seconds", "has_depth", "has_pose"])
        for index, time in enumerate(times):
            writer.writerow([f"{index:06d}", f"synthetic/seed{recipe.seed}/{index}", time, 1, 1])
    lines = ["# camera-to-world of the colour camera, TUM format: t tx ty tz qx qy qz qw (metres)"]
    for time, pose in zip(times, plan.poses, strict=True):
        numbers = [*pose[:3, 3], *quaternion_xyzw(pose[:3, :3])]
        lines.append(" ".join([time, *(f"{number:.6f}" for number in numbers)]))
    (out_dir / "poses.txt").write_text("\n".join(lines) + "\n")
    (out_dir / "intrinsics.json").write_text(json.dumps(_intrinsics(plan, valid_ratio), indent=1))


def _intrinsics(plan: _Plan, valid_ratio: float) -> dict[str, object]:
    """The keys that recorded sequences carry."""
    recipe, camera = plan.recipe, plan.camera
    return {
        "fx": camera.focal_px[0],
        "fy": camera.focal_px[1],
        "cx": camera.center_px[0],
        "cy": camera.center_px[1],
        "width": recipe.size_hw[1],
        "height": recipe.size_hw[0],
        "depth_scale": 1000.0,
        "depth_unit": "millimetres, 0 = no reading",
        "frames": recipe.frames,
        "depth_frames": recipe.frames,
        "depth_valid_ratio": round(valid_ratio, 3),
        "poses": recipe.frames,
        "source_repo": "gam_depth_ros",
        "commit": None,
        "path_in_repo": "training/gam_depth_training/synthetic",
        "dataset": f"procedural room, seed {recipe.seed}",
        "sensor": f"ray-traced; {recipe.motion} motion; {recipe.reference} reference depth",
        "fps": f"{recipe.fps:g}",
        "licence": "Apache-2.0 (generated by this project)",
        "intrinsics_note": "exact pinhole without distortion; pixel centres at integers; "
        "depth_exact/ and labels/ are registered to colour without error",
    }


def write_sequences(
    out_dir: Path,
    count: int,
    seed: int,
    *,
    frames: int = 120,
    size_hw: tuple[int, int] = (480, 640),
    fps: float = 10,
    workers: int = 1,
) -> list[Path]:
    """``count`` sequences in sub-folders; motions and reference sensors take turns."""
    folders = []
    for index in range(count):
        motion, sensor = MOTIONS[index % 2], tuple(SENSORS)[index // 2 % 2]
        folder = Path(out_dir) / f"synthetic_{seed}_{index:03d}_{motion}_{sensor}"
        folders.append(write_sequence(folder, seed * 10_007 + index, frames, size_hw, fps, motion,
                                      sensor, workers))  # fmt: skip
    return folders
