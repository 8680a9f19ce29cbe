"""Claims about the filter over time: what it holds still, and what passes at once."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from temporal_frames import (
    BOX,
    FRAME_NS,
    LABELS,
    PICTURE,
    PIXELS_ONLY,
    POSTER,
    SIGMA,
    SIZE,
    feed,
    image,
    noisy_scene,
)

from gam_depth_ros.core.optical_flow import Motion
from gam_depth_ros.core.temporal_config import TemporalConfig
from gam_depth_ros.core.temporal_filter import TemporalFilter


def log_depths(low=-1.0, high=1.5):
    return arrays.arrays(np.float32, SIZE, elements=st.floats(low, high, width=32))


@settings(max_examples=15, deadline=None)
@given(log_depths(), st.sampled_from(["still", "flow"]))
def test_a_constant_scene_stays_constant(log_depth, mode):
    filter_ = TemporalFilter(TemporalConfig(mode=mode))
    depth = np.exp(log_depth)
    for frame in range(4):
        out = feed(filter_, frame, depth)
        np.testing.assert_allclose(out.depth, depth, rtol=1e-5)
        np.testing.assert_array_equal(out.labels, LABELS)


@settings(max_examples=15, deadline=None)
@given(st.lists(log_depths(-0.25, 0.25), min_size=2, max_size=4), st.floats(0.25, 4.0))
def test_a_multiple_of_the_depth_gives_that_multiple_of_the_output(log_depths_, factor):
    plain, multiplied = (TemporalFilter(TemporalConfig(mode="still")) for _ in range(2))
    for frame, log_depth in enumerate(log_depths_):
        # Steps far from every gate: rounding must not decide on which side of one a pixel is.
        depth = np.exp(0.02 * np.sign(log_depth))
        first = feed(plain, frame, depth)
        second = feed(multiplied, frame, depth * np.float32(factor))
        np.testing.assert_allclose(second.depth, factor * first.depth, rtol=1e-4)
        np.testing.assert_allclose(second.sigma_log, first.sigma_log, rtol=1e-4)


@settings(max_examples=15, deadline=None)
@given(log_depths(), log_depths())
def test_the_output_lies_between_what_was_held_and_what_is_measured(first, second):
    filter_ = TemporalFilter(PIXELS_ONLY)
    held = feed(filter_, 0, np.exp(first)).depth
    # With the frame's part followed at once, the state moves by the median of the change.
    held = held * np.exp(_whole_change(first, second))
    out = feed(filter_, 1, np.exp(second)).depth
    low, high = np.minimum(held, np.exp(second)), np.maximum(held, np.exp(second))
    assert (out >= low * 0.9999).all()
    assert (out <= high * 1.0001).all()


def _whole_change(first, second):
    return np.median((second - first)[::2, ::2])


@settings(max_examples=15, deadline=None)
@given(log_depths(), st.sampled_from(["still", "flow"]))
def test_no_output_is_farther_than_measured_by_more_than_both_limits(log_depth, mode):
    config = TemporalConfig(mode=mode)
    filter_ = TemporalFilter(config)
    feed(filter_, 0, image(3.0))
    depth = np.exp(log_depth)
    out = feed(filter_, 1, depth, sigma=1.0)
    bound = config.nearer_limit + config.frame_nearer_limit
    assert (np.log(out.depth) <= log_depth + bound + 1e-4).all()


@pytest.mark.parametrize("factor", [0.82, 0.5, 0.2])
def test_an_obstacle_is_fully_visible_in_the_very_next_output(factor):
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    scene = noisy_scene(0, 10)
    for frame in range(9):
        feed(filter_, frame, scene[frame])
    depth = image(2.0)
    depth[BOX] = 2.0 * factor
    out = feed(filter_, 9, depth, sigma=0.5)
    assert (out.depth[BOX] <= 2.0 * factor * 1.0001).all()
    assert (out.depth[BOX] >= 2.0 * factor * 0.8).all()


def test_an_obstacle_is_not_pushed_back_while_the_frame_is_held_steady():
    filter_ = TemporalFilter(TemporalConfig(mode="still", frame_time_s=10.0))
    feed(filter_, 0, image(2.0))
    depth = image(2.0 * math.exp(-0.15))  # the network finds all of it nearer: held back
    depth[BOX] = 1.0
    out = feed(filter_, 1, depth)
    assert out.depth[0, 0] == pytest.approx(2.0, rel=0.01)
    np.testing.assert_allclose(out.depth[BOX], 1.0, rtol=1e-5)


def test_what_goes_away_by_more_than_the_gate_goes_at_once():
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    near = image(2.0)
    near[BOX] = 1.0
    for frame in range(5):
        feed(filter_, frame, near)
    np.testing.assert_allclose(feed(filter_, 5, image(2.0)).depth[BOX], 2.0, rtol=1e-4)


def test_noise_on_a_still_scene_shrinks_by_more_than_half():
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    scene = noisy_scene(1, 30)
    out = np.stack([feed(filter_, frame, depth).depth for frame, depth in enumerate(scene)])
    change_in, change_out = (np.diff(np.log(depth[10:]), axis=0).std() for depth in (scene, out))
    assert change_out < 0.5 * change_in
    assert np.log(out[-1]).mean() == pytest.approx(0.7, abs=0.01)


def test_a_small_lasting_change_arrives_in_the_end():
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    depth = image(2.0)
    feed(filter_, 0, depth)
    farther = depth.copy()
    farther[BOX] *= 1.05
    first, *_, last = [feed(filter_, frame, farther).depth[BOX].mean() for frame in range(1, 30)]
    assert 2.0 < first < 2.08
    assert last == pytest.approx(2.1, rel=0.005)


def test_sigma_shrinks_by_no_more_than_the_part_that_is_noise():
    config = TemporalConfig(mode="still", noise_share=0.6, process_noise=0.0)
    filter_ = TemporalFilter(config)
    sigmas = [feed(filter_, frame, image(2.0)).sigma_log[0, 0] for frame in range(200)]
    assert sigmas[0] == pytest.approx(SIGMA)
    assert (np.diff(sigmas) <= 1e-7).all()
    assert sigmas[-1] == pytest.approx(SIGMA * math.sqrt(1 - 0.6**2), rel=0.01)


def test_a_change_that_passes_brings_the_measured_sigma_back():
    filter_ = TemporalFilter(TemporalConfig(mode="still", noise_share=0.6))
    for frame in range(5):
        feed(filter_, frame, image(2.0))
    depth = image(2.0)
    depth[BOX] = 1.0
    sigma = feed(filter_, 5, depth).sigma_log
    np.testing.assert_allclose(sigma[BOX], SIGMA, rtol=1e-5)
    assert sigma[0, 0] < 0.95 * SIGMA


def test_a_wandering_scale_of_whole_frames_is_held():
    rng = np.random.default_rng(5)
    levels = np.exp(rng.normal(0.0, 0.05, 40))
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    out = [
        feed(filter_, frame, image(2.0 * level)).depth[0, 0] for frame, level in enumerate(levels)
    ]
    assert np.diff(np.log(out)).std() < 0.2 * np.diff(np.log(levels)).std()


def test_a_whole_frame_that_comes_much_nearer_passes_at_once():
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    feed(filter_, 0, image(2.0))
    np.testing.assert_allclose(feed(filter_, 1, image(1.0)).depth, 1.0, rtol=1e-5)


def test_a_wall_without_texture_that_comes_nearer_is_followed():
    filter_ = TemporalFilter(TemporalConfig(mode="flow"))
    wall = np.full((*SIZE, 3), 200, np.uint8)
    for frame in range(10):
        out = feed(filter_, frame, image(2.0 * 0.95**frame), picture=wall)
    np.testing.assert_allclose(out.depth, 2.0 * 0.95**9, rtol=1e-4)


def test_a_camera_that_comes_nearer_is_followed_by_the_growth_of_its_picture():
    filter_ = TemporalFilter(TemporalConfig(mode="flow"))
    flicker = np.random.default_rng(7).normal(0.0, 0.05, 12)
    errors = []
    for frame in range(12):
        grown = cv2.getRotationMatrix2D((63.5, 47.5), 0, 1.04**frame)
        picture = cv2.warpAffine(POSTER, grown, (128, 96))
        truth = 2.0 / 1.04**frame
        depth = np.full((96, 128), truth * np.exp(flicker[frame]), np.float32)
        ones = np.ones_like(depth)
        labels = ones.astype(np.uint8)
        out = filter_.update(frame * FRAME_NS, picture, depth, SIGMA * ones, labels, ones)
        errors.append(np.log(out.depth.mean() / truth))
    # Still where the first frames left it, though the depth has fallen by a third.
    assert np.diff(errors).std() < 0.4 * np.diff(flicker).std()
    assert abs(errors[-1]) < 0.1


def test_state_follows_the_picture():
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    depth = np.tile(np.where(np.arange(SIZE[1]) < 16, 1.0, 3.0).astype(np.float32), (SIZE[0], 1))
    feed(filter_, 0, depth)
    # All moved three pixels to the right: what is seen now was three pixels to the left before.
    moved, picture = np.roll(depth, 3, axis=1), np.roll(PICTURE, 3, axis=1)
    moved[:, :3] = depth[:, :1]
    flow = np.zeros((*SIZE, 2), np.float32)
    flow[..., 0] = -3.0
    measured = moved * np.float32(1.02)
    measured[:, :16] = moved[:, :16]  # so that the frame as a whole did not change
    out = feed(filter_, 1, measured, picture=picture, motion=Motion(flow)).depth
    smoothed = out[:, 20:] / moved[:, 20:]
    assert ((smoothed > 1.001) & (smoothed < 1.019)).all()


def test_edges_stay_as_sharp_as_measured_however_long_they_move():
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    columns = np.arange(SIZE[1])
    flow = np.zeros((*SIZE, 2), np.float32)
    flow[..., 0] = -0.4
    for frame in range(20):
        edge = 10 + 0.4 * frame
        depth = np.tile(np.where(columns < edge, 1.0, 2.0).astype(np.float32), (SIZE[0], 1))
        flat = np.full((*SIZE, 3), 90, np.uint8)
        out = feed(filter_, frame, depth, picture=flat, motion=Motion(flow)).depth
        assert (np.isclose(out, 1.0, rtol=1e-3) | np.isclose(out, 2.0, rtol=1e-3)).all()


def test_a_pixel_that_the_picture_shows_to_be_new_takes_its_own_depth():
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    grey = np.full((*SIZE, 3), 100, np.uint8)
    feed(filter_, 0, image(2.0), picture=grey)
    picture, depth = grey.copy(), image(2.0)
    picture[BOX] = 180
    depth[BOX] = 2.06  # within every gate
    out = feed(filter_, 1, depth, picture=picture).depth
    np.testing.assert_allclose(out[BOX], 2.06, rtol=1e-5)


def test_an_exposure_step_is_no_new_scene():
    filter_ = TemporalFilter(TemporalConfig(mode="still"))
    grey = (PICTURE // 2).astype(np.uint8)
    feed(filter_, 0, image(2.0), picture=grey)
    out = feed(filter_, 1, noisy_scene(2, 1)[0], picture=grey + np.uint8(60))
    assert out.note == ""
    assert np.log(out.depth).std() < 0.035


def test_a_motion_that_is_known_moves_the_depth_with_it():
    filter_ = TemporalFilter(TemporalConfig(mode="still", frame_time_s=10.0))
    feed(filter_, 0, image(2.0))
    motion = Motion(np.zeros((*SIZE, 2), np.float32), math.log(0.9))
    np.testing.assert_allclose(feed(filter_, 1, image(1.8), motion=motion).depth, 1.8, rtol=1e-4)
    per_pixel = Motion(motion.flow, np.full(SIZE, math.log(0.9), np.float32))
    out = feed(filter_, 2, image(1.62), motion=per_pixel)
    np.testing.assert_allclose(out.depth, 1.62, rtol=1e-4)
