"""A bag from outside cannot make gigabytes of a few kilobytes, hang, or run anything."""

from __future__ import annotations

import bz2
import contextlib
import sqlite3
import struct
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import lz4.frame
import pytest
from recording_maker import make_sequence
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from gam_depth_ros.evaluation import bag_limits
from gam_depth_ros.evaluation.bag import BagError, open_recording, sequence_to_bag
from gam_depth_ros.evaluation.bag_definitions import types_of
from gam_depth_ros.evaluation.bag_limits import (
    BagLimitError,
    unpack_bz2,
    unpack_chunk,
    unpack_lz4,
    unpack_zstd,
)
from gam_depth_ros.evaluation.ros_types import ros2_types
from gam_depth_ros.evaluation.rosbag_reader import open_bag

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MEGABYTE = 2**20
PACKERS = {"zstd": zstd.compress, "lz4": lz4.frame.compress, "bz2": bz2.compress}
UNPACKERS = {"zstd": unpack_zstd, "lz4": unpack_lz4, "bz2": unpack_bz2}
MAGIC = b"\x89MCAP0\r\n"


@contextlib.contextmanager
def at_most(limit_bytes: int) -> Iterator[None]:
    """Fail where more than this is allocated inside."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit_bytes
    finally:
        tracemalloc.stop()


def record(kind: int, body: bytes) -> bytes:
    return struct.pack("<BQ", kind, len(body)) + body


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode()


def chunk(compression: str, packed: bytes, stated: int) -> bytes:
    head = struct.pack("<QQQI", 0, 1, stated, 0) + text(compression)
    return record(0x06, head + struct.pack("<Q", len(packed)) + packed)


def channels() -> bytes:
    """A schema and a channel for colour images."""
    schema = struct.pack("<H", 1) + text("sensor_msgs/msg/Image") + text("ros2msg") + text("")
    channel = struct.pack("<HH", 1, 1) + text("/image") + text("cdr") + struct.pack("<I", 0)
    return record(0x03, schema) + record(0x04, channel)


def mcap_without_index(path: Path, *records: bytes) -> Path:
    path.write_bytes(MAGIC + record(0x01, text("ros2") + text("")) + channels() + b"".join(records))
    return path


def compressed_bag(path: Path, mode: CompressionMode, storage: StoragePlugin) -> Path:
    sequence = make_sequence(path.with_name("sequence"), frames=6)
    writer = Writer(path, version=8, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for message in open_recording(sequence).input_messages():
            if message.topic not in connections:
                connections[message.topic] = writer.add_connection(
                    message.topic, message.msgtype, typestore=ros2_types()
                )
            writer.write(connections[message.topic], message.bag_time_ns, message.data)
    return path


@pytest.mark.parametrize("kind", ["zstd", "lz4", "bz2"])
def test_what_is_packed_comes_back_whole_also_out_of_two_streams(kind):
    packed = PACKERS[kind](b"first ") + PACKERS[kind](b"second")
    assert UNPACKERS[kind](packed) == b"first second"
    assert UNPACKERS[kind](packed, limit=12) == b"first second"


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("kind", ["zstd", "lz4", "bz2"])
def test_a_bomb_is_refused_before_it_is_unpacked(kind, streams):
    bomb = PACKERS[kind](b"small") * (streams - 1) + PACKERS[kind](bytes(64 * MEGABYTE))
    with at_most(4 * MEGABYTE), pytest.raises(BagLimitError, match=r"got \d+ bytes or more out of"):
        UNPACKERS[kind](bomb, limit=MEGABYTE)


def test_a_chunk_may_not_be_more_than_it_says_nor_say_more_than_it_may():
    bomb = zstd.compress(bytes(64 * MEGABYTE))
    with at_most(4 * MEGABYTE), pytest.raises(BagLimitError, match="expected at most 1000"):
        unpack_chunk(bomb, "zstd", 1000)
    with pytest.raises(BagLimitError, match=f"got {2**40} bytes"):
        unpack_chunk(bomb, "zstd", 2**40)


def test_an_mcap_of_bombs_is_refused_in_one_line(tmp_path):
    bombs = [chunk("zstd", zstd.compress(bytes(64 * MEGABYTE)), 1000), chunk("lz4", b"", 2**62)]
    path = mcap_without_index(tmp_path / "bomb.mcap", *bombs)
    with at_most(8 * MEGABYTE), pytest.raises(BagError, match="without one readable message") as e:
        open_recording(path)
    assert "\n" not in str(e.value)


def test_chunks_inside_chunks_are_not_unpacked(tmp_path):
    inner = b""
    for _ in range(200):
        inner = chunk("zstd", zstd.compress(inner), len(inner))
    path = mcap_without_index(tmp_path / "nested.mcap", inner)
    with pytest.raises(BagError, match="without one readable message"):
        open_recording(path)


def test_a_record_that_claims_exabytes_reserves_none(tmp_path):
    path = mcap_without_index(tmp_path / "claims.mcap", struct.pack("<BQ", 0x05, 2**62) + b"x")
    with at_most(8 * MEGABYTE), pytest.raises(BagError, match="without one readable message"):
        open_recording(path)


@pytest.mark.parametrize(
    ("mode", "storage"),
    [
        (CompressionMode.STORAGE, StoragePlugin.MCAP),
        (CompressionMode.MESSAGE, StoragePlugin.SQLITE3),
        (CompressionMode.FILE, StoragePlugin.SQLITE3),
    ],
)
def test_a_bag_that_rosbags_opens_is_bounded_too(tmp_path, monkeypatch, mode, storage):
    path = compressed_bag(tmp_path / "bag", mode, storage)
    assert len(list(open_recording(path).frames())) == 6
    monkeypatch.setattr(bag_limits, "MAX_CHUNK_BYTES", 1000)
    monkeypatch.setattr(bag_limits, "MAX_FILE_RATIO", 0)
    try:
        recording = open_recording(path)
        found, said = len(list(recording.frames())), " ".join(recording.notes)
    except BagError as error:
        found, said = 0, str(error)
    assert found == 0
    assert "bytes or more out of a packed chunk, expected at most 1000" in said


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT "


@pytest.mark.parametrize(
    ("hostile", "words"),
    [
        (f"CREATE VIEW messages AS {ENDLESS} x AS id, 1 AS topic_id, x AS timestamp, zeroblob(9) "
         "AS data FROM c", "view that computes"),
        ("CREATE TABLE messages(id INTEGER, topic_id INTEGER, timestamp INTEGER, data BLOB "
         "GENERATED ALWAYS AS (zeroblob(900000000)))", "computed column"),
        ("CREATE VIRTUAL TABLE messages USING fts5(id, topic_id, timestamp, data)",
         "table that computes"),
    ],
    ids=["view", "column", "virtual"],
)  # fmt: skip
def test_a_database_that_computes_its_messages_is_refused(tmp_path, hostile, words):
    sequence_to_bag(make_sequence(tmp_path / "s", frames=2), tmp_path / "bag", "sqlite3")
    file = tmp_path / "bag" / "bag.db3"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("ALTER TABLE messages RENAME TO old")
        database.execute(hostile)
        database.commit()
    with at_most(8 * MEGABYTE), pytest.raises(BagError, match=words) as caught:
        open_bag(file)
    assert "\n" not in str(caught.value)


def test_a_message_over_the_bound_is_refused(tmp_path, monkeypatch):
    sequence_to_bag(make_sequence(tmp_path / "s", frames=2), tmp_path / "bag", "sqlite3")
    monkeypatch.setattr(bag_limits, "MAX_MESSAGE_BYTES", 1000)
    monkeypatch.setattr("gam_depth_ros.evaluation.bag_salvage.MAX_MESSAGE_BYTES", 10)
    with pytest.raises(BagError, match=r"got a message of .* bytes, expected at most 1000"):
        open_bag(tmp_path / "bag" / "bag.db3")


@pytest.mark.parametrize(
    "definition",
    [
        "int32 x\nstring NAME=\"'); open('{flag}', 'w'); ('\"",
        "int32 x\nstring NAME=\\\n\"); open('{flag}', 'w'); (\"",
        "int32 __import__\nint32 __init_subclass__",
        "int32 x # " + "long " * 100_000,
    ],
    ids=["string constant", "continued constant", "dunder", "long"],
)
def test_a_definition_in_a_bag_is_read_as_names_and_never_run(tmp_path, definition):
    flag = tmp_path / "was_run"
    text_of = definition.replace("{flag}", str(flag))
    with contextlib.suppress(BagError):
        types_of("/odd", "their_msgs/msg/Odd", text_of, {})
    assert not flag.exists()
    assert "open(" not in str(types_of_or_error(text_of))


def types_of_or_error(text_of: str) -> object:
    try:
        return types_of("/odd", "their_msgs/msg/Odd", text_of, {})
    except BagError as error:
        return str(error).partition("(")[0]


def test_a_plain_definition_is_learned_without_its_constants():
    found = types_of("/odd", "their_msgs/msg/Odd", "uint8 ONE=1\nint32 x\nstring[] names", {})
    constants, fields = found["their_msgs/msg/Odd"]
    assert constants == []
    assert [name for name, _ in fields] == ["x", "names"]


def test_a_definition_without_end_or_with_odd_names_is_refused_in_one_line():
    for bad in ("int32 x\n" * 20_000, "int32 __class__"):
        with pytest.raises(BagError, match="unreadable definition") as caught:
            types_of("/odd", "their_msgs/msg/Odd", bad, {})
        assert "\n" not in str(caught.value)
