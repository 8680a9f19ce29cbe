"""From shards of rendered frames to training batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from gam_depth_training.config import AugmentationConfig

# Depth beyond the network's range is taught as its end: far is far.
MAX_TAUGHT_DEPTH_M = 10.0


@dataclass(frozen=True)
class Batch:
    """Frames for one step.

    Attributes:
        image: B×3×H×W float32 in [0, 1].
        depth_m: B×1×H×W float32; 0 where unknown.
        label: B×H×W int64; 255 where unlabelled.
    """

    image: Tensor
    depth_m: Tensor
    label: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on ``device``; Lightning calls this before each step."""
        return Batch(self.image.to(device), self.depth_m.to(device), self.label.to(device))


@dataclass(frozen=True)
class ShardFrames:
    """Frames of several shards in memory.

    Attributes:
        rgb: N×H×W×3 uint8.
        depth_m: N×H×W float16; 0 where unknown.
        label: N×H×W uint8.
    """

    rgb: npt.NDArray[np.uint8]
    depth_m: npt.NDArray[np.float16]
    label: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rgb)


def find_shards(folder: Path) -> list[Path]:
    """Return the shards in ``folder`` by name; raises ValueError where there is none."""
    shards = sorted(folder.glob("*.npz"))
    if not shards:
        raise ValueError(
            f"{folder}: got no .npz shard, expected at least one; run `gam-depth-train synth "
            f"--shards {folder}`"
        )
    return shards


def split_shards(shards: list[Path], validation_shards: int) -> tuple[list[Path], list[Path]]:
    """Keep the first shards for validation; rooms never cross shards.

    The first, so that the split stands while more shards are being rendered.
    """
    if len(shards) <= validation_shards:
        raise ValueError(
            f"got {len(shards)} shards of which {validation_shards} validate, expected more; "
            "render more frames"
        )
    return shards[validation_shards:], shards[:validation_shards]


def load_shards(paths: list[Path]) -> ShardFrames:
    """Read shards into memory."""
    rgb, depth, label = [], [], []
    for path in paths:
        with np.load(path) as shard:  # allow_pickle stays False: a shard runs no code
            rgb.append(shard["rgb"])
            depth.append(np.nan_to_num(shard["depth_m"], nan=0.0).astype(np.float16))
            label.append(shard["label"])
    return ShardFrames(np.concatenate(rgb), np.concatenate(depth), np.concatenate(label))


class TrainingBatches(IterableDataset[Batch]):
    """Endless random crops of the frames, every epoch in a new order.

    The order depends on the seed and on ``first_step`` alone, so a resumed run goes on with the
    batches that the stopped one would have had.
    """

    def __init__(
        self,
        frames: ShardFrames,
        size_hw: tuple[int, int],
        batch_size: int,
        seed: int,
        crop: float,
        first_step: int = 0,
    ) -> None:
        self.frames = frames
        self.size_hw = size_hw
        self.batch_size = batch_size
        self.seed = seed
        self.crop = crop
        self.first_step = first_step

    def __iter__(self) -> Iterator[Batch]:
        step = self.first_step
        while True:
            yield self.batch(step)
            step += 1

    def batch(self, step: int) -> Batch:
        """Return the batch of one step."""
        rng = np.random.default_rng((self.seed, 1, step))
        return collate([self._sample(int(index), rng) for index in self._indices(step)])

    def _indices(self, step: int) -> npt.NDArray[np.int64]:
        per_epoch = max(1, len(self.frames) // self.batch_size)
        epoch, position = divmod(step, per_epoch)
        order = np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.frames))
        return order[position * self.batch_size : (position + 1) * self.batch_size]

    def _sample(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        rgb, depth, label = (
            self.frames.rgb[index],
            self.frames.depth_m[index],
            self.frames.label[index],
        )
        height, width = depth.shape
        h = round(height * rng.uniform(self.crop, 1.0))
        w = round(width * rng.uniform(self.crop, 1.0))
        y, x = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        window = np.s_[y : y + h, x : x + w]
        sample = resize_sample(rgb[window], depth[window], label[window], self.size_hw)
        return tuple(array[:, ::-1] for array in sample) if rng.random() < 0.5 else sample


def resize_sample(
    rgb: np.ndarray, depth_m: np.ndarray, label: np.ndarray, size_hw: tuple[int, int]
) -> tuple[np.ndarray, ...]:
    """Resize a frame: colour by area, depth and labels by nearest, so that no value is invented."""
    size = (size_hw[1], size_hw[0])
    return (
        cv2.resize(rgb, size, interpolation=cv2.INTER_AREA),
        cv2.resize(depth_m.astype(np.float32), size, interpolation=cv2.INTER_NEAREST_EXACT),
        cv2.resize(label, size, interpolation=cv2.INTER_NEAREST_EXACT),
    )


def collate(samples: list[tuple[np.ndarray, ...]]) -> Batch:
    """Stack resized frames into a batch."""
    rgb, depth, label = (np.stack(arrays) for arrays in zip(*samples, strict=True))
    return Batch(
        image=torch.from_numpy(np.ascontiguousarray(rgb.transpose(0, 3, 1, 2))).float() / 255.0,
        depth_m=torch.from_numpy(depth).unsqueeze(1).clamp(max=MAX_TAUGHT_DEPTH_M),
        label=torch.from_numpy(label.astype(np.int64)),
    )


def augment(
    image: Tensor, config: AugmentationConfig, strength: float, generator: torch.Generator
) -> Tensor:
    """Change the look, never the geometry, of B×3×H×W pictures in [0, 1].

    Args:
        image: Pictures.
        config: Full-strength settings.
        strength: 0 changes nothing, 1 is full strength.
        generator: Source of randomness, on the pictures' device.
    """
    batch = image.shape[0]

    def drawn(channels: int = 1) -> Tensor:
        return torch.rand(batch, channels, 1, 1, generator=generator, device=image.device)

    def around_one(half_width: float, channels: int = 1) -> Tensor:
        return 1 + strength * half_width * (drawn(channels) * 2 - 1)

    gamma = torch.exp(around_one(config.gamma) - 1)
    image = image.clamp(1e-4, 1).pow(gamma)
    image = image * around_one(config.brightness) * around_one(config.white_balance, 3)
    mean = image.mean((1, 2, 3), keepdim=True)
    image = mean + (image - mean) * around_one(config.contrast)
    grey = image.mean(1, keepdim=True)
    image = grey + (image - grey) * around_one(config.saturation)
    blurred = torch.nn.functional.avg_pool2d(image, 3, 1, 1, count_include_pad=False)
    chosen = drawn() < strength * config.blur_probability
    image = torch.where(chosen, blurred, image)
    sigma = strength * config.noise * drawn()
    noise = torch.randn(image.shape, generator=generator, device=image.device)
    return (image + sigma * noise).clamp(0, 1)
