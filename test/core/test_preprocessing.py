"""Claims about the stretch to the network's size and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gam_depth_ros.core.preprocessing import prepare, to_image_size

sides = st.integers(4, 90)


@settings(deadline=None)
@given(st.tuples(sides, sides), st.tuples(sides, sides), st.integers(0, 255))
def test_undoing_the_resize_of_a_uniform_picture_changes_nothing(size_hw, network_hw, grey):
    rgb = np.full((*size_hw, 3), grey, np.uint8)
    batch = prepare(rgb, network_hw)
    assert batch.shape == (1, *network_hw, 3)
    back = to_image_size(batch[0, ..., 0].astype(np.float32), size_hw)
    assert back.shape == size_hw
    np.testing.assert_allclose(back, float(grey), rtol=1e-6)


@settings(deadline=None)
@given(st.integers(20, 90), st.integers(20, 90), st.floats(0.3, 3.0))
def test_undoing_the_resize_of_a_ramp_leaves_it_in_place(width, height, factor):
    """A shift by half a pixel, the usual mistake, would show as a constant offset."""
    ramp = np.linspace(0, 255, width)
    rgb = np.repeat(np.tile(ramp, (height, 1))[..., None], 3, axis=-1).round().astype(np.uint8)
    network_hw = (max(4, round(height * factor)), max(4, round(width * factor)))
    back = to_image_size(prepare(rgb, network_hw)[0, ..., 0].astype(np.float32), (height, width))
    margin = max(2, round(2 / factor))
    inner = slice(margin, width - margin)
    step = 255 / (width - 1)
    assert np.abs((back - rgb[..., 0])[:, inner].mean()) < 0.1 * step + 0.6


def test_a_picture_of_the_networks_size_passes_untouched():
    rgb = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(prepare(rgb, (12, 16))[0], rgb)


def test_shrinking_averages():
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[:, 1::2] = 200
    np.testing.assert_array_equal(prepare(rgb, (2, 2)), np.full((1, 2, 2, 3), 100))


@pytest.mark.parametrize("size_hw", [(480, 640), (479, 641), (10, 7)])
def test_ids_are_never_mixed(size_hw):
    ids = np.array([[0, 12], [255, 4]], np.uint8)
    resized = to_image_size(ids, size_hw, nearest=True)
    assert set(np.unique(resized)) == {0, 4, 12, 255}
    assert resized[0, 0] == 0
    assert resized[-1, -1] == 4


def test_doubling_ids_repeats_each_pixel():
    ids = np.array([[1, 2], [3, 4]], np.uint8)
    np.testing.assert_array_equal(
        to_image_size(ids, (4, 4), nearest=True), np.kron(ids, np.ones((2, 2), np.uint8))
    )
