"""The cache of decoded frames: what it holds, shares and leaves behind."""

from __future__ import annotations

from copy import deepcopy

import numpy as np

from gam_depth_training.frame_cache import FrameCache


def test_the_cache_holds_what_fits_and_leaves_no_file(tmp_path):
    cache = FrameCache(4, (2, 3), limit_bytes=2 * (18 + 1), folder=tmp_path)
    assert not list(tmp_path.iterdir())  # a killed training removes nothing
    frames = [np.full((2, 3, 3), number, np.uint8) for number in range(4)]
    for number, frame in enumerate(frames):
        assert cache.get(number) is None
        cache.put(number, frame)
    assert np.array_equal(cache.get(1), frames[1])
    assert cache.get(2) is None


def test_a_copy_of_the_cache_in_another_process_is_the_same_cache():
    cache = FrameCache(1, (2, 3), limit_bytes=1000)
    copy = deepcopy(cache)  # by the state that a process which is not forked gets
    frame = np.full((2, 3, 3), 7, np.uint8)
    copy.put(0, frame)
    assert np.array_equal(cache.get(0), frame)


def test_a_copy_whose_owner_is_gone_caches_nothing(tmp_path):
    cache = FrameCache(1, (2, 3), limit_bytes=1000)
    copy = deepcopy(cache)
    del cache
    with (tmp_path / "other").open("w+b") as other:  # takes the number of the closed file
        other.write(b"\0" * 100)
        copy.put(0, np.full((2, 3, 3), 7, np.uint8))
    assert copy.get(0) is None
    assert (tmp_path / "other").read_bytes() == b"\0" * 100


def test_a_full_disk_costs_the_cache_alone(tmp_path, monkeypatch, caplog):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    cache = FrameCache(4, (2, 3), limit_bytes=1000, folder=tmp_path)
    cache.put(0, np.zeros((2, 3, 3), np.uint8))
    assert cache.get(0) is None
    assert "No space left" in caplog.text
    assert not list(tmp_path.iterdir())
