"""Numeric arrays of a MATLAB 5 file, by the published format; enough for NYUv2's splits.mat."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC_CLASSES = range(6, 16)  # double, single and the integers
_KINDS = {
    1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4",
    7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8",
}  # fmt: skip


def read_mat5(path: Path) -> dict[str, np.ndarray]:
    """Return the real numeric arrays of a file by name; anything else in it is passed over.

    Raises:
        ValueError: Not a little-endian MATLAB 5 file, or a damaged one.
    """
    try:
        data = path.read_bytes()
        if len(data) < _HEADER_BYTES or data[126:128] != b"IM":
            raise ValueError("no MATLAB 5 header")
        found = (_matrix(body) for body in _matrices(data[_HEADER_BYTES:]))
        return dict(entry for entry in found if entry is not None)
    except (OSError, ValueError, KeyError, IndexError, struct.error, zlib.error) as error:
        raise ValueError(
            f"{path}: got {error!r} while reading it, expected a MATLAB 5 file; copy it again"
        ) from error


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each data element."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind >> 16:  # the small form: type, size and up to four bytes in one word pair
            kind, size, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
        else:
            # Only compressed elements are not padded to eight bytes.
            padded = size if kind == _COMPRESSED else (size + 7) // 8 * 8
            start, step = at + 8, 8 + padded
        if start + size > len(data):
            raise ValueError("an element beyond the end of the file")
        yield kind, data[start : start + size]
        at += step


def _matrices(data: bytes) -> Iterator[bytes]:
    for kind, content in _elements(data):
        if kind == _COMPRESSED:
            yield from _matrices(zlib.decompress(content))
        elif kind == _MATRIX:
            yield content


def _matrix(body: bytes) -> tuple[str, np.ndarray] | None:
    parts = list(_elements(body))
    if len(parts) < 4 or parts[0][1][0] not in _NUMERIC_CLASSES:
        return None
    dimensions = np.frombuffer(parts[1][1], "<i4")
    kind, values = parts[3]
    array = np.frombuffer(values, _KINDS[kind]).reshape(dimensions, order="F")
    return parts[2][1].decode("ascii"), array
