"""Bulk training frames: random rooms, independent views, stored in numbered shards."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from .colour_noise import develop, is_blank, random_style
from .render import Pinhole, render_view
from .scene import build_scene
from .surface import Tracer
from .textures import TextureBank, make_texture_bank
from .viewpoint import good_pose

_TEXTURE_BANKS = 1000003


@dataclass(frozen=True)
class TrainingShard:
    """N independent frames.

    rgb: uint8 N×H×W×3. depth_m: float16 N×H×W, z-depth, NaN where no surface. label: uint8
    N×H×W, NYU-13 ids, 255 where no surface. focal_px: float32 N (fx = fy; the principal point is
    the image centre (W-1)/2, (H-1)/2). gravity: float32 N×3, unit vector pointing down in the
    optical camera frame. height_m: float32 N, camera above the floor.
    """

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float16]
    label: NDArray[np.uint8]
    focal_px: NDArray[np.float32]
    gravity: NDArray[np.float32]
    height_m: NDArray[np.float32]


@dataclass(frozen=True)
class _Frame:
    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    label: NDArray[np.uint8]
    focal_px: float
    pose: NDArray[np.float64]


def room_frames(bank: TextureBank, seed: list[int], views: int, size_hw: tuple[int, int]
                ) -> Iterator[_Frame]:  # fmt: skip
    """Up to ``views`` good frames of one room."""
    tracer = Tracer(build_scene(bank, seed))
    for view in range(views):
        rng = np.random.default_rng([*seed, view])
        frame = _one_frame(tracer, rng, size_hw)
        if frame is not None:
            yield frame


def _one_frame(tracer: Tracer, rng: np.random.Generator, size_hw: tuple[int, int]) -> _Frame | None:
    height, width = size_hw
    fov = np.deg2rad(rng.uniform(48, 80))
    focal = float(width / 2 / np.tan(fov / 2))
    pose = good_pose(rng, tracer, focal / width)
    if pose is None:
        return None
    camera = Pinhole((focal, focal), ((width - 1) / 2, (height - 1) / 2), size_hw)
    view = render_view(tracer, camera, pose, rng)
    motion = rng.normal(0, 2.5, 2) * (width / 256) if rng.random() < 0.18 else np.zeros(2)
    rgb = develop(
        view.radiance, random_style(rng), rng, motion_px=(float(motion[0]), float(motion[1]))
    )
    if view.near_back_share > 0.03 or is_blank(rgb, view.depth_m):
        return None
    return _Frame(rgb, view.depth_m, view.label, focal, pose)


def render_training_shard(
    seed: int, frames: int, size_hw: tuple[int, int] = (192, 256), views_per_room: int = 6
) -> TrainingShard:
    """Render ``frames`` frames; the same seed gives the same bytes."""
    cv2.setNumThreads(1)
    bank = make_texture_bank(seed % _TEXTURE_BANKS)
    kept: list[_Frame] = []
    room = 0
    while len(kept) < frames:
        kept += room_frames(bank, [seed, room], views_per_room, size_hw)
        room += 1
    kept = kept[:frames]
    poses = np.stack([frame.pose for frame in kept])
    return TrainingShard(
        np.stack([frame.rgb for frame in kept]),
        np.stack([frame.depth_m for frame in kept]).astype(np.float16),
        np.stack([frame.label for frame in kept]),
        np.array([frame.focal_px for frame in kept], np.float32),
        (-poses[:, 2, :3]).astype(np.float32),
        poses[:, 2, 3].astype(np.float32),
    )


def _write_shard(path: Path, seed: int, frames: int, size_hw: tuple[int, int], views: int) -> None:
    """Write to a side file first: a shard that exists is complete."""
    shard = render_training_shard(seed, frames, size_hw, views)
    side = path.with_suffix(".part")
    with side.open("wb") as file:
        np.savez(
            file, **{name: getattr(shard, name) for name in TrainingShard.__dataclass_fields__}
        )
    side.replace(path)


def read_shard(path: Path) -> TrainingShard:
    """Load one shard."""
    with np.load(path) as arrays:
        return TrainingShard(**{name: arrays[name] for name in TrainingShard.__dataclass_fields__})


def write_training_shards(
    out_dir: Path,
    frames: int,
    seed: int,
    workers: int,
    size_hw: tuple[int, int] = (192, 256),
    *,
    frames_per_shard: int = 256,
    views_per_room: int = 6,
) -> list[Path]:
    """Write shard_000000.npz, ...; shards that exist are kept, so a stopped run goes on.

    Shard k depends on ``seed`` and k alone, not on the number of workers. Rounds ``frames`` up to
    whole shards. Returns all paths.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    count = -(-frames // frames_per_shard)
    paths = [out_dir / f"shard_{index:06d}.npz" for index in range(count)]
    missing = [index for index, path in enumerate(paths) if not path.exists()]
    # Spawned, not forked: a parent that already runs threads (torch) must not be copied.
    pool = ProcessPoolExecutor(max_workers=max(workers, 1), mp_context=get_context("spawn"))
    columns = (
        *Progress.get_default_columns()[:1],
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with pool, Progress(*columns) as progress:
        bar = progress.add_task("frames", total=count * frames_per_shard,
                                completed=(count - len(missing)) * frames_per_shard)  # fmt: skip
        jobs = []
        for index in missing:
            shard_seed = seed * 100_003 + index
            work = (paths[index], shard_seed, frames_per_shard, size_hw, views_per_room)
            jobs.append(pool.submit(_write_shard, *work))
        for job in as_completed(jobs):
            job.result()
            progress.advance(bar, frames_per_shard)
    return paths
