"""The performance log: what the node measured of itself, a JSON line a second, rotated by size.

A thread of its own writes, so that neither a slow disk nor a full one costs a frame: lines that
find the queue full, or the disk, are lost and counted, and that is said once.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from gam_depth_ros.core.setting import setting, validate

log = logging.getLogger(__name__)

BYTES_PER_MB = 1_000_000
QUEUE_LINES = 64
CLOSE_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class PerformanceLogConfig:
    """Where the log goes and how large it may become."""

    path: str = setting(
        "",
        "File for the performance log, a JSON line a second (gam-depth performance draws it); "
        "empty: none.",
    )
    max_mb: float = setting(
        10.0,
        "Size at which the file becomes FILE.1, the former FILE.1 FILE.2, and so on, MB; about "
        "three hours.",
        minimum=0.001,
        maximum=10_000.0,
    )
    kept_files: int = setting(
        4, "Full files kept beside the one that is written.", minimum=0, maximum=1000
    )

    def __post_init__(self) -> None:
        validate(self)


class RotatedFile:
    """Appends lines to a file and turns it over before it grows beyond its size.

    A file that could not be written is closed and opened again at the next line; the line in hand
    is lost, and half of it may stand in the file: the next one begins on a new line.

    Args:
        path: The file; its directory is made if need be.
        max_bytes: Size it does not exceed, one line aside.
        kept: Full files kept.
    """

    def __init__(self, path: Path, max_bytes: int, kept: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._kept = kept
        self._stream: BinaryIO | None = None
        self._size = 0
        self._torn = False

    def append(self, line: bytes) -> None:
        """Write one line; raises OSError where that cannot be done."""
        try:
            stream = self._ready(len(line) + 1)
            written = (b"\n" if self._torn else b"") + line + b"\n"
            self._torn = True  # until all of it is known to be in the file
            if stream.write(written) != len(written):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size += len(written)
            self._torn = False
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _ready(self, more: int) -> BinaryIO:
        if self._stream is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = _opened(self._path)
            self._size = os.fstat(self._stream.fileno()).st_size
        if self._size and self._size + more > self._max_bytes:
            self.close()
            self._turn_over()
            self._stream = _opened(self._path)
            self._size, self._torn = 0, False
        return self._stream

    def _turn_over(self) -> None:
        if not self._kept:
            self._path.unlink()
            return
        names = [self._path, *(numbered(self._path, index + 1) for index in range(self._kept))]
        for older, newer in zip(names[:0:-1], names[-2::-1], strict=True):
            if newer.exists():
                newer.replace(older)


class PerformanceLog:
    """Takes records from any thread and has them written by its own.

    Args:
        config: Path and sizes; the path must not be empty.
    """

    def __init__(self, config: PerformanceLogConfig) -> None:
        self._path = Path(config.path).expanduser()
        self._file = RotatedFile(self._path, int(config.max_mb * BYTES_PER_MB), config.kept_files)
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUE_LINES)
        self._closing = False
        self._lost = 0
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="gam_depth_log", daemon=True)
        self._thread.start()

    def put(self, record: Mapping[str, Any]) -> None:
        """Hand a record over; returns at once, whatever the disk does."""
        line = json.dumps(record, allow_nan=False, separators=(",", ":")).encode()
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._lose(f"got {QUEUE_LINES} lines that wait, expected a disk that keeps up")

    def close(self) -> None:
        """Write what waits and end the thread; one that a disk holds up ends when that lets go."""
        self._closing = True
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            self._write(line)
            if self._closing and self._queue.empty():
                break
        self._file.close()

    def _write(self, line: bytes) -> None:
        try:
            self._file.append(line)
        except OSError as error:
            self._lose(f"got '{error.strerror or error}', expected a file that can be written")
            return
        if self.problem:
            log.info("performance log %s: goes on, %d lines lost", self._path, self._lost)
            self.problem, self._lost = "", 0

    def _lose(self, why: str) -> None:
        self._lost += 1
        if not self.problem:
            self.problem = (
                f"performance log {self._path}: {why}; lines are lost until then, frames are not"
            )
            log.error(self.problem)


def _opened(path: Path) -> BinaryIO:
    """Open a file to append to, for this process alone; raises OSError where another has it."""
    # Unbuffered: what a full disk refuses must not lie in wait for the next write.
    stream = path.open("ab", buffering=0)
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:  # else a file system that has no locks
            stream.close()
            raise OSError(
                errno.EBUSY, "another node writes it, give each a performance_log.path of its own"
            ) from None
    return stream


def numbered(path: Path, index: int) -> Path:
    """Return the name of the ``index``-th full file, the newest being 1."""
    return path.with_name(f"{path.name}.{index}")
