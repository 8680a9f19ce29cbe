"""Claims about pairing images with references by stamp."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gam_depth_ros.core.frame import ReferenceDepth
from gam_depth_ros.core.pairing import StampPairer, nearest_pairs, reference_problem

stamps = st.lists(st.integers(0, 1000), max_size=20)


def test_the_nearest_reference_is_taken():
    pairer: StampPairer[str] = StampPairer(10)
    for stamp, name in ((90, "early"), (101, "near"), (108, "late")):
        pairer.add(stamp, name)
    assert pairer.take(100) == "near"


def test_nothing_within_the_slop_gives_none():
    pairer: StampPairer[str] = StampPairer(10)
    pairer.add(111, "late")
    pairer.add(89, "early")
    assert pairer.take(100) is None
    assert pairer.take(110) == "late"


def test_the_slop_is_inclusive():
    pairer: StampPairer[str] = StampPairer(10)
    pairer.add(110, "edge")
    assert pairer.take(100) == "edge"


def test_a_reference_serves_once():
    pairer: StampPairer[str] = StampPairer(10)
    pairer.add(100, "only")
    assert pairer.take(98) == "only"
    assert pairer.take(102) is None


def test_references_may_arrive_out_of_order():
    pairer: StampPairer[str] = StampPairer(10)
    for stamp in (120, 100, 110):
        pairer.add(stamp, str(stamp))
    assert [pairer.take(stamp) for stamp in (101, 111, 121)] == ["100", "110", "120"]


def test_ready_once_no_later_reference_can_be_nearer():
    pairer: StampPairer[str] = StampPairer(10)
    assert not pairer.ready(100)
    pairer.add(95, "before")
    assert not pairer.ready(100)
    pairer.add(100, "exact")
    assert pairer.ready(100)


def test_memory_is_bounded_and_the_oldest_goes():
    pairer: StampPairer[int] = StampPairer(0, capacity=3)
    for stamp in range(10):
        pairer.add(stamp, stamp)
    assert len(pairer) == 3
    assert pairer.take(6) is None
    assert pairer.take(7) == 7


def test_a_recording_that_loops_starts_over():
    pairer: StampPairer[str] = StampPairer(10)
    pairer.add(60_000_000_000, "end")
    pairer.add(1_000_000_000, "begin")
    assert len(pairer) == 1
    assert pairer.take(1_000_000_000) == "begin"


def test_items_are_never_compared():
    pairer: StampPairer[np.ndarray] = StampPairer(10)
    pairer.add(100, np.zeros(3))
    pairer.add(100, np.ones(3))
    assert pairer.take(100) is not None


@pytest.mark.parametrize("arguments", [(-1, 32), (1, 0)])
def test_senseless_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="expected slop >= 0"):
        StampPairer(*arguments)


def test_whole_recordings_are_paired_closest_first():
    # Greedy in time order would give reference 0 to image 0 and leave the perfect pair apart.
    assert nearest_pairs([0, 10], [10], 15).tolist() == [-1, 0]
    assert nearest_pairs([0, 33, 66], [1, 70, 34], 5).tolist() == [0, 2, 1]
    assert nearest_pairs([], [1], 5).tolist() == []
    assert nearest_pairs([1], [], 5).tolist() == [-1]


@given(stamps, stamps, st.integers(0, 50))
def test_pairs_are_unique_and_within_the_slop(images, references, slop):
    pairs = nearest_pairs(images, references, slop)
    used = [index for index in pairs if index >= 0]
    assert len(used) == len(set(used))
    for image, index in zip(images, pairs, strict=True):
        assert index < 0 or abs(references[index] - image) <= slop
        if index < 0:  # whatever is near enough is taken by another image
            near = {i for i, stamp in enumerate(references) if abs(stamp - image) <= slop}
            assert near <= set(used)


def reference(**changes):
    values = {"depth_m": np.ones((4, 6), np.float32), "stamp_ns": 0, "frame_id": "camera"}
    return ReferenceDepth(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"stamp_ns": 20_000_000}, None),
        ({"stamp_ns": -20_000_001_000}, "got a stamp -20.000 s from the image's"),
        ({"depth_m": np.ones((4, 5), np.float32)}, "got 5x4, expected 6x4 like the image"),
        ({"frame_id": "depth"}, "got frame 'depth', expected 'camera'"),
        ({"depth_m": np.ones((4, 6), np.uint16)}, "expected metres"),
        ({"depth_m": None}, "expected metres"),
    ],
)
def test_a_reference_that_does_not_belong_to_the_image_is_named(changes, words):
    problem = reference_problem(0, "camera", (4, 6), reference(**changes), 0.02)
    assert (problem is None) if words is None else (words in problem and "\n" not in problem)
