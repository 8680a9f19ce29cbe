"""Bags that are whole but awkward: what can be scored is scored; the report says what cannot."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from plain_pipeline import plain_pipeline
from recording_maker import INTERVAL_S, make_sequence

from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.evaluation.bag import OutMessage, open_recording, sequence_to_bag, write_bag
from gam_depth_ros.evaluation.bag_writer import serialise
from gam_depth_ros.evaluation.evaluate import evaluate
from gam_depth_ros.evaluation.image_messages import depth_message, image_message
from gam_depth_ros.evaluation.rosbag_reader import Bag
from gam_depth_ros.evaluation.verdict import headline

TICKS = 100_000
STEP_NS = round(INTERVAL_S * 1e9)
AS_MUCH_AGAIN = (
    "INSERT INTO messages (topic_id, timestamp, data) "
    "SELECT topic_id, timestamp + 1000000000, data FROM messages"
)


def color(index: int) -> OutMessage:
    at_ns = 10**12 + index * STEP_NS
    picture = np.full((48, 64, 3), 30 + 10 * index, np.uint8)
    return serialise("/rgb", at_ns, image_message(picture, "rgb8", at_ns, "camera"))


def depth(index: int, shape: tuple[int, int] = (48, 64), frame_id: str = "camera") -> OutMessage:
    at_ns = 10**12 + index * STEP_NS
    metres = np.full(shape, 2.0, np.float32)
    return serialise("/depth", at_ns, depth_message(metres, "16UC1", at_ns, frame_id))


def bag_of(path: Path, *messages: OutMessage) -> Path:
    write_bag(path, sorted(messages, key=lambda message: message.bag_time_ns))
    return path


def test_a_bag_of_colour_alone_gets_all_that_needs_no_truth(
    tmp_path: Path, pipeline: PerceptionPipeline
) -> None:
    bag = bag_of(tmp_path / "bag", *(color(index) for index in range(6)))
    report = evaluate(open_recording(bag), pipeline).report
    assert report["frames"] == {
        "in": 6, "evaluated": 0, "dropped": 0, "failed": 0, "without_truth": 6,
    }  # fmt: skip
    assert report["depth"] is report["uncertainty"] is report["fusion"] is None
    assert "no frame has a reference depth" in report["depth_reason"]
    assert report["temporal"]["frames"] == 5
    assert report["health"]["frames"] == 6
    assert {"temporal.opw", "latency_ms.p50", "health.healthy_share"} <= report["figures"].keys()
    assert not any(key.startswith(("depth.", "uncertainty.")) for key in report["figures"])
    assert headline(report)


def test_truth_of_another_size_in_another_frame_is_not_held_against_the_picture(
    tmp_path: Path, pipeline: PerceptionPipeline
) -> None:
    messages = [part for i in range(3) for part in (color(i), depth(i, (24, 32), "elsewhere"))]
    report = evaluate(open_recording(bag_of(tmp_path / "bag", *messages)), pipeline).report
    assert report["frames"]["without_truth"] == 3
    assert report["depth"] is None
    assert any("elsewhere" in note for note in report["notes"])


def test_colour_and_depth_that_never_overlap_give_a_report_that_says_so(
    tmp_path: Path, pipeline: PerceptionPipeline
) -> None:
    messages = [*(color(i) for i in range(3)), *(depth(i) for i in range(10, 13))]
    report = evaluate(open_recording(bag_of(tmp_path / "bag", *messages)), pipeline).report
    assert report["frames"]["without_truth"] == report["frames"]["in"] == 3
    assert sum("got 3 images, none stamped within" in note for note in report["notes"]) == 1


def test_a_hundred_thousand_tiny_messages_are_passed_over_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = (
        OutMessage("/tick", "std_msgs/msg/Empty", 10**12 + 3000 * index, b"\0\1\0\0\0")
        for index in range(TICKS)
    )
    write_bag(tmp_path / "bag", itertools.chain(ticks, *((color(i), depth(i)) for i in range(4))))
    decoded = []
    decode = Bag.decode
    monkeypatch.setattr(
        Bag, "decode", lambda bag, raw: (decoded.append(raw.topic), decode(bag, raw))[1]
    )
    frames = list(open_recording(tmp_path / "bag").frames())
    assert len(frames) == 4
    assert all(frame.reference is not None for frame in frames)
    assert set(decoded) == {"/rgb", "/depth"}
    assert len(decoded) <= 2 * 4 + 2  # topics are chosen by a look at their first message


def test_an_mcap_that_is_still_being_written_gives_what_is_there_and_what_comes(
    tmp_path: Path, model: Path
) -> None:
    sequence_to_bag(make_sequence(tmp_path / "s", frames=15), tmp_path / "bag")
    file = tmp_path / "bag" / "bag.mcap"
    whole = file.read_bytes()
    (tmp_path / "bag" / "metadata.yaml").unlink()  # the recorder writes it when it ends
    file.write_bytes(whole[: len(whole) // 2])
    recording = open_recording(tmp_path / "bag")
    at_first = len(list(recording.frames()))
    assert 4 <= at_first < 15
    frames = recording.frames()
    seen = [next(frames)]
    with file.open("ab") as recorder:
        recorder.write(whole[len(whole) // 2 : len(whole) * 3 // 4])
    seen += frames
    assert at_first <= len(seen) < 15
    stamps = [frame.stamp_ns for frame in seen]
    assert stamps == sorted(stamps)
    assert any("no metadata.yaml" in note for note in recording.notes)
    report = evaluate(open_recording(tmp_path / "bag"), plain_pipeline(model)).report
    assert report["frames"]["evaluated"] == report["frames"]["in"]
    assert at_first < report["frames"]["in"] < 15


def test_what_still_lies_in_a_write_ahead_log_is_not_read_and_the_report_says_so(
    tmp_path: Path, model: Path
) -> None:
    with recorder_of(tmp_path) as recorder:
        recorder.execute("PRAGMA journal_mode=WAL")
        recorder.execute("PRAGMA wal_autocheckpoint=0")
        recorder.execute(AS_MUCH_AGAIN)
        recorder.commit()
        report = evaluate(open_recording(tmp_path / "bag"), plain_pipeline(model)).report
        assert report["frames"]["in"] == 8
        assert sum("got bag.db3-wal beside the bag" in note for note in report["notes"]) == 1
        alone = open_recording(tmp_path / "bag" / "bag.db3")
        assert any("bag.db3-wal" in note for note in alone.notes)
        recorder.execute("PRAGMA wal_checkpoint")  # what the note advises
        assert len(list(open_recording(tmp_path / "bag").frames())) == 16
    whole = open_recording(tmp_path / "bag")  # the recorder ended, and took its log away
    assert len(list(whole.frames())) == 16
    assert not any("-wal" in note for note in whole.notes)


def test_a_recorder_that_holds_the_database_locked_holds_up_no_reading(tmp_path: Path) -> None:
    with recorder_of(tmp_path) as recorder:
        recorder.execute("PRAGMA journal_mode=DELETE")
        recorder.execute("PRAGMA cache_spill=OFF")  # nothing goes to the file before the commit
        recorder.execute("BEGIN EXCLUSIVE")
        recorder.execute(AS_MUCH_AGAIN)
        assert len(list(open_recording(tmp_path / "bag").frames())) == 8
        recorder.commit()
        recording = open_recording(tmp_path / "bag")
        assert len(list(recording.frames())) == 16
        assert not any("-wal" in note for note in recording.notes)


@contextmanager
def recorder_of(folder: Path) -> Iterator[sqlite3.Connection]:
    """Write a bag of 8 frames and hold it open, as a recorder does that has not ended."""
    sequence_to_bag(make_sequence(folder / "s", frames=8), folder / "bag", "sqlite3")
    (folder / "bag" / "metadata.yaml").unlink()
    with closing(sqlite3.connect(folder / "bag" / "bag.db3")) as recorder:
        yield recorder
