"""Clips as training samples: read, resized, flipped and jittered, with what was prepared."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from gam_depth_training.clip import Clip, UnreadableFrameError, read_picture
from gam_depth_training.colour_jitter import ColourJitter
from gam_depth_training.frame_cache import FrameCache
from gam_depth_training.frame_geometry import FrameGeometry
from gam_depth_training.gradient_mask import gradient_magnitude
from gam_depth_training.video_batch import IGNORED_LABEL, VideoSample

log = logging.getLogger(__name__)

DEFAULT_CACHE_BYTES = 4 * 2**30


class PreparedTarget(Protocol):
    """What was computed once for a target, unflipped and at network size.

    Attributes:
        directions: 6×3 Manhattan directions, NaN where unknown.
        magnitude: 1×H×W Sobel magnitude.
        keypoints: H×W, not 0 at key points.
        labels: H×W proxy labels, IGNORED_LABEL where uncertain.
    """

    directions: npt.NDArray[np.float32]
    magnitude: npt.NDArray[np.float32]
    keypoints: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]


class PreparedTargets(Protocol):
    """Where prepared targets come from."""

    def load(self, key: str) -> PreparedTarget | None:
        """Return what was prepared for a clip's target; None where nothing was."""
        ...


class VideoDataset(Dataset[VideoSample | None]):
    """Clips at one size; a sample depends on the seed, the epoch and the index alone.

    Args:
        clips: What to read.
        size_hw: Height and width of the samples.
        flip: Mirror every second sample, with its camera and directions.
        jitter: Colour change of what networks see; None changes nothing.
        prepared: What was computed once per target. Without it directions are NaN, labels are
            IGNORED_LABEL, no pixel is a key point, and the magnitude is computed on the way.
        seed: Seeds flips and jitter.
        swapped_grey_weights: See OfficialQuirks; only for magnitudes computed on the way.
        cache_bytes: Most disk space for finished frames, shared by the loader's processes; 0
            reads every frame anew.

    Attributes:
        epoch: Changes flips and jitter; set it before the epoch.

    Raises:
        ValueError: No clips.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        size_hw: tuple[int, int],
        flip: bool = True,
        jitter: ColourJitter | None = None,
        prepared: PreparedTargets | None = None,
        seed: int = 1,
        swapped_grey_weights: bool = False,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        if not clips:
            raise ValueError("data: got no clips, expected at least one; name more recordings")
        # OpenCV's own threads do not survive a fork: a loader's processes would wait for them for
        # ever. It must hold before the fork; the processes are the threads.
        cv2.setNumThreads(1)
        self.clips = list(clips)
        self.size_hw = size_hw
        self.flip = flip
        self.jitter = jitter
        self.prepared = prepared
        self.seed = seed
        self.swapped_grey_weights = swapped_grey_weights
        self.epoch = 0
        self._numbers, frames = _number_frames(self.clips)
        self._cache = FrameCache(frames, size_hw, cache_bytes)
        # In shared memory, so that what a loader's process finds out is known to all.
        self._lost = torch.zeros(len(self.clips), dtype=torch.bool).share_memory_()
        self._unprepared = torch.zeros(len(self.clips), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def lost_clips(self) -> int:
        """Clips left out so far because a frame of theirs is unreadable."""
        return int(self._lost.sum())

    @property
    def unprepared_clips(self) -> int:
        """Clips met so far of which nothing was prepared."""
        return int(self._unprepared.sum())

    def __getitem__(self, index: int) -> VideoSample | None:
        """Return a sample; None where one of its frames is unreadable.

        Raises:
            ValueError: What was prepared is of another size.
        """
        if self._lost[index]:
            return None
        clip = self.clips[index]
        try:
            frames = self._read(index)
        except UnreadableFrameError as error:
            self._lost[index] = True
            log.warning("clip %s is left out: %s", clip.key, error)
            return None
        rng = np.random.default_rng((self.seed, self.epoch, index))
        flipped = self.flip and rng.random() < 0.5
        draws = None if self.jitter is None else self.jitter.draw(len(frames), rng)
        if flipped:
            frames = [cv2.flip(frame, 1) for frame in frames]
        pictures = _stack(frames)
        changed = zip(draws or (), frames, strict=bool(draws))
        inputs = _stack([draw.apply(frame) for draw, frame in changed]) if draws else pictures
        geometry = clip.geometry.resized(self.size_hw)
        directions, magnitude, labels, keypoints = self._maps(index, frames, flipped)
        return VideoSample(
            frames=pictures,
            inputs=inputs,
            offsets=clip.offsets,
            intrinsics=torch.from_numpy(geometry.matrix(flipped).astype(np.float32)),
            directions=_tensor(directions, np.float32),
            magnitude=_tensor(magnitude, np.float32),
            labels=_tensor(labels, np.uint8),
            keypoints=_tensor(keypoints[None], np.uint8),
            key=clip.key,
        )

    def _read(self, index: int) -> list[npt.NDArray[np.uint8]]:
        clip = self.clips[index]
        frames = []
        for path, number in zip(clip.frames, self._numbers[index], strict=True):
            frame = self._cache.get(number)
            if frame is None:
                frame = _finished(path, clip.geometry.resized(self.size_hw))
                self._cache.put(number, frame)
            frames.append(frame)
        return frames

    def _maps(
        self, index: int, frames: list[npt.NDArray[np.uint8]], flipped: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Directions, magnitude, labels and key points of the target as it is trained on."""
        clip = self.clips[index]
        known = None if self.prepared is None else self.prepared.load(clip.key)
        if known is None:
            if self.prepared is not None and not self._unprepared[index]:
                self._unprepared[index] = True
                log.warning("clip %s: nothing was prepared; run `prepare` again", clip.key)
            target = frames[clip.offsets.index(0)]
            return (
                np.full((6, 3), np.nan, np.float32),
                gradient_magnitude(target, swapped_grey_weights=self.swapped_grey_weights),
                np.full(self.size_hw, IGNORED_LABEL, np.uint8),
                np.zeros(self.size_hw, np.uint8),
            )
        _check_sizes(clip.key, known, self.size_hw)
        keypoints = (known.keypoints != 0).astype(np.uint8)
        if not flipped:
            return known.directions, known.magnitude, known.labels, keypoints
        mirrored = known.directions * np.array([-1, 1, 1], np.float32)
        return (
            mirrored,
            known.magnitude[..., ::-1],
            known.labels[:, ::-1],
            keypoints[:, ::-1],
        )


def _number_frames(clips: Sequence[Clip]) -> tuple[list[tuple[int, ...]], int]:
    """Number the frames of each clip, shared ones alike, and count them.

    A frame read through another camera is another frame.
    """
    known: dict[tuple[Path, FrameGeometry], int] = {}
    numbers = [
        tuple(known.setdefault((path, clip.geometry), len(known)) for path in clip.frames)
        for clip in clips
    ]
    return numbers, len(known)


def _finished(path: Path, geometry: FrameGeometry) -> npt.NDArray[np.uint8]:
    rgb = read_picture(path)
    if rgb.shape[:2] != geometry.camera.size_hw:
        height, width = geometry.camera.size_hw
        raise UnreadableFrameError(
            f"{path}: got {rgb.shape[1]}x{rgb.shape[0]} pixels, expected {width}x{height} as its "
            "camera has; calibrate at the recorded size"
        )
    return geometry.apply(rgb)


def _check_sizes(key: str, known: PreparedTarget, size_hw: tuple[int, int]) -> None:
    sizes = {
        "proxy labels": known.labels.shape,
        "gradient magnitude": known.magnitude.shape[1:],
        "key points": known.keypoints.shape,
    }
    for name, size in sizes.items():
        if tuple(size) != tuple(size_hw):
            raise ValueError(
                f"clip {key}: got {name} of {'x'.join(map(str, size))}, expected "
                f"{size_hw[0]}x{size_hw[1]}; run `prepare` at this size"
            )


def _stack(frames: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
    """F×3×H×W uint8."""
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()


def _tensor(array: np.ndarray, kind: type) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, kind))
