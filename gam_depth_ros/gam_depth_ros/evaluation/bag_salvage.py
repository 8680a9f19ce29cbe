"""What can still be read from a bag without its index: a power cut, a full disk, half a copy.

rosbags reads a bag through the index at its end. Here the file is walked from its start instead,
record by record, up to the place where it breaks off.
"""

from __future__ import annotations

import sqlite3
import struct
import sys
from collections.abc import Callable, Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from rosbags.rosbag1.reader import Header, decompressors, normalize, read_bytes, read_uint32
from rosbags.rosbag2.storage_mcap import DECOMPRESSORS, read_string
from rosbags.typesys.msg import normalize_msgtype

from gam_depth_ros.evaluation.bag_contents import DAMAGE, BagError, RawMessage, StoredTopic

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MCAP_SCHEMA, MCAP_CHANNEL, MCAP_MESSAGE, MCAP_CHUNK = 0x03, 0x04, 0x05, 0x06
BAG1_CHUNK, BAG1_CONNECTION, BAG1_MESSAGE = 0x05, 0x07, 0x02

Walk = Callable[[Path, dict[int, StoredTopic]], Iterator[tuple[int, int, bytes]]]
"""Yields topic number, bag time and data, and fills in the topics as it meets them."""


class SalvagedStorage:
    """One storage file, read from the start up to where it breaks off."""

    def __init__(self, path: Path, walk: Walk, reason: str) -> None:
        self.problem = f"got a truncated or damaged file ({reason}), read what comes before"
        self._path = path
        self._walk = walk
        numbered: dict[int, StoredTopic] = {}
        count = sum(1 for _ in walk(path, numbered))
        if not count:
            raise BagError(
                f"{path}: got a damaged bag without one readable message ({reason}), "
                "expected a recording; record or copy it again"
            )
        self.topics = {topic.name: topic for topic in numbered.values()}

    def messages(self, names: Collection[str]) -> Iterator[RawMessage]:
        """Yield the readable messages of the topics in ``names``, in the order of the file."""
        numbered: dict[int, StoredTopic] = {}
        for number, bag_time_ns, data in self._walk(self._path, numbered):
            topic = numbered.get(number)
            if topic is not None and topic.name in names:
                yield RawMessage(topic.name, topic.msgtype, bag_time_ns, data)


def salvage(path: Path, reason: str) -> SalvagedStorage:
    """Open a file that rosbags refused for ``reason``; raises BagError if nothing is readable."""
    walks: dict[str, Walk] = {".mcap": _walk_mcap, ".db3": _walk_sqlite3, ".bag": _walk_bag1}
    return SalvagedStorage(path, walks[path.suffix], reason)


def _walk_mcap(path: Path, topics: dict[int, StoredTopic]) -> Iterator[tuple[int, int, bytes]]:
    schemas: dict[int, tuple[str, str]] = {}
    with path.open("rb") as file:
        if file.read(8) != b"\x89MCAP0\r\n":
            return
        yield from _walk_mcap_records(file, schemas, topics)


def _walk_mcap_records(
    file: BinaryIO, schemas: dict[int, tuple[str, str]], topics: dict[int, StoredTopic]
) -> Iterator[tuple[int, int, bytes]]:
    while len(head := file.read(9)) == 9:
        kind, size = struct.unpack("<BQ", head)
        body = file.read(size) if kind <= MCAP_CHUNK else b""
        if kind > MCAP_CHUNK:
            file.seek(size, 1)
            continue
        try:
            if kind == MCAP_CHUNK:
                yield from _walk_mcap_records(BytesIO(_mcap_chunk(body)), schemas, topics)
            elif len(body) < size:
                return
            elif kind == MCAP_SCHEMA:
                record = BytesIO(body)
                (number,) = struct.unpack("<H", record.read(2))
                name, _, text = read_string(record), read_string(record), read_string(record)
                schemas[number] = (name, text)
            elif kind == MCAP_CHANNEL:
                record = BytesIO(body)
                number, schema = struct.unpack("<HH", record.read(4))
                topics[number] = StoredTopic(read_string(record), *schemas.get(schema, ("", "")))
            elif kind == MCAP_MESSAGE:
                number, _, bag_time_ns = struct.unpack_from("<HIQ", body)
                yield number, bag_time_ns, body[22:]
        except DAMAGE:
            continue  # this record is lost, the next one starts at a known place


def _mcap_chunk(body: bytes) -> bytes:
    """Return the records of a chunk; of a chunk that breaks off, those that are whole."""
    record = BytesIO(body)
    _, _, size, _ = struct.unpack("<QQQI", record.read(28))
    compression = read_string(record)
    record.read(8)
    data = record.read()
    if compression == "":
        return data
    if compression == "zstd":
        # Gives what there is of a stream that breaks off.
        return bytes(zstd.ZstdDecompressor().decompress(data))
    whole: bytes = DECOMPRESSORS[compression](data, size)
    return whole


def _walk_sqlite3(path: Path, topics: dict[int, StoredTopic]) -> Iterator[tuple[int, int, bytes]]:
    connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    try:
        # Without this SQLite refuses a file that is shorter than its header says.
        connection.execute("PRAGMA writable_schema=ON")
        for number, name, msgtype in connection.execute("SELECT id, name, type FROM topics"):
            topics[number] = StoredTopic(name, msgtype)
        # SQLite keeps any type in any column: of a damaged row, only the types tell.
        yield from connection.execute(
            "SELECT topic_id, timestamp, data FROM messages WHERE typeof(topic_id) = 'integer' "
            "AND typeof(timestamp) = 'integer' AND typeof(data) = 'blob' ORDER BY id"
        )
    except sqlite3.DatabaseError:
        return
    finally:
        connection.close()


def _walk_bag1(path: Path, topics: dict[int, StoredTopic]) -> Iterator[tuple[int, int, bytes]]:
    with path.open("rb") as file:
        if not file.readline().startswith(b"#ROSBAG V2.0"):
            return
        yield from _walk_bag1_records(file, topics)


def _walk_bag1_records(
    file: BinaryIO, topics: dict[int, StoredTopic]
) -> Iterator[tuple[int, int, bytes]]:
    while True:
        try:
            header = Header.read(file)
            kind = header.get_uint8("op")
            size = read_uint32(file)
            if kind == BAG1_CHUNK:
                # A chunk that breaks off still has whole messages when it is not compressed.
                data = decompressors[header.get_string("compression")](file.read(size))
                yield from _walk_bag1_records(BytesIO(data), topics)
                continue
            data = read_bytes(file, size)
            if kind == BAG1_CONNECTION:
                text = BytesIO(struct.pack("<I", size) + data)
                fields = Header.read(text)
                name = normalize(header.get_string("topic"))
                msgtype = normalize_msgtype(fields.get_string("type"))
                topics[header.get_uint32("conn")] = StoredTopic(
                    name, msgtype, fields.get_string("message_definition")
                )
            elif kind == BAG1_MESSAGE:
                yield header.get_uint32("conn"), header.get_time("time"), data
        except DAMAGE:
            return
