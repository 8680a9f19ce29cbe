"""The performance log on real files: rotation, a full disk, a disk that hangs; without ROS."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from gam_depth_ros import performance_log
from gam_depth_ros.performance_log import PerformanceLog, PerformanceLogConfig, RotatedFile


def lines(path):
    return path.read_text().splitlines()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def wait_for(met):
    end_s = time.monotonic() + 5.0
    while not met():
        assert time.monotonic() < end_s, "waited 5 s in vain"
        time.sleep(0.005)


def test_records_become_one_json_line_each(tmp_path):
    path = tmp_path / "logs" / "performance.jsonl"
    log = PerformanceLog(PerformanceLogConfig(path=str(path)))
    for index in range(3):
        log.put({"index": index, "name": "ä"})
    log.close()
    assert [json.loads(line)["index"] for line in lines(path)] == [0, 1, 2]


def test_a_node_started_again_goes_on_where_the_file_ended(tmp_path):
    path = tmp_path / "performance.jsonl"
    for index in range(2):
        log = PerformanceLog(PerformanceLogConfig(path=str(path)))
        log.put({"index": index})
        log.close()
    assert len(lines(path)) == 2


def test_a_second_node_on_the_same_path_is_refused_with_the_reason_until_the_first_ends(tmp_path):
    path = tmp_path / "log"
    first, second = (RotatedFile(path, max_bytes=20, kept=2) for _ in range(2))
    for _ in range(3):  # the first turns over meanwhile
        first.append(b"line 0001")
        with pytest.raises(OSError, match=r"another node writes it, give each a performance_log"):
            second.append(b"line 0002")
    first.close()
    second.append(b"line 0002")
    second.close()
    assert lines(path) == ["line 0001", "line 0002"]
    assert names(tmp_path) == ["log", "log.1"]


def test_files_turn_over_before_they_exceed_their_size_and_the_oldest_goes(tmp_path):
    path = tmp_path / "log"
    file = RotatedFile(path, max_bytes=20, kept=2)
    for index in range(7):
        file.append(b"line %04d" % index)  # ten bytes with its end: two to a file
    file.close()
    assert lines(path) == ["line 0006"]
    assert lines(tmp_path / "log.1") == ["line 0004", "line 0005"]
    assert lines(tmp_path / "log.2") == ["line 0002", "line 0003"]
    assert names(tmp_path) == ["log", "log.1", "log.2"]


def test_with_no_file_kept_the_full_one_is_dropped(tmp_path):
    file = RotatedFile(tmp_path / "log", max_bytes=20, kept=0)
    for index in range(3):
        file.append(b"line %04d" % index)
    file.close()
    assert names(tmp_path) == ["log"]
    assert lines(tmp_path / "log") == ["line 0002"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_is_said_once_and_putting_never_waits(caplog):
    log = PerformanceLog(PerformanceLogConfig(path="/dev/full"))
    started = time.monotonic()
    for index in range(20):
        log.put({"index": index})
    assert time.monotonic() - started < 0.5
    log.close()
    said = [record.message for record in caplog.records]
    assert said == [
        "performance log /dev/full: got 'No space left on device', expected a file that can be "
        "written; lines are lost until then, frames are not"
    ]
    assert log.problem == said[0]


def test_when_there_is_room_again_it_goes_on_and_says_how_many_lines_were_lost(tmp_path, caplog):
    caplog.set_level("INFO")
    blocked = tmp_path / "place"
    blocked.write_text("a file where a directory is needed")
    path = blocked / "log"
    log = PerformanceLog(PerformanceLogConfig(path=str(path)))
    log.put({"index": 0})
    log.put({"index": 1})
    wait_for(lambda: log._lost == 2)
    blocked.unlink()
    log.put({"index": 2})
    log.close()
    assert [json.loads(line)["index"] for line in lines(path)] == [2]
    assert log.problem == ""
    assert caplog.records[-1].message == f"performance log {path}: goes on, 2 lines lost"


def test_after_half_a_line_the_next_begins_on_a_line_of_its_own(tmp_path):
    path = tmp_path / "log"
    file = RotatedFile(path, max_bytes=1000, kept=1)
    file.append(b"whole")

    class Torn:
        def write(self, data):
            with path.open("ab") as stream:
                return stream.write(data[:3])

        def close(self):
            pass

    file._stream = Torn()
    with pytest.raises(OSError, match="No space left"):
        file.append(b"torn line")
    file.append(b"next")
    file.close()
    assert lines(path) == ["whole", "tor", "next"]


def test_a_disk_that_hangs_costs_lines_and_neither_frames_nor_the_end(tmp_path, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(RotatedFile, "append", lambda *_: release.wait(10))
    monkeypatch.setattr(performance_log, "CLOSE_TIMEOUT_S", 0.1)
    log = PerformanceLog(PerformanceLogConfig(path=str(tmp_path / "log")))
    started = time.monotonic()
    for index in range(200):
        log.put({"index": index})
    log.close()
    assert time.monotonic() - started < 1.0
    assert "64 lines that wait" in log.problem
    release.set()
    log._thread.join(5.0)
    assert not log._thread.is_alive()  # it held the file open for ever
