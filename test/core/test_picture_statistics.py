"""Claims about a picture's figures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from room_picture import room

from gam_depth_ros.core.picture_statistics import (
    WORKING_HW,
    noise_sigma,
    picture_statistics,
    reduced,
    sharpness,
)
from gam_depth_ros.core.preprocessing import prepare


def test_noise_is_told_from_edges():
    rng = np.random.default_rng(0)
    clean = reduced(room())[..., 0].astype(np.float32)
    for sigma in (3.0, 8.0):
        noisy = clean + rng.normal(0, sigma, clean.shape).astype(np.float32)
        assert noise_sigma(noisy) == pytest.approx(sigma, rel=0.2)


def test_sharpness_ignores_contrast_and_falls_with_blur():
    clean = reduced(room())[..., 0].astype(np.float32)
    blurred = [sharpness(cv2.GaussianBlur(clean, (0, 0), s), 0.0) for s in (0.5, 1.0, 2.0)]
    assert sharpness(clean, 0.0) > blurred[0] > blurred[1] > blurred[2]
    assert sharpness(0.5 * clean, 0.0) == pytest.approx(sharpness(clean, 0.0), rel=0.01)


def test_figures_of_a_picture_by_hand():
    picture = np.zeros((*WORKING_HW, 3), np.uint8)
    picture[:, 64:] = 255
    seen = picture_statistics(picture)
    assert (seen.luminance_low, seen.luminance_high) == (0.0, 255.0)
    assert (seen.saturated, seen.black, seen.entropy) == (0.5, 0.5, 1.0)
    assert seen.contrast == pytest.approx(127.5)
    assert seen.structure == 0.0  # the edge lies between two columns of blocks


@pytest.mark.parametrize("size_hw", [(480, 640), (720, 1280), (96, 128), (97, 131), (60, 80)])
def test_every_size_is_reduced_to_one(size_hw):
    picture = np.full((*size_hw, 3), (10, 20, 30), np.uint8)
    assert (reduced(picture) == (10, 20, 30)).all()
    assert reduced(picture).shape == (*WORKING_HW, 3)


def test_the_networks_input_has_the_figures_of_the_whole_picture():
    assert picture_statistics(prepare(room(), WORKING_HW)[0]) == picture_statistics(room())
