"""A recording gives the same frames from a folder and from every kind of bag."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recording_maker import INTERVAL_S, make_sequence, picture, truth_mm, write_ros1
from rosbags.typesys import Stores, get_typestore

from gam_depth_ros.core.frame import Frame
from gam_depth_ros.evaluation.bag import Sample, open_recording, sequence_to_bag, write_bag
from gam_depth_ros.evaluation.ros_types import ros2_types


def assert_same_frame(left: Frame, right: Frame) -> None:
    np.testing.assert_array_equal(left.rgb, right.rgb)
    assert (left.stamp_ns, left.frame_id) == (right.stamp_ns, right.frame_id)
    assert left.intrinsics == right.intrinsics
    assert (left.reference is None) == (right.reference is None)
    if left.reference is not None and right.reference is not None:
        np.testing.assert_array_equal(left.reference.depth_m, right.reference.depth_m)
        assert left.reference.stamp_ns == right.reference.stamp_ns
        assert left.reference.intrinsics == right.reference.intrinsics


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_frames_from_a_rosbag2_equal_those_of_the_folder(tmp_path: Path, storage: str) -> None:
    folder = make_sequence(tmp_path / "folder", depth_every=2)
    counts = sequence_to_bag(folder, tmp_path / "bag", storage)
    assert counts["/camera/color/image_raw"] == 6
    assert counts["/camera/depth/image_raw"] == 3
    expected = list(open_recording(folder).frames())
    got = list(open_recording(tmp_path / "bag").frames())
    assert len(got) == len(expected) == 6
    for left, right in zip(got, expected, strict=True):
        assert_same_frame(left, right)


def test_frames_from_a_rosbag1_equal_those_of_the_folder(sequence: Path, tmp_path: Path) -> None:
    write_ros1(sequence, tmp_path / "old.bag")
    expected = list(open_recording(sequence).frames())
    got = list(open_recording(tmp_path / "old.bag").frames())
    assert len(got) == 6
    for left, right in zip(got, expected, strict=True):
        assert_same_frame(left, right)


def test_folder_gives_pictures_depth_and_times_as_they_were_written(sequence: Path) -> None:
    for index, frame in enumerate(open_recording(sequence).frames()):
        np.testing.assert_array_equal(frame.rgb, picture(index))
        assert frame.reference is not None
        expected = truth_mm(index) / 1000.0
        np.testing.assert_allclose(frame.reference.depth_m[5:], expected[5:], rtol=1e-6)
        assert np.isnan(frame.reference.depth_m[:4, :4]).all()
        assert frame.stamp_ns == 1_000_000_000_000 + round(index * INTERVAL_S * 1e9)


def test_folder_without_times_counts_tenths_of_a_second_and_never_starts_at_zero(
    tmp_path: Path,
) -> None:
    folder = make_sequence(tmp_path / "folder", frames=3, times=False)
    stamps = [frame.stamp_ns for frame in open_recording(folder).frames()]
    assert stamps == [1_000_000_000, 1_100_000_000, 1_200_000_000]


def test_labels_and_exact_depth_travel_through_a_bag(tmp_path: Path) -> None:
    folder = make_sequence(tmp_path / "folder", frames=2, labels=True, exact=True)
    sequence_to_bag(folder, tmp_path / "bag")
    pairs = zip(
        open_recording(folder).samples(), open_recording(tmp_path / "bag").samples(), strict=True
    )
    for left, right in pairs:
        assert isinstance(left, Sample)
        assert isinstance(right, Sample)
        np.testing.assert_array_equal(left.labels, right.labels)
        np.testing.assert_array_equal(left.exact_depth_m, right.exact_depth_m)
        assert right.labels is not None
        assert right.labels[0, -1] == 4


def test_pictures_that_arrive_late_come_out_in_the_order_of_their_stamps(
    sequence: Path, tmp_path: Path
) -> None:
    messages = list(open_recording(sequence).input_messages())
    images = [m for m in messages if m.topic.endswith("color/image_raw")]
    data = {id(images[1]): images[2].data, id(images[2]): images[1].data}
    shuffled = [m._replace(data=data.get(id(m), m.data)) for m in messages]
    write_bag(tmp_path / "bag", shuffled)
    stamps = [frame.stamp_ns for frame in open_recording(tmp_path / "bag").frames()]
    assert stamps == sorted(stamps)
    assert len(stamps) == 6


def test_a_bag_that_loops_keeps_its_order_and_its_references(
    sequence: Path, tmp_path: Path
) -> None:
    once = list(open_recording(sequence).input_messages())
    length_ns = 20_000_000_000
    # The second pass has the same stamps, received twenty seconds later; the stamps jump back by
    # 0.5 s only, so the recording is stretched by giving the first pass a frame at its end.
    again = [m._replace(bag_time_ns=m.bag_time_ns + length_ns) for m in once]
    late = make_sequence(tmp_path / "late", frames=1)
    table = (late / "frames.csv").read_text().replace("1000.000000", "1010.000000")
    (late / "frames.csv").write_text(table)
    tail = list(open_recording(late).input_messages())
    write_bag(tmp_path / "bag", [*once, *tail, *again])
    frames = list(open_recording(tmp_path / "bag").frames())
    assert len(frames) == 13
    assert frames[6].stamp_ns == 1_010_000_000_000
    assert [f.stamp_ns for f in frames[7:]] == [f.stamp_ns for f in frames[:6]]
    assert all(frame.reference is not None for frame in frames)


def test_custom_types_have_the_hash_of_the_interface_package() -> None:
    from rosbags.typesys import get_types_from_msg

    source = Path(__file__).parents[2] / "gam_depth_msgs" / "msg"
    if not source.exists():
        pytest.skip("gam_depth_msgs is not beside the tests")
    for name in ("ScaleStatus", "PerceptionStatus"):
        store = get_typestore(Stores.ROS2_HUMBLE)
        full = f"gam_depth_msgs/msg/{name}"
        store.register(get_types_from_msg((source / f"{name}.msg").read_text(), full))
        assert store.hash_rihs01(full) == ros2_types().hash_rihs01(full)
