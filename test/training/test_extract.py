from __future__ import annotations

import functools
import json

import cv2
import numpy as np
import pytest
from moving_room import HEIGHT, WIDTH, parallax_of, view, walk, write_sequence
from recording_maker import write_ros1

from gam_depth_ros.core.camera import CameraError, Intrinsics
from gam_depth_ros.evaluation.bag import open_recording, sequence_to_bag
from gam_depth_training.camera_file import read_camera_file
from gam_depth_training.extract import extract
from gam_depth_training.extract_report import (
    BLANK,
    BLURRED,
    LITTLE_PARALLAX,
    SHORT,
    STILL,
    UNREADABLE,
    ExtractError,
    ExtractOptions,
)
from gam_depth_training.frame_gap import choose_gap
from gam_depth_training.parallax import measure_motion, working_picture
from gam_depth_training.sequences import read_sequence_folder

CAMERA = Intrinsics(WIDTH, HEIGHT, 200.0, 200.0, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)


@functools.cache
def grey(x_m=0.0, yaw_rad=0.0, room=1):
    return working_picture(view(x_m, yaw_rad, room))


def run(folder, tmp_path, **options):
    out = tmp_path / "out"
    return extract(open_recording(folder), out, ExtractOptions(**options)), out


def test_turning_on_the_spot_moves_pixels_but_leaves_no_residual():
    motion = measure_motion(grey(), grey(yaw_rad=0.03), CAMERA)

    assert motion.flow > 0.02
    assert motion.residual < 0.001


def test_parallax_is_what_the_geometry_says_with_a_rotation_on_top():
    motion = measure_motion(grey(), grey(x_m=0.15, yaw_rad=0.02), CAMERA, epipolar=True)

    assert motion.followed
    assert 0.001 < motion.residual <= motion.parallax
    assert motion.parallax == pytest.approx(parallax_of(0.15), rel=0.3)


def test_a_view_of_another_room_is_not_followed():
    assert not measure_motion(grey(room=1), grey(room=2), CAMERA).followed


def test_a_camera_half_as_fast_gets_twice_the_gap():
    def gap_of(step_m):
        target = 3.0 * parallax_of(0.06)
        return choose_gap(lambda index: grey(step_m * index), 33, CAMERA, target, pairs=16).gap

    assert gap_of(0.06) == pytest.approx(3, abs=0)
    assert gap_of(0.03) == pytest.approx(6, abs=1)


def test_the_gap_never_reaches_beyond_what_can_be_found_again():
    def turning(index):
        return grey(0.004 * index, 0.06 * index)

    chosen = choose_gap(turning, 17, CAMERA, target=0.1, pairs=8)

    assert chosen.gap < 4  # 17 frames would allow it, and the little parallax asks for more
    assert "share too little of the view" in chosen.reason


def test_still_and_turning_frames_are_dropped_and_counted(tmp_path):
    pictures = walk(10) + [view(0.45)] * 4 + [view(0.45, yaw_rad=0.01 * i) for i in range(1, 4)]
    pictures += [view(0.45 + 0.05 * i, yaw_rad=0.03) for i in range(1, 6)]
    report, out = run(write_sequence(tmp_path / "walk", pictures), tmp_path)

    assert report.dropped == {STILL: 4, LITTLE_PARALLAX: 3}
    assert report.kept == 15
    assert len(list((out / "walk" / "color").iterdir())) == 15


def test_a_blurred_frame_among_sharp_ones_is_dropped(tmp_path):
    pictures = walk(12)
    pictures[6] = cv2.GaussianBlur(pictures[6], (0, 0), 3)
    report, _ = run(write_sequence(tmp_path / "walk", pictures), tmp_path)

    assert report.dropped == {BLURRED: 1}


def test_a_blank_frame_is_dropped_and_does_not_part_its_neighbours(tmp_path):
    pictures = walk(12)
    # As sharp as its neighbours by its one edge, yet nothing in it can be followed.
    pictures[6] = np.zeros_like(pictures[6])
    pictures[6][:, WIDTH // 2 :] = 255
    report, _ = run(write_sequence(tmp_path / "walk", pictures), tmp_path, blur_ratio=0.0)

    assert report.dropped == {BLANK: 1}
    assert len(report.sequences) == 1


def test_a_cut_begins_a_new_sequence_of_the_same_room(tmp_path):
    pictures = walk(10) + walk(3, room=2) + walk(10, start_m=0.5)
    report, _ = run(write_sequence(tmp_path / "tour", pictures), tmp_path)

    assert [s.folder.name for s in report.sequences] == ["tour_00", "tour_01"]
    assert [s.frames for s in report.sequences] == [10, 10]
    assert report.dropped == {SHORT: 3}
    rooms = {json.loads((s.folder / "sequence.json").read_text())["room"] for s in report.sequences}
    assert rooms == {"tour"}


def test_what_is_written_reads_back_as_clips_with_the_chosen_gap(tmp_path):
    report, out = run(
        write_sequence(tmp_path / "walk", walk(20, step_m=0.03)), tmp_path, target_parallax=0.02
    )
    gap = report.sequences[0].gap.gap
    clips = read_sequence_folder(out / "walk")

    assert gap == pytest.approx(0.02 / parallax_of(0.03), abs=1)
    assert gap > 1
    assert len(clips) == report.kept - 4 * gap
    assert clips[0].frames[1].name == f"{gap:06d}.jpg"
    assert clips[0].group == "walk"


def test_reference_depth_is_kept_as_it_was_where_there_was_some(tmp_path):
    _, out = run(write_sequence(tmp_path / "walk", walk(10)), tmp_path)
    depth = cv2.imread(str(out / "walk" / "depth" / "000004.png"), cv2.IMREAD_UNCHANGED)

    assert (depth[:20] == 0).all()
    assert (depth[20:] == 2004).all()
    assert not (out / "walk" / "depth" / "000005.png").exists()


def test_distorted_pictures_become_pinhole_pictures(tmp_path):
    folder = write_sequence(tmp_path / "walk", walk(10))
    file = folder / "intrinsics.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "distortion_k1k2p1p2k3": [0.1, 0, 0, 0, 0]}))
    _, out = run(folder, tmp_path)
    written = json.loads((out / "walk" / "intrinsics.json").read_text())
    picture = cv2.imread(str(out / "walk" / "color" / "000000.jpg"))

    assert "distortion_k1k2p1p2k3" not in written
    assert picture.shape[:2] == (written["height"], written["width"])
    assert written["width"] < WIDTH  # the rim that the lens did not see is cut off


@pytest.mark.parametrize("kind", ["rosbag1", "rosbag2"])
def test_a_bag_gives_the_same_pictures_as_its_folder(kind, tmp_path):
    folder = write_sequence(tmp_path / "walk", walk(10))
    bag = tmp_path / "bags" / ("walk.bag" if kind == "rosbag1" else "walk")
    bag.parent.mkdir()
    if kind == "rosbag1":
        write_ros1(folder, bag)
    else:
        sequence_to_bag(folder, bag)
    extract(open_recording(bag), tmp_path / "from_bag")
    extract(open_recording(folder), tmp_path / "from_folder")
    for name in ("color/000003.jpg", "color/000009.jpg", "depth/000004.png"):
        one, other = (tmp_path / out / "walk" / name for out in ("from_bag", "from_folder"))
        assert one.read_bytes() == other.read_bytes()
    facts = json.loads((tmp_path / "from_bag" / "walk" / "sequence.json").read_text())
    assert facts["sensor"] == "/camera/color/image_raw, /camera/depth/image_raw"


def test_all_frames_still_is_one_clear_error_that_leaves_nothing_behind(tmp_path):
    folder = write_sequence(tmp_path / "parked", [view()] * 12)
    with pytest.raises(ExtractError, match=r"got 12 pictures .*12 still.*camera that moves"):
        run(folder, tmp_path)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("as_bag", [False, True])
def test_no_camera_info_is_one_clear_error_with_the_remedy(as_bag, tmp_path):
    recording = write_sequence(tmp_path / "walk", walk(10), calibrated=False)
    if as_bag:
        sequence_to_bag(recording, tmp_path / "walk_bag")
        recording = tmp_path / "walk_bag"
    with pytest.raises(ExtractError, match=r"10 pictures without a camera_info.*--camera FILE"):
        run(recording, tmp_path)


def test_a_camera_file_stands_in_for_a_missing_camera_info(tmp_path):
    folder = write_sequence(tmp_path / "walk", walk(10), calibrated=False)
    file = tmp_path / "camera.yaml"
    file.write_text(
        f"image_width: {WIDTH}\nimage_height: {HEIGHT}\ndistortion_model: plumb_bob\n"
        "camera_matrix: {rows: 3, cols: 3, data: [200, 0, 119.5, 0, 200, 89.5, 0, 0, 1]}\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}\n"
    )
    report = extract(open_recording(folder), tmp_path / "out", camera=read_camera_file(file))

    assert report.kept == 10
    assert json.loads((tmp_path / "out/walk/intrinsics.json").read_text())["fx"] == 200


@pytest.mark.parametrize("text", ["", "[1, 2]", "{fx: 1}", "a: b: c", "{camera_matrix: 3}"])
def test_a_broken_camera_file_is_one_clear_error(text, tmp_path):
    (tmp_path / "camera.yaml").write_text(text)
    with pytest.raises(CameraError, match=r"camera\.yaml: got .*expected"):
        read_camera_file(tmp_path / "camera.yaml")


def test_an_unreadable_frame_costs_one_frame(tmp_path):
    folder = write_sequence(tmp_path / "walk", walk(12))
    (folder / "color" / "000005.png").write_bytes(b"no picture")
    report, _ = run(folder, tmp_path)

    assert report.dropped == {UNREADABLE: 1}
    assert "000005.png" in report.reasons[0]
    assert report.kept == 11


def test_a_sequence_that_is_there_already_is_not_overwritten(tmp_path):
    folder = write_sequence(tmp_path / "walk", walk(10))
    run(folder, tmp_path)
    with pytest.raises(ExtractError, match="already"):
        run(folder, tmp_path)


def test_frames_of_unknown_order_are_refused(tmp_path):
    folder = write_sequence(tmp_path / "clip", walk(10))
    values = json.loads((folder / "intrinsics.json").read_text())
    (folder / "intrinsics.json").write_text(json.dumps({**values, "fps": "unknown; a key frame"}))
    with pytest.raises(ExtractError, match="unknown order"):
        run(folder, tmp_path)


def test_the_slow_desk_recording_gets_a_wider_gap_than_the_fast_one(shared_dir):
    def gap_of(name):
        folder = shared_dir / "sequences" / name
        if not folder.is_dir():
            pytest.skip(f"no recording {name}")
        camera = open_recording(folder).intrinsics

        def read(index):
            file = folder / "color" / f"{index + 20:06d}.jpg"
            return working_picture(cv2.imread(str(file))[..., ::-1])

        return choose_gap(read, 30, camera, pairs=16).gap

    assert gap_of("tum_freiburg1_xyz") == 1
    assert gap_of("office_desk_d435") >= 2
