"""Laws of the whole pipeline: scale, filter over time and fusion together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_frames import frame
from plain_pipeline import PLAIN
from tiny_model import write_tiny_model

from gam_depth_ros.core.config import FusionConfig, TemporalConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.pipeline import PerceptionPipeline

LAWS = settings(max_examples=5, deadline=None)
MODES = ("network", "fill", "fuse")
# One sensor whose sigma is a share of depth: then nothing but the unit tells two runs apart.
RELATIVE = {"sensor": "custom", "custom_floor_m": 0.0, "custom_relative": 0.02}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return OnnxEngine(write_tiny_model(tmp_path_factory.mktemp("model") / "m.onnx"))


def runs(engine, mode, metres_per_unit, count=5):
    """Perceptions of the same picture with references that many metres per unit of depth."""
    config = replace(
        PLAIN,
        min_depth_m=0.01,
        max_depth_m=200.0,
        temporal=TemporalConfig(mode="still"),
        fusion=FusionConfig(mode=mode, max_range_m=200.0, **RELATIVE),
    )
    pipeline = PerceptionPipeline(engine, config)
    return [pipeline.process(frame(index, metres_per_unit)) for index in range(count)]


@LAWS
@given(metres=st.floats(0.4, 0.7), mode=st.sampled_from(MODES))
def test_doubling_the_reference_doubles_the_output(engine, metres, mode):
    once, twice = (runs(engine, mode, factor * metres)[-1] for factor in (1.0, 2.0))
    assert once.scale.known
    assert twice.scale.known
    assert np.isfinite(once.depth_m).all()
    np.testing.assert_allclose(twice.depth_m, 2 * once.depth_m, rtol=1e-3)
    np.testing.assert_allclose(twice.sigma_m, 2 * once.sigma_m, rtol=1e-2)
    assert (twice.source == once.source).all()


@LAWS
@given(metres=st.floats(0.4, 1.4), mode=st.sampled_from(MODES))
def test_a_constant_scene_stays_constant(engine, metres, mode):
    seen = runs(engine, mode, metres, count=8)[3:]
    for one in seen[1:]:
        np.testing.assert_allclose(one.depth_m, seen[0].depth_m, rtol=1e-3)
        assert (one.labels == seen[0].labels).all()
        assert (one.source == seen[0].source).all()
        assert one.sigma_m.mean() <= seen[0].sigma_m.mean() * 1.001
