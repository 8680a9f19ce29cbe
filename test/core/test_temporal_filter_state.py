"""Claims about what the filter over time remembers, forgets and does with labels."""

from dataclasses import replace

import numpy as np
import pytest
from temporal_frames import (
    BOX,
    FRAME_NS,
    LABELS,
    PICTURE,
    PIXELS_ONLY,
    SIZE,
    feed,
    image,
    noisy_scene,
)

from gam_depth_ros.core.temporal_config import TemporalConfig
from gam_depth_ros.core.temporal_filter import TemporalFilter


def test_unknown_stays_unknown_and_costs_no_other_pixel():
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    holes = image(2.0)
    holes[0, 0], holes[0, 1] = np.nan, 0.0
    feed(filter_, 0, holes)
    first = feed(filter_, 1, holes).depth
    assert np.isnan(first[0, :2]).all()
    np.testing.assert_allclose(first[1:], 2.0, rtol=1e-5)
    np.testing.assert_allclose(feed(filter_, 2, image(2.0)).depth, 2.0, rtol=1e-5)
    assert np.isfinite(feed(filter_, 3, image(2.0)).sigma_log).all()


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"frame": -1}, "stamps went back by 0.300 s"),
        ({"frame": 20}, "no frame for 1.800 s"),
        ({"picture": PICTURE[::-1, ::-1]}, "of the picture continues the last one"),
    ],
)
def test_starts_anew_and_says_why(second, words):
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    feed(filter_, 2, image(2.0))
    arguments = {"frame": 3, "depth": image(2.05), **second}
    out = feed(filter_, **arguments)
    assert words in out.note
    assert out.note.endswith("the filter over time starts anew")
    np.testing.assert_array_equal(out.depth, image(2.05))
    after = feed(
        filter_, arguments["frame"] + 1, image(2.0), picture=arguments.get("picture", PICTURE)
    )
    assert after.note == ""


def test_arrays_of_another_size_start_anew():
    filter_ = TemporalFilter(TemporalConfig(mode="flow"))
    feed(filter_, 0, image(2.0))
    half = np.ones((16, 16), np.float32)
    out = filter_.update(FRAME_NS, PICTURE, half, half, half.astype(np.uint8), half)
    assert "frame size changed from 32x24 to 16x16" in out.note


def test_arrays_that_differ_in_size_are_refused():
    with pytest.raises(ValueError, match=r"sigma_log: got .* expected .* like depth"):
        feed(TemporalFilter(TemporalConfig()), 0, image(2.0), sigma=np.ones((2, 2), np.float32))


def test_off_passes_every_frame_as_it_is():
    filter_ = TemporalFilter(TemporalConfig(mode="off"))
    for frame, depth in enumerate(noisy_scene(4, 3)):
        assert feed(filter_, frame, depth).depth is depth


def test_settings_change_without_forgetting_but_another_mode_forgets():
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    feed(filter_, 0, image(2.0))
    filter_.configure(TemporalConfig(mode="still", frame_time_s=5.0))
    assert feed(filter_, 1, image(2.1)).depth[0, 0] == pytest.approx(2.0, rel=0.01)
    filter_.configure(TemporalConfig(mode="flow"))
    np.testing.assert_array_equal(feed(filter_, 2, image(2.1)).depth, image(2.1))


def test_the_same_frames_give_the_same_bytes_and_inputs_are_left_alone():
    scene = noisy_scene(6, 6)
    runs = []
    for _ in range(2):
        filter_ = TemporalFilter(TemporalConfig(mode="flow"))
        runs.append([feed(filter_, frame, depth) for frame, depth in enumerate(scene)])
    np.testing.assert_array_equal(scene, noisy_scene(6, 6))
    for first, second in zip(*runs, strict=True):
        assert first.depth.tobytes() == second.depth.tobytes()
        assert first.label_confidence.tobytes() == second.label_confidence.tobytes()
        assert first.depth.dtype == first.sigma_log.dtype == np.float32


def test_a_doubtful_label_waits_and_a_sure_one_passes():
    filter_ = TemporalFilter(replace(PIXELS_ONLY, label_time_s=1.0))
    feed(filter_, 0, image(2.0))
    other = np.full(SIZE, 7, np.uint8)
    assert (feed(filter_, 1, image(2.0), labels=other, sure=0.5).labels == 3).all()
    assert (feed(filter_, 2, image(2.0), labels=other, sure=0.95).labels == 7).all()


def test_a_new_surface_brings_its_label_at_once():
    filter_ = TemporalFilter(replace(PIXELS_ONLY, label_time_s=10.0))
    feed(filter_, 0, image(2.0))
    depth, labels = image(2.0), LABELS.copy()
    depth[BOX], labels[BOX] = 1.0, 7
    out = feed(filter_, 1, depth, labels=labels, sure=0.3)
    np.testing.assert_array_equal(out.labels, labels)
    assert out.label_confidence[BOX] == pytest.approx(0.3)


def test_depth_is_not_smoothed_across_a_change_of_label():
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    feed(filter_, 0, image(2.0), sure=0.6)
    depth, labels = image(2.0), LABELS.copy()
    depth[BOX], labels[BOX] = 2.06, 7  # within the gate
    out = feed(filter_, 1, depth, labels=labels, sure=0.9).depth
    np.testing.assert_allclose(out[BOX], 2.06, rtol=1e-5)
