"""Tiny recordings and runs for the tests of recipes; started as a program, one of two processes."""

from __future__ import annotations

import csv
import json
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from gam_depth_training.callbacks import freeze_statistics
from gam_depth_training.checkpoints import AtomicCheckpointIO
from gam_depth_training.clip import Clip
from gam_depth_training.objective import ObjectiveOptions
from gam_depth_training.prepared import PreparedFrame
from gam_depth_training.recipe import NetworkOptions, Recipe
from gam_depth_training.sequences import read_sequence_folder
from gam_depth_training.video_dataset import VideoDataset
from gam_depth_training.video_fit import RunOptions, TrainingData, fit_recipe

SIZE_HW = (64, 64)
PHOTOMETRIC = ObjectiveOptions(normal=0, planar=0, semantic=0)


def write_sequence(folder: Path, frames: int = 8, depth: bool = True, seed: int = 0) -> Path:
    """Write a recording in which a wall with blobs moves by two pixels a frame."""
    rng = np.random.default_rng(seed)
    wall = cv2.GaussianBlur(rng.uniform(0, 255, (80, 120, 3)), (0, 0), 2.0)
    wall = cv2.normalize(wall, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    for name in ("color", "depth") if depth else ("color",):
        (folder / name).mkdir(parents=True)
    with (folder / "frames.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "t_seconds"])
        for index in range(frames):
            view = wall[:80, 2 * index : 2 * index + 96]
            cv2.imwrite(str(folder / "color" / f"{index:06d}.png"), view)
            writer.writerow([f"{index:06d}", index / 10])
            if depth:
                metres = np.tile(np.linspace(1.5, 3.0, 96), (80, 1))
                stored = (1000 * metres).astype(np.uint16)
                cv2.imwrite(str(folder / "depth" / f"{index:06d}.png"), stored)
    camera = {"width": 96, "height": 80, "fx": 90.0, "fy": 90.0, "cx": 47.5, "cy": 39.5}
    (folder / "intrinsics.json").write_text(json.dumps({**camera, "depth_scale": 1000.0}))
    return folder


class KnownTargets:
    """Directions, labels and key points drawn by the clip's key, unevenly many of them."""

    def load(self, key: str) -> PreparedFrame:
        """Draw what was prepared for a key."""
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        labels = rng.integers(0, 13, SIZE_HW).astype(np.uint8)
        labels[rng.random(SIZE_HW) < rng.uniform(0.1, 0.9)] = 255
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)
        return PreparedFrame(
            directions=np.concatenate((axes, -axes)),
            magnitude=rng.uniform(0, 500, (1, *SIZE_HW)).astype(np.float32),
            keypoints=(rng.random(SIZE_HW) < rng.uniform(0.05, 0.3)).astype(np.uint8),
            labels=labels,
        )


class BrokenInTheSecond(KnownTargets):
    """The same, but that the second of two processes gets a magnitude that is no number."""

    def load(self, key: str) -> PreparedFrame:
        """Draw, and break."""
        frame = super().load(key)
        if os.environ["LOCAL_RANK"] == "1":
            frame.magnitude[0, 3, 3] = np.nan
        return frame


def tiny_recipe(**changes: Any) -> Recipe:
    """Return a recipe of few small steps."""
    settings: dict[str, Any] = {
        "network": NetworkOptions(residual_passes=0),
        "objective": PHOTOMETRIC,
        "offsets": (-1, 0, 1),
        "size_hw": SIZE_HW,
        "batch_size": 2,
        "max_steps": 2,
        "validate_every": 100,
    }
    return Recipe("tiny", **{**settings, **changes})


def clips_of(recipe: Recipe, *folders: Path) -> list[Clip]:
    """Return the clips of recordings for a recipe."""
    return [clip for folder in folders for clip in read_sequence_folder(folder, recipe.offsets)]


def video_dataset(recipe: Recipe, *folders: Path, prepared: Any = None) -> VideoDataset:
    """Return recordings as a recipe sees them."""
    return VideoDataset(
        clips_of(recipe, *folders), recipe.size_hw, prepared=prepared, seed=recipe.seed
    )


def options(**changes: Any) -> RunOptions:
    """Return options for this machine's processor alone."""
    settings: dict[str, Any] = {"accelerator": "cpu", "progress": False}
    return RunOptions(**{**settings, **changes})


def leave_out_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write none: they are hundreds of megabytes, and not what such a test is about."""
    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", lambda *_, **__: None)


class Watch(Callback):
    """Freezes every batch statistic and keeps the loss and the gradients of the first step."""

    def __init__(self) -> None:
        self.found: dict[str, torch.Tensor] = {}

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any
    ) -> None:
        """Freeze; each block adds little, so that unnormalised features stay small."""
        freeze_statistics(pl_module)
        for name, parameter in pl_module.named_parameters():
            if name.endswith("bn2.weight"):
                parameter.data.fill_(0.2)

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any
    ) -> None:
        """Keep each gradient's norm and its first numbers."""
        for name, parameter in pl_module.named_parameters():
            if parameter.grad is not None:
                flat = parameter.grad.flatten()
                self.found[name] = torch.cat((flat.norm().view(1), flat[:20].clone()))

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any
    ) -> None:
        """Keep the terms."""
        self.found |= {
            name: value.view(1)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("loss/")
        }


def watched_step(
    folder: Path, out: Path, devices: int, photometric: str, prepared: KnownTargets | None = None
) -> dict[str, torch.Tensor]:
    """Take one step of the whole method, quirks off, and return its loss and gradients."""
    recipe = tiny_recipe(
        network=NetworkOptions(residual_passes=1, pose_encoder="shared"),
        objective=ObjectiveOptions(photometric=photometric),
        batch_size=4,
        max_steps=1,
    )
    watch = Watch()
    data = TrainingData(video_dataset(recipe, folder, prepared=prepared or KnownTargets()))
    run = options(devices=devices, checkpoint_every=1000)
    fit_recipe(recipe, data, out, run, [watch])
    return watch.found


if __name__ == "__main__":
    sequence, target, kind = sys.argv[1:4]
    leave_out_checkpoints(pytest.MonkeyPatch())
    targets = BrokenInTheSecond() if "broken" in sys.argv[4:] else KnownTargets()
    found = watched_step(Path(sequence), Path(target), 2, kind, targets)
    torch.save(found, Path(target) / f"found_{torch.distributed.get_rank()}.pt")
