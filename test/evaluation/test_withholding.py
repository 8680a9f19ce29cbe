"""Claims about the readings that fusion is scored on."""

import numpy as np
import pytest

from gam_depth_ros.evaluation.withholding import withhold_blocks

DEPTH = np.arange(1, 61, dtype=np.float32).reshape(6, 10)


def test_withheld_blocks_are_whole_and_of_the_share_asked_for():
    kept, withheld = withhold_blocks(DEPTH, 2, 0.4, seed=1)
    assert withheld.sum() == 6 * 4  # 0.4 of 15 blocks
    blocks = withheld.reshape(3, 2, 5, 2).sum(axis=(1, 3))
    assert set(np.unique(blocks)) == {0, 4}
    assert np.isnan(kept[withheld]).all()
    assert (kept[~withheld] == DEPTH[~withheld]).all()


def test_the_same_seed_withholds_the_same_blocks_of_any_depth():
    first = withhold_blocks(DEPTH, 3, 0.5, seed=7)[1]
    assert (first == withhold_blocks(2 * DEPTH, 3, 0.5, seed=7)[1]).all()
    assert any((first != withhold_blocks(DEPTH, 3, 0.5, seed=s)[1]).any() for s in range(5))


def test_blocks_at_the_border_are_cut():
    _, withheld = withhold_blocks(DEPTH, 4, 1.0, seed=0)
    assert withheld.shape == DEPTH.shape
    assert withheld.all()
    assert not withhold_blocks(DEPTH, 4, 0.0, seed=0)[1].any()


def test_the_depth_given_is_left_alone():
    before = DEPTH.copy()
    withhold_blocks(DEPTH, 2, 0.5, seed=0)
    assert (before == DEPTH).all()


@pytest.mark.parametrize(("size", "share"), [(0, 0.5), (4, -0.1), (4, 1.1)])
def test_senseless_blocks_are_refused(size, share):
    with pytest.raises(ValueError, match="withheld blocks: got size"):
        withhold_blocks(DEPTH, size, share, seed=0)
