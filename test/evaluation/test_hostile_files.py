"""Pictures and YAML from outside: bounded before they are read, and plain values alone."""

from __future__ import annotations

import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from recording_maker import make_sequence

from gam_depth_ros.camera_file import CameraFileError, read_camera
from gam_depth_ros.core.image_codec import ImageError, decode_compressed_color, decode_picture
from gam_depth_ros.evaluation.bag import FrameFailure, open_recording
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.gate import load_gate
from gam_depth_ros.plain_file import MAX_YAML_BYTES


def png(width: int, height: int, packed: bytes = b"") -> bytes:
    """A PNG whose header says what it likes."""

    def part(kind: bytes, body: bytes) -> bytes:
        sum32 = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", sum32)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", packed) + part(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """A JPEG whose frame header says what it likes."""
    data = bytearray(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize(
    "content",
    [
        png(2**31 - 1, 2**31 - 1),
        png(60_000, 60_000, zlib.compress(bytes(10**6))),
        jpeg(65_500, 65_500),
    ],
    ids=["png of exapixels", "png bomb", "jpeg of gigapixels"],
)
def test_a_picture_that_claims_gigapixels_is_refused_by_its_header(content, tmp_path):
    with pytest.raises(ImageError, match=r"got size \d+x\d+, expected sides up to 16384"):
        decode_compressed_color(content)
    with pytest.raises(ImageError, match="expected sides up to"):
        decode_picture(content, cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("claim", [2**32 - 1, 0xF8000030, 10**6])
def test_a_png_chunk_that_claims_more_than_there_is_is_refused_at_once(claim):
    good = png(8, 6, zlib.compress(bytes(6 * (1 + 8 * 3))))
    assert decode_compressed_color(good).shape == (6, 8, 3)
    at = good.index(b"IDAT") - 4
    started_s = time.process_time()
    with pytest.raises(ImageError, match="that do not decode to 8x6, expected a whole file"):
        decode_compressed_color(good[:at] + struct.pack(">I", claim) + good[at + 4 :])
    assert time.process_time() - started_s < 0.5


def test_a_jpeg_of_endless_scans_is_refused_at_once():
    picture = np.zeros((1024, 1024, 3), np.uint8)
    good = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert decode_compressed_color(good).shape == picture.shape
    last_scan = good[good.rindex(b"\xff\xda") : -2]
    started_s = time.process_time()
    with pytest.raises(ImageError, match="that do not decode to 1024x1024, expected a whole file"):
        decode_compressed_color(good[:-2] + 5_000 * last_scan + good[-2:])
    assert time.process_time() - started_s < 0.5


def test_a_hostile_picture_in_a_folder_costs_its_frame_alone(tmp_path):
    folder = make_sequence(tmp_path / "s", frames=4)
    pictures = sorted((folder / "color").iterdir())
    pictures[1].write_bytes(png(60_000, 60_000))
    failed = [e for e in open_recording(folder).samples() if isinstance(e, FrameFailure)]
    assert len(failed) == 1
    assert len(list(open_recording(folder).frames())) == 3


RUNS_CODE = "!!python/object/apply:os.system ['touch {flag}']"
HOSTILE = {
    "runs code": RUNS_CODE,
    "nested": "[" * 100_000,
    "too long": "a: " + "b" * (MAX_YAML_BYTES + 1),
}


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_hostile_yaml_is_refused_in_one_line_and_never_run(kind: str, tmp_path: Path) -> None:
    flag = tmp_path / "was_run"
    path = tmp_path / "hostile.yaml"
    path.write_text(HOSTILE[kind].replace("{flag}", str(flag)))
    with pytest.raises(BagError, match="expected") as gate:
        load_gate(path)
    with pytest.raises(CameraFileError, match="expected") as camera:
        read_camera(str(path), tmp_path)
    assert not flag.exists()
    assert "\n" not in str(gate.value) + str(camera.value)
    assert all(str(path) in str(error.value) for error in (gate, camera))


def test_aliases_that_would_grow_without_end_take_no_room(tmp_path: Path) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    path = tmp_path / "laughs.yaml"
    path.write_text("\n".join(rows))
    with pytest.raises(BagError, match="expected"):
        load_gate(path)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("frame,t_seconds\n../../secret,1.0\n", "no plain file name"),
        ("frame,t_seconds\n/etc/passwd,1.0\n", "no plain file name"),
        ("frame,t_seconds\n000000,99999999999999\n", "the time"),
        ("frame,t_seconds\n" + "x" * 200_000 + ",1.0\n", "field larger than field limit"),
    ],
    ids=["out of the folder", "absolute", "no time", "endless field"],
)
def test_a_hostile_table_of_a_folder_is_refused_in_one_line(tmp_path, table, words):
    folder = make_sequence(tmp_path / "s", frames=2)
    (folder / "frames.csv").write_text(table)
    with pytest.raises(BagError, match=words) as caught:
        open_recording(folder)
    assert "\n" not in str(caught.value)


def test_a_hostile_calibration_of_a_folder_is_refused_in_one_line(tmp_path):
    folder = make_sequence(tmp_path / "s", frames=2)
    (folder / "intrinsics.json").write_text("[" * 100_000)
    with pytest.raises(BagError, match="expected width, height") as caught:
        open_recording(folder)
    assert "\n" not in str(caught.value)
