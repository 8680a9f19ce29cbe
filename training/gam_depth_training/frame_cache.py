"""Finished frames in a file that all processes of a loader map into memory.

A frame is a neighbour of several targets and comes again every epoch; decoding, undistorting and
resizing it cost a hundred times what a copy costs.
"""

from __future__ import annotations

import logging
import os
import tempfile
import weakref
from pathlib import Path

import numpy as np
import numpy.typing as npt

log = logging.getLogger(__name__)


class FrameCache:
    """H×W×3 uint8 frames by number, filled as they come.

    The file is removed when its owner ends; the space is reserved at the start, as a disk that
    fills up later would end the training. Where there is no space nothing is cached.

    Args:
        frames: Number of frames; those beyond the limit are not cached.
        size_hw: Height and width of each.
        limit_bytes: Most space to take.
        folder: Where the file lies; None takes the folder for temporary files.
    """

    def __init__(
        self, frames: int, size_hw: tuple[int, int], limit_bytes: int, folder: Path | None = None
    ) -> None:
        self.size_hw = size_hw
        self._bytes_each = size_hw[0] * size_hw[1] * 3
        # One more byte a frame, at the end of the file, says that the frame is there.
        self.slots = min(frames, limit_bytes // (self._bytes_each + 1))
        self._file: str | None = None
        self._map: np.memmap | None = None
        if self.slots > 0:
            self._reserve(folder)

    def _reserve(self, folder: Path | None) -> None:
        handle, name = tempfile.mkstemp(prefix="gam_depth_frames_", dir=folder)
        try:
            os.posix_fallocate(handle, 0, self.slots * (self._bytes_each + 1))
        except OSError as error:
            Path(name).unlink()
            self.slots = 0
            log.warning("frames are not cached: %s (%s)", error.strerror, Path(name).parent)
            return
        finally:
            os.close(handle)
        self._file = name
        weakref.finalize(self, _remove, name, os.getpid())

    def get(self, number: int) -> npt.NDArray[np.uint8] | None:
        """Return a frame, read-only; None where it is not there yet or does not fit."""
        if number >= self.slots:
            return None
        memory = self._memory()
        if not memory[self.slots * self._bytes_each + number]:
            return None
        start = number * self._bytes_each
        frame = memory[start : start + self._bytes_each].reshape(*self.size_hw, 3)
        frame.setflags(write=False)
        return np.asarray(frame)

    def put(self, number: int, frame: npt.NDArray[np.uint8]) -> None:
        """Keep a frame if there is room; every process that puts it writes the same bytes."""
        if number >= self.slots:
            return
        memory = self._memory()
        start = number * self._bytes_each
        memory[start : start + self._bytes_each] = frame.reshape(-1)
        memory[self.slots * self._bytes_each + number] = 1

    def _memory(self) -> np.memmap:
        if self._map is None:
            assert self._file is not None
            self._map = np.memmap(self._file, np.uint8, "r+")
        return self._map

    def __getstate__(self) -> dict[str, object]:
        # A map would be sent to another process as a copy of its bytes; each maps the file itself.
        return {**self.__dict__, "_map": None}


def _remove(name: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked loader process also runs this when it ends
        Path(name).unlink(missing_ok=True)
