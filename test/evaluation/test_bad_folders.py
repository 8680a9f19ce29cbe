"""Whatever is wrong with a sequence folder costs one clear line, and at most what is broken."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from gam_depth_ros.evaluation.bag import BagError, FrameFailure, Sample, open_recording


def test_folder_with_a_missing_picture_costs_that_frame(sequence: Path) -> None:
    (sequence / "color" / "000002.png").unlink()
    (sequence / "depth" / "000004.png").write_bytes(b"no png")
    events = list(open_recording(sequence).samples())
    assert isinstance(events[2], FrameFailure)
    assert isinstance(events[4], Sample)
    assert events[4].frame.reference is None
    assert "16-bit PNG" in events[4].notes[0]


def test_folder_with_broken_truth_keeps_the_frame_and_says_so(sequence: Path) -> None:
    for folder in ("labels", "depth_exact"):
        (sequence / folder / "000001.png").write_bytes(b"no png")
    events = list(open_recording(sequence).samples())
    assert isinstance(events[1], Sample)
    assert events[1].labels is None
    assert events[1].exact_depth_m is None
    assert len(events[1].notes) == 2


@pytest.mark.parametrize("folder", ["color", "depth"])
def test_picture_that_claims_gigabytes_costs_itself_alone(sequence: Path, folder: str) -> None:
    small = cv2.imencode(".png", np.zeros((2, 2), np.uint16))[1].tobytes()
    body = b"IHDR" + struct.pack(">II", 200_000, 200_000) + small[24:29]
    header = small[:12] + body + struct.pack(">I", zlib.crc32(body))
    (sequence / folder / "000001.png").write_bytes(header + small[33:])
    events = list(open_recording(sequence).samples())
    assert [type(event) for event in events].count(FrameFailure) == (folder == "color")
    assert len(events) == 6


def test_folder_tables_from_a_spreadsheet_are_read(sequence: Path) -> None:
    table = sequence / "frames.csv"
    table.write_text(table.read_text(), encoding="utf-8-sig")
    assert len(list(open_recording(sequence).frames())) == 6


def test_folder_without_a_frame_says_which_file_is_empty(sequence: Path) -> None:
    (sequence / "frames.csv").write_text("frame,t_seconds,has_depth\n")
    with pytest.raises(BagError, match=r"no line in frames\.csv"):
        open_recording(sequence)


@pytest.mark.parametrize("text", ["[1]", '{"width": Infinity}', "null"])
def test_folder_with_senseless_calibration_is_refused_in_one_line(
    sequence: Path, text: str
) -> None:
    (sequence / "intrinsics.json").write_text(text)
    with pytest.raises(BagError, match="expected width, height"):
        open_recording(sequence)


def test_folder_with_broken_tables_is_refused_in_one_line(sequence: Path) -> None:
    (sequence / "frames.csv").write_text("frame,t_seconds,has_depth\n000000,noon,1\n")
    with pytest.raises(BagError, match="expected the columns frame"):
        open_recording(sequence)
    (sequence / "frames.csv").unlink()
    (sequence / "intrinsics.json").write_text("{}")
    with pytest.raises(BagError, match="expected width, height"):
        open_recording(sequence)
