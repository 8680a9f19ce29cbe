"""Colour jitter: strength, sharing, and that it does nothing where it should not."""

from __future__ import annotations

import colorsys

import numpy as np

from gam_depth_training.colour_jitter import ColourJitter, JitterDraw

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(20, 200, (24, 32, 3), np.uint8)


def draws(jitter: ColourJitter, count: int = 400) -> list:
    rng = np.random.default_rng(3)
    return [jitter.draw(5, rng) for _ in range(count)]


def test_half_of_the_clips_stay_as_they_are():
    unchanged = sum(draw is None for draw in draws(ColourJitter()))
    assert 160 < unchanged < 240


def test_all_frames_of_a_clip_share_one_draw():
    for clip in draws(ColourJitter(probability=1)):
        assert all(draw == clip[0] for draw in clip)


def test_the_quirk_draws_for_each_frame():
    clip = draws(ColourJitter(probability=1, per_frame=True))[0]
    assert len(set(clip)) == 5


def test_strength_stays_within_its_half_widths_and_reaches_them():
    clips = [clip[0] for clip in draws(ColourJitter(probability=1))]
    for name, middle, half in (
        ("brightness", 1, 0.2), ("contrast", 1, 0.2), ("saturation", 1, 0.2), ("hue", 0, 0.1)
    ):  # fmt: skip
        values = np.array([getattr(draw, name) for draw in clips]) - middle
        assert np.abs(values).max() <= half
        assert values.max() > 0.95 * half
        assert values.min() < -0.95 * half


def test_the_order_of_the_steps_is_drawn():
    assert len({clip[0].order for clip in draws(ColourJitter(probability=1))}) == 24


def test_a_neutral_draw_changes_no_level_by_more_than_one():
    got = JitterDraw(1, 1, 1, 0).apply(PICTURE)
    assert np.abs(got.astype(int) - PICTURE).max() <= 1


def test_brightness_multiplies_and_saturates():
    got = JitterDraw(1.2, 1, 1, 0, ("brightness",)).apply(np.full((2, 2, 3), 100, np.uint8))
    assert (got == 120).all()
    assert (JitterDraw(1.2, 1, 1, 0).apply(np.full((2, 2, 3), 250, np.uint8)) == 255).all()


def test_contrast_keeps_the_mean_and_scales_the_distance_from_it():
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[0], picture[1] = 100, 140
    got = JitterDraw(1, 1.2, 1, 0, ("contrast",)).apply(picture)
    assert (got[0] == 96).all()
    assert (got[1] == 144).all()


def test_saturation_moves_colours_away_from_their_grey():
    picture = np.array([[[200, 100, 50]]], np.uint8)
    grey = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    got = JitterDraw(1, 1, 0.8, 0, ("saturation",)).apply(picture).astype(int)
    np.testing.assert_allclose(got[0, 0], grey + 0.8 * (picture[0, 0] - float(grey)), atol=1)


def test_hue_turns_the_colour_circle():
    picture = PICTURE.copy()
    got = JitterDraw(1, 1, 1, 0.1, ("hue",)).apply(picture)
    for pixel, result in zip(picture.reshape(-1, 3), got.reshape(-1, 3), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*(pixel / 255.0))
        expected = np.array(colorsys.hsv_to_rgb((h + 0.1) % 1, s, v)) * 255
        np.testing.assert_allclose(result, expected, atol=8)


def test_a_negative_turn_undoes_a_positive_one():
    there = JitterDraw(1, 1, 1, 0.08, ("hue",)).apply(PICTURE)
    back = JitterDraw(1, 1, 1, -0.08, ("hue",)).apply(there)
    assert np.abs(back.astype(int) - PICTURE).mean() < 2
