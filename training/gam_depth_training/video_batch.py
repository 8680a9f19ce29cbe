"""What one step of training without labels sees: short clips of video and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

# Proxy labels of this value do not count: uncertain, or not given.
IGNORED_LABEL = 255


@dataclass(frozen=True)
class VideoBatch:
    """Clips of one camera each; the target is the frame at offset 0.

    Attributes:
        frames: B×F×3×H×W float32 in [0, 1], in temporal order, never jittered: losses look at
            these. The same tensor as ``inputs`` where no clip is jittered: change neither in place.
        inputs: B×F×3×H×W float32 in [0, 1], the same frames after colour jitter: networks see
            these.
        offsets: The F temporal offsets in rising order, in units of the recording's frame gap.
        intrinsics: B×3×3 float32 camera matrix in pixels of the H×W picture, pixel centres at
            integers.
        directions: B×6×3 float32 unit Manhattan directions in the target's camera frame (x right,
            y down, z forward), rows 3 to 5 the negatives of rows 0 to 2; NaN where unknown.
        magnitude: B×1×H×W float64 Sobel magnitude of the target, of pictures in 0 to 255; zero
            where it was not prepared.
        labels: B×H×W int64 proxy labels, ``IGNORED_LABEL`` where there is none.
        keypoints: B×1×H×W float32, 1 at a key point and 0 elsewhere.
        keys: B names of the clips, for messages.
    """

    frames: Tensor
    inputs: Tensor
    offsets: tuple[int, ...]
    intrinsics: Tensor
    directions: Tensor
    magnitude: Tensor
    labels: Tensor
    keypoints: Tensor
    keys: tuple[str, ...]

    @property
    def target(self) -> Tensor:
        """The target as recorded, B×3×H×W."""
        return self.frames[:, self.offsets.index(0)]

    @property
    def target_input(self) -> Tensor:
        """The target as the networks see it, B×3×H×W."""
        return self.inputs[:, self.offsets.index(0)]

    @property
    def sources(self) -> list[tuple[int, Tensor]]:
        """Offset and B×3×H×W picture of every other frame, as recorded, in temporal order."""
        return [
            (offset, self.frames[:, index])
            for index, offset in enumerate(self.offsets)
            if offset != 0
        ]

    def to(self, device: torch.device) -> VideoBatch:
        """Return the batch on ``device``; Lightning calls this before each step.

        Bytes of ``collate_bytes`` become the types above, after the transfer.
        """
        moved = self._with_tensors(lambda tensor: tensor.to(device, non_blocking=True))
        if moved.frames.dtype != torch.uint8:
            return moved
        frames = _unit_range(moved.frames)
        return replace(
            moved,
            frames=frames,
            inputs=frames if moved.inputs is moved.frames else _unit_range(moved.inputs),
            magnitude=moved.magnitude.double(),
            labels=moved.labels.long(),
            keypoints=moved.keypoints.float(),
        )

    def pin_memory(self) -> VideoBatch:
        """Return the batch in page-locked memory; a DataLoader with ``pin_memory`` calls this."""
        return self._with_tensors(Tensor.pin_memory)

    def _with_tensors(self, change: Callable[[Tensor], Tensor]) -> VideoBatch:
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
        if self.inputs is self.frames:
            del tensors["inputs"]
        changed = {name: change(value) for name, value in tensors.items()}
        return replace(self, **{"inputs": changed["frames"], **changed})


@dataclass(frozen=True)
class VideoSample:
    """One clip on its way into a batch: the fields of VideoBatch without B, as small as they go.

    Attributes:
        frames: F×3×H×W uint8 in 0 to 255.
        inputs: F×3×H×W uint8, jittered; the same tensor as ``frames`` where nothing changed.
        offsets: F temporal offsets.
        intrinsics: 3×3 float32.
        directions: 6×3 float32.
        magnitude: 1×H×W float32 or float64.
        labels: H×W uint8.
        keypoints: 1×H×W uint8.
        key: Name of the clip.
    """

    frames: Tensor
    inputs: Tensor
    offsets: tuple[int, ...]
    intrinsics: Tensor
    directions: Tensor
    magnitude: Tensor
    labels: Tensor
    keypoints: Tensor
    key: str


def collate_bytes(samples: list[VideoSample | None]) -> VideoBatch | None:
    """Stack clips, pictures still as bytes: a quarter of what a loader's process has to hand over.

    ``VideoBatch.to`` makes the floats. Clips lost to an unreadable frame (None) are left out.

    Returns:
        The batch; None where every clip of it was lost.

    Raises:
        ValueError: Clips of different offsets.
    """
    kept = [sample for sample in samples if sample is not None]
    if not kept:
        return None
    offsets = {sample.offsets for sample in kept}
    if len(offsets) > 1:
        raise ValueError(
            f"batch: got clips with offsets {sorted(offsets)}, expected one set; load the data "
            "with the same offsets"
        )
    frames = torch.stack([sample.frames for sample in kept])
    jittered = any(sample.inputs is not sample.frames for sample in kept)
    return VideoBatch(
        frames=frames,
        inputs=torch.stack([sample.inputs for sample in kept]) if jittered else frames,
        offsets=offsets.pop(),
        intrinsics=torch.stack([sample.intrinsics for sample in kept]),
        directions=torch.stack([sample.directions for sample in kept]),
        magnitude=torch.stack([sample.magnitude for sample in kept]),
        labels=torch.stack([sample.labels for sample in kept]),
        keypoints=torch.stack([sample.keypoints for sample in kept]),
        keys=tuple(sample.key for sample in kept),
    )


def collate(samples: list[VideoSample | None]) -> VideoBatch | None:
    """Stack clips into a batch of the documented types; see collate_bytes."""
    batch = collate_bytes(samples)
    return None if batch is None else batch.to(torch.device("cpu"))


def _unit_range(pictures: Tensor) -> Tensor:
    return pictures.to(torch.float32).div_(255.0)
