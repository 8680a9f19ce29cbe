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

# Random bytes at the end of the file, by which another process knows it.
_MARK_BYTES = 16


class FrameCache:
    """H×W×3 uint8 frames by number, filled as they come.

    The file has no name, so that even a killed training leaves nothing behind. The space is
    reserved at the start, as a disk that fills up later would end the training; where there is no
    space nothing is cached.

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
        # One more byte a frame, after all frames, says that the frame is there.
        self.slots = min(frames, limit_bytes // (self._bytes_each + 1))
        self._path = ""
        self._mark = os.urandom(_MARK_BYTES)
        self._map: np.memmap | None = None
        if self.slots > 0:
            self._reserve(folder)

    @property
    def _mark_at(self) -> int:
        return self.slots * (self._bytes_each + 1)

    def _reserve(self, folder: Path | None) -> None:
        file = tempfile.TemporaryFile(prefix="gam_depth_frames_", dir=folder)  # noqa: SIM115
        try:
            os.posix_fallocate(file.fileno(), 0, self._mark_at + _MARK_BYTES)
            os.pwrite(file.fileno(), self._mark, self._mark_at)
        except OSError as error:
            self.slots = 0
            log.warning("frames are not cached: %s", error.strerror)
            file.close()
            return
        # Processes that are not forked reach the file through its owner.
        self._path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
        self._map = np.memmap(file, np.uint8, "r+")
        weakref.finalize(self, file.close)

    def get(self, number: int) -> npt.NDArray[np.uint8] | None:
        """Return a frame, read-only; None where it is not there yet or does not fit."""
        if number >= self.slots:
            return None
        memory = self._memory()
        if memory is None or not memory[self.slots * self._bytes_each + number]:
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
        if memory is None:
            return
        start = number * self._bytes_each
        memory[start : start + self._bytes_each] = frame.reshape(-1)
        memory[self.slots * self._bytes_each + number] = 1

    def _memory(self) -> np.memmap | None:
        if self._map is None:
            try:
                with Path(self._path).open("r+b") as file:
                    # The owner may be gone, and its number given to another file.
                    if os.pread(file.fileno(), _MARK_BYTES, self._mark_at) == self._mark:
                        self._map = np.memmap(file, np.uint8, "r+")
            except OSError:
                self.slots = 0
        return self._map

    def __getstate__(self) -> dict[str, object]:
        # A map would be sent to another process as a copy of its bytes; each maps the file itself.
        return {**self.__dict__, "_map": None}
