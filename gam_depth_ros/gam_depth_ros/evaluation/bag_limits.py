"""How much a bag may make of its bytes: chunks and messages are bounded before they are unpacked.

rosbags has no such setting, and a compressed chunk of a few kilobytes may claim gigabytes.
Importing this module puts bounded decompressors, and a careful reader of sqlite3, where rosbags
keeps its own.
"""

from __future__ import annotations

import bz2
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO, Literal

import lz4.frame  # type: ignore[import-untyped]
import rosbags.rosbag1.reader as rosbag1
import rosbags.rosbag2.reader as rosbag2
import rosbags.rosbag2.storage_mcap as mcap
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_MESSAGE_BYTES = 2**29
"""Largest message: twice the largest picture that may be decoded, with four bytes a pixel."""

MAX_CHUNK_BYTES = 2**29
"""Largest chunk once unpacked. Recorders write chunks of about a megabyte, or of one message."""

MAX_FILE_RATIO = 256
"""What a file that is packed as a whole may unpack to, in multiples of itself."""


class BagLimitError(ValueError):
    """A bag claims more than it may. One line: got, expected."""


def unpack_zstd(data: bytes, limit: int | None = None) -> bytes:
    """Return what zstd has packed, of a stream that breaks off what there is.

    Raises:
        BagLimitError: it is more than ``limit`` bytes, or than ``MAX_CHUNK_BYTES``.
    """
    return _bounded(_zstd_part, data, limit)


def unpack_lz4(data: bytes, limit: int | None = None) -> bytes:
    """Return what lz4 has packed; raises BagLimitError as :func:`unpack_zstd`."""
    return _bounded(_lz4_part, data, limit)


def unpack_bz2(data: bytes, limit: int | None = None) -> bytes:
    """Return what bz2 has packed; raises BagLimitError as :func:`unpack_zstd`."""
    return _bounded(_bz2_part, data, limit)


def unpack_chunk(data: bytes, compression: str, size: int) -> bytes:
    """Return an mcap chunk's records.

    Args:
        data: The chunk as it lies in the file.
        compression: ``zstd``, ``lz4`` or nothing.
        size: Its size unpacked, as the file says; more than that is not unpacked.

    Raises:
        BagLimitError: it is larger than it may be, or than it says.
        KeyError: another compression.
    """
    if size > MAX_CHUNK_BYTES:
        raise _too_large(size, MAX_CHUNK_BYTES)
    return mcap.DECOMPRESSORS[compression](data, size)


def check_message(size: int) -> None:
    """Raise BagLimitError for a message of more bytes than a message may have."""
    if size > MAX_MESSAGE_BYTES:
        raise BagLimitError(f"got a message of {size} bytes, expected at most {MAX_MESSAGE_BYTES}")


def check_schema(connection: sqlite3.Connection) -> None:
    """Look at the tables of an sqlite3 bag before one of them is read.

    A bag has plain tables. A view, a virtual table or a computed column can run without end, or
    make gigabytes of nothing.

    Raises:
        BagLimitError: there is something else than plain tables.
        sqlite3.DatabaseError: this is no whole database.
    """
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    for kind, name, sql in rows:
        virtual = kind == "table" and str(sql).upper().split()[1:2] == ["VIRTUAL"]
        if kind not in ("table", "index") or virtual:
            raise BagLimitError(f"got a {kind} that computes ({str(name)[:40]}), expected tables")
    for kind, name, _ in rows:
        columns = connection.execute("SELECT hidden FROM pragma_table_xinfo(?)", (name,))
        if kind == "table" and any(hidden for (hidden,) in columns):
            raise BagLimitError(f"got a computed column ({str(name)[:40]}), expected stored ones")


class CheckedSqlite3Reader(Sqlite3Reader):
    """rosbags' reader of sqlite3 bags, behind a look at the schema and at the longest message."""

    def open(self) -> None:
        """Open the bag; raises BagLimitError beside what rosbags raises."""
        uri = f"{Path(str(self.path)).absolute().as_uri()}?immutable=1"
        connection = sqlite3.connect(uri, uri=True)
        try:
            check_schema(connection)
            longest = connection.execute("SELECT max(length(data)) FROM messages").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise BagLimitError(f"got an sqlite3 file that cannot be read ({error})") from error
        finally:
            connection.close()
        if isinstance(longest, int):
            check_message(longest)
        super().open()


class _BoundedFile:
    """A zstd file that may not unpack to more than a multiple of itself."""

    def __init__(self, packed: BinaryIO, mode: Literal["rb"]) -> None:
        packed_bytes = packed.seek(0, os.SEEK_END)
        packed.seek(0)
        self._file = zstd.ZstdFile(packed, mode)
        self._limit = self._left = max(MAX_CHUNK_BYTES, MAX_FILE_RATIO * packed_bytes)

    def read(self, size: int) -> bytes:
        """Return the next bytes; raises BagLimitError past the limit."""
        piece: bytes = self._file.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise _too_large(self._limit + 1, self._limit)
        return piece

    def __enter__(self) -> _BoundedFile:
        return self

    def __exit__(self, *unused: object) -> None:
        self._file.close()


def _too_large(size: int, limit: int) -> BagLimitError:
    return BagLimitError(
        f"got {size} bytes or more out of a packed chunk, expected at most {limit}"
    )


_Part = Callable[[bytes, int], "tuple[bytes, bytes]"]
"""Unpacks one stream: data and a limit to the bytes unpacked, and the data behind the stream."""


def _bounded(part: _Part, data: bytes, limit: int | None) -> bytes:
    """Unpack the streams that stand one behind the other in ``data``."""
    limit = MAX_CHUNK_BYTES if limit is None else limit
    unpacked = bytearray()
    while data:
        piece, data = part(data, limit + 1 - len(unpacked))
        unpacked += piece
        if len(unpacked) > limit:
            raise _too_large(len(unpacked), limit)
    return bytes(unpacked)


def _zstd_part(data: bytes, limit: int) -> tuple[bytes, bytes]:
    stream = zstd.ZstdDecompressor()
    piece = stream.decompress(data, limit)
    return piece, stream.unused_data if stream.eof else b""


def _lz4_part(data: bytes, limit: int) -> tuple[bytes, bytes]:
    stream = lz4.frame.LZ4FrameDecompressor()
    piece = stream.decompress(data, limit)
    return piece, (stream.unused_data or b"") if stream.eof else b""


def _bz2_part(data: bytes, limit: int) -> tuple[bytes, bytes]:
    stream = bz2.BZ2Decompressor()
    piece = stream.decompress(data, limit)
    return piece, stream.unused_data if stream.eof else b""


def _of_stated_size(unpack: Callable[[bytes, int], bytes]) -> Callable[[bytes, int], bytes]:
    def bounded(data: bytes, size: int) -> bytes:
        if size > MAX_CHUNK_BYTES:
            raise _too_large(size, MAX_CHUNK_BYTES)
        return unpack(data, size)

    return bounded


mcap.DECOMPRESSORS["lz4"] = _of_stated_size(unpack_lz4)
mcap.DECOMPRESSORS["zstd"] = _of_stated_size(unpack_zstd)
rosbag1.decompressors["bz2"] = unpack_bz2
rosbag1.decompressors["lz4"] = unpack_lz4
# Bags that are compressed message by message, or file by file.
_bounded_zstd = SimpleNamespace(decompress=unpack_zstd, open=_BoundedFile)
rosbag2.zstd = _bounded_zstd  # type: ignore[assignment, attr-defined]
for _plugins, _name in (
    (rosbag2.DirectoryReader.STORAGE_PLUGINS, "sqlite3"),
    (rosbag2.Reader.STORAGE_PLUGINS, ".db3"),
):
    _plugins[_name] = CheckedSqlite3Reader  # type: ignore[index]
