"""Where a published pixel came from is shown where the sensor gave some."""

from __future__ import annotations

import numpy as np

from gam_depth_ros.core.frame import (
    SOURCE_FUSED,
    SOURCE_NETWORK,
    SOURCE_NONE,
    SOURCE_SENSOR,
    Frame,
)
from gam_depth_ros.evaluation.gallery import picture_of
from gam_depth_ros.evaluation.observation import Observation
from gam_depth_ros.evaluation.pictures import SOURCE_RGB, UNKNOWN_RGB, painted_source
from gam_depth_ros.evaluation.sample import Sample


def seen(source: np.ndarray | None) -> Observation:
    sample = Sample(Frame(np.zeros((6, 8, 3), np.uint8), 1, "camera"), 1)
    return Observation(sample, None, None, None, None, None, source=source)


def test_a_source_is_kept_only_where_the_sensor_gave_a_part() -> None:
    network = np.full((6, 8), SOURCE_NETWORK, np.uint8)
    assert picture_of(0, seen(None), None, np.nan).source is None
    assert picture_of(0, seen(network), None, np.nan).source is None
    mixed = network.copy()
    mixed[2, 3] = SOURCE_FUSED
    kept = picture_of(0, seen(mixed), None, np.nan).source
    assert kept is not None
    np.testing.assert_array_equal(kept, mixed)


def test_each_source_has_its_colour_and_unknown_is_grey() -> None:
    sources = [SOURCE_NONE, SOURCE_SENSOR, SOURCE_NETWORK, SOURCE_FUSED]
    painted = painted_source(np.array([sources], np.uint8))[0].tolist()
    assert painted[1:] == [list(SOURCE_RGB[value]) for value in sources[1:]]
    assert painted[0] == list(UNKNOWN_RGB)
    assert len({tuple(color) for color in painted}) == 4
