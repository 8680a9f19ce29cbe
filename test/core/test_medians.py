"""The quick median is NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from gam_depth_ros.core.medians import median


@pytest.mark.parametrize("count", [1, 2, 3, 10, 4201, 4202])
def test_the_median_is_that_of_numpy(count):
    values = np.random.default_rng(count).normal(size=count)
    assert median(values) == pytest.approx(np.median(values), abs=1e-15)


def test_equal_values_are_their_own_median():
    assert median(np.full(8, 2.5, np.float32)) == 2.5
