"""Public data sets, on tiny files in their makers' layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from gam_depth_training.cli import app
from gam_depth_training.datasets import interiornet, scannet, seven_scenes, tum
from gam_depth_training.datasets.split_list import read_split_list
from gam_depth_training.evaluation_frames import read_evaluation_frame
from gam_depth_training.prepared import Prepared
from gam_depth_training.video_data import Source

from .dataset_files import nyu_line, write_depth, write_list, write_picture

# ScanNet


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans" / "scene0707_00"
    for number in range(12):
        write_picture(folder / "color" / f"{number}.jpg", 162, 121)
        write_depth(folder / "depth" / f"{number}.png", 2000 + number, 80, 60)
    (folder / "intrinsic").mkdir()
    matrix = np.eye(4)
    matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2] = 1170.0, 1171.0, 648.0, 484.0
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", matrix)
    return tmp_path / "scans"


def test_scannet_frames_go_by_number_not_by_name(scans, tmp_path):
    split = write_list(tmp_path / "scenes.txt", "scene0707_00")
    clips = scannet.read_list(split, scans, offsets=(-1, 0, 1), gap=2)
    assert [clip.target.stem for clip in clips] == [str(n) for n in range(2, 10)]
    assert [path.stem for path in clips[-1].frames] == ["7", "9", "11"]
    assert clips[0].group == "scene0707"


def test_scannet_test_list_gives_pictures_with_depth_in_metres(scans, tmp_path):
    line = "scene0707_00/color/10.jpg scene0707_00/depth/10.png"
    (clip,) = scannet.read_list(write_list(tmp_path / "test.txt", line), scans, offsets=(0,))
    frame = read_evaluation_frame(clip, scannet.RULES)
    assert frame.rgb.shape == (121, 162, 3)
    assert frame.depth_m.shape == (60, 80)  # the depth camera's own size
    assert frame.depth_m[1, 0] == np.float32(2.010)
    assert np.isnan(frame.depth_m[0]).all()


def test_scannet_calibration_is_scaled_to_smaller_pictures(scans, tmp_path):
    (clip, *_) = scannet.read_list(write_list(tmp_path / "s.txt", "scene0707_00"), scans, (0,))
    assert clip.geometry.intrinsics.fx == pytest.approx(1170 * 162 / 1296)
    assert clip.geometry.intrinsics.fy == pytest.approx(1171 * 121 / 968)


def test_scannet_faults_are_named(scans, tmp_path):
    absent = write_list(tmp_path / "a.txt", "scene0707_00/color/99.jpg")
    with pytest.raises(ValueError, match=r"99\.jpg: got no such file"):
        scannet.read_list(absent, scans, (0,))
    stray = write_list(tmp_path / "b.txt", "scene0707_00/9.jpg")
    with pytest.raises(ValueError, match="expected a picture below color/"):
        scannet.read_list(stray, scans, (0,))
    scene = write_list(tmp_path / "c.txt", "scene0707_00")
    with pytest.raises(ValueError, match="choose a smaller gap"):
        scannet.read_list(scene, scans, (-1, 0, 1), gap=6)
    (scans / "scene0707_00" / "intrinsic" / "intrinsic_color.txt").unlink()
    with pytest.raises(ValueError, match=r"intrinsic_color\.txt: got FileNotFoundError"):
        scannet.read_list(scene, scans, (0,))


def test_scannet_test_pictures_without_intrinsics_are_read_for_scores_alone(
    scans, tmp_path, caplog
):
    shutil.rmtree(scans / "scene0707_00" / "intrinsic")
    split = write_list(tmp_path / "test.txt", "scene0707_00/color/10.jpg")
    (clip,) = scannet.read_list(split, scans, offsets=(0,))
    assert read_evaluation_frame(clip, scannet.RULES).depth_m[1, 0] == np.float32(2.010)
    assert "nominal camera" in caplog.text
    with pytest.raises(ValueError, match=r"intrinsic_color\.txt: got FileNotFoundError"):
        scannet.read_list(split, scans, offsets=(-1, 0, 1))


def test_scannet_packed_test_set_is_read_by_the_same_list(tmp_path):
    for scene, number in (("scene0707_00", 20), ("scene0707_00", 100), ("scene0708_01", 20)):
        write_picture(tmp_path / f"{scene}_color_{number}.jpg", 162, 121)
        write_depth(tmp_path / f"{scene}_depth_{number}.png", 2000 + number, 80, 60)
    lines = ("scene0707_00/color/100.jpg", "scene0708_01/color/20.jpg")
    split = write_list(tmp_path / "test.txt", *lines)
    clips = scannet.read_list(split, tmp_path, offsets=(0,))
    frames = [read_evaluation_frame(clip, scannet.RULES) for clip in clips]
    assert [frame.depth_m[1, 0] for frame in frames] == [np.float32(2.1), np.float32(2.02)]
    assert [clip.group for clip in clips] == ["scene0707", "scene0708"]
    # Its neighbours were left out: what lies next in it is from seconds later.
    with pytest.raises(ValueError, match="got a packed test set"):
        scannet.read_list(split, tmp_path, offsets=(-1, 0, 1))
    absent = write_list(tmp_path / "a.txt", "scene0707_00/color/21.jpg")
    with pytest.raises(ValueError, match=r"21\.jpg: got no such file"):
        scannet.read_list(absent, tmp_path, offsets=(0,))


# InteriorNet


@pytest.fixture
def bedroom(tmp_path: Path) -> Path:
    folder = tmp_path / "3FO4_Bedroom" / "original_1_1"
    for number in range(5):
        name = f"{number * 40_000_000}.png"  # times in nanoseconds, of different lengths
        write_picture(folder / "cam0" / "data" / name, 640, 480)
        write_depth(folder / "depth0" / "data" / name, 3000 + number, 640, 480)
    return tmp_path


def test_interiornet_pairs_pictures_and_depth_by_name(bedroom, tmp_path):
    whole = write_list(tmp_path / "all.txt", "3FO4_Bedroom/original_1_1")
    clips = interiornet.read_list(whole, tmp_path)
    assert [clip.target.stem for clip in clips] == ["80000000"]
    one = "3FO4_Bedroom/original_1_1/cam0/data/160000000.png"
    (clip,) = interiornet.read_list(write_list(tmp_path / "one.txt", one), tmp_path, (0,))
    assert clip.group == "3FO4_Bedroom"
    assert clip.geometry.intrinsics.fx == 600
    frame = read_evaluation_frame(clip, interiornet.RULES)
    assert frame.depth_m[1, 0] == np.float32(3.004)


# 7-Scenes


@pytest.fixture
def chess(tmp_path: Path) -> Path:
    for sequence in ("seq-01", "seq-03"):
        for number in range(4):
            stem = tmp_path / "chess" / sequence / f"frame-{number:06d}"
            write_picture(Path(f"{stem}.color.png"), 640, 480)
            depth = write_depth(Path(f"{stem}.depth.png"), 65535, 640, 480)
            values = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED)
            values[1, 1] = 1500
            cv2.imwrite(str(depth), values)
    return tmp_path


def test_seven_scenes_reads_its_own_and_the_users_lists(chess):
    own = write_list(chess / "chess" / "TestSplit.txt", "sequence3")
    users = write_list(chess / "train.txt", "chess/seq-01")
    test = seven_scenes.read_list(own, chess, (0,))
    train = seven_scenes.read_list(users, chess, (-1, 0, 1), gap=1)
    assert [clip.key for clip in test][:1] == ["chess/seq-03/frame-000000.color"]
    assert len(test) == 4
    assert len(train) == 2
    assert {clip.group for clip in train} == {"chess"}


def test_seven_scenes_invalid_depth_is_unknown(chess):
    own = write_list(chess / "chess" / "TestSplit.txt", "sequence3")
    frame = read_evaluation_frame(seven_scenes.read_list(own, chess, (0,))[0], seven_scenes.RULES)
    assert np.isfinite(frame.depth_m).sum() == 1
    assert frame.depth_m[1, 1] == 1.5


def test_seven_scenes_absent_sequence_is_named(chess):
    with pytest.raises(ValueError, match=r"seq-09: got no frame-\*\.color\.png"):
        seven_scenes.read_list(write_list(chess / "x.txt", "chess/seq-09"), chess)


# TUM RGB-D


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    folder = tmp_path / "rgbd_dataset_freiburg1_desk"
    times = [1305031452.7 + 0.033 * index for index in range(6)]
    for time in times:
        write_picture(folder / "rgb" / f"{time:.6f}.png", 640, 480)
        write_depth(folder / "depth" / f"{time + 0.01:.6f}.png", 5000, 640, 480)
    rows = [f"{time:.6f} rgb/{time:.6f}.png" for time in times]
    write_list(folder / "rgb.txt", "# color images", "# timestamp filename", *reversed(rows))
    near = [f"{time + 0.01:.6f} depth/{time + 0.01:.6f}.png" for time in times if time != times[2]]
    write_list(folder / "depth.txt", "# depth maps", *near)
    return tmp_path


def test_tum_frames_go_by_time_with_the_nearest_depth(desk):
    split = write_list(desk / "train.txt", "rgbd_dataset_freiburg1_desk")
    clips = tum.read_list(split, desk, (-1, 0, 1), gap=1)
    assert [clip.target.stem for clip in clips] == sorted(clip.target.stem for clip in clips)
    # The third picture's depth is missing: the next is 23 ms before it, which is too far.
    assert [clip.depth is None for clip in clips] == [False, True, False, False]
    assert clips[0].group == "freiburg1"


def test_tum_depth_is_in_fifths_of_millimetres_and_undistorted_with_the_picture(desk):
    split = write_list(desk / "train.txt", "rgbd_dataset_freiburg1_desk")
    clip = tum.read_list(split, desk, (0,))[0]
    frame = read_evaluation_frame(clip, tum.RULES)
    assert np.nanmax(frame.depth_m) == 1.0
    assert frame.depth_m.shape == frame.rgb.shape[:2] == clip.geometry.size_hw
    assert frame.rgb.min() >= 40  # no black corner


def test_tum_unknown_camera_is_named(desk):
    with pytest.raises(ValueError, match="got a recording of an unknown camera"):
        tum.read_list(write_list(desk / "x.txt", "rgbd_dataset_desk"), desk)


def test_tum_broken_index_is_named(desk):
    write_list(desk / "rgbd_dataset_freiburg1_desk" / "rgb.txt", "soon rgb/1.png")
    with pytest.raises(ValueError, match=r"rgb\.txt: expected a time and a file a line"):
        tum.read_list(write_list(desk / "x.txt", "rgbd_dataset_freiburg1_desk"), desk)


def test_an_empty_or_absent_split_list_is_named(tmp_path):
    with pytest.raises(ValueError, match="got no entry"):
        read_split_list(write_list(tmp_path / "empty.txt", "# nothing", ""))
    with pytest.raises(ValueError, match="got FileNotFoundError"):
        read_split_list(tmp_path / "absent.txt")


# `prepare` takes each as `fit` does


@pytest.fixture
def basement(tmp_path: Path) -> Path:
    write_list(tmp_path / "train.txt", nyu_line(tmp_path, "basement_0001b"))
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "layout", "entry", "targets"),
    [
        ("nyuv2", "basement", None, 1),
        ("scannet", "scans", "scene0707_00", 12),
        ("interiornet", "bedroom", "3FO4_Bedroom/original_1_1", 5),
        ("7scenes", "chess", "chess/seq-01", 4),
        ("tum", "desk", "rgbd_dataset_freiburg1_desk", 6),
    ],
)
def test_a_data_set_is_prepared_by_its_split_list(kind, layout, entry, targets, tmp_path, request):
    root, split = request.getfixturevalue(layout), tmp_path / "train.txt"
    if entry is not None:
        write_list(split, entry)
    out = tmp_path / "prepared"
    arguments = ["prepare", str(root), "--dataset", kind, "--split", str(split), "--out", str(out)]
    arguments += ["--size", "64x96", "--segmenter", "none", "--workers", "1"]
    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 0, result.output
    prepared = Prepared(out)
    clips = Source((root,), kind, split).clips((0,))
    assert len(clips) == targets
    for clip in clips:
        assert prepared.load(clip.key).magnitude.shape == (1, 64, 96)


def test_prepare_refuses_a_data_set_without_its_list(tmp_path):
    arguments = ["prepare", str(tmp_path), "--dataset", "scannet", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "no split list" in result.output
