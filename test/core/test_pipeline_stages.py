"""Claims about how the pipeline's stages act on each other, with the tiny model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plain_pipeline import PLAIN, plain_pipeline
from tiny_model import tiny_depth, write_tiny_model

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.config import FusionConfig, HealthConfig, ScaleConfig, TemporalConfig
from gam_depth_ros.core.frame import (
    SOURCE_FUSED,
    SOURCE_NETWORK,
    SOURCE_NONE,
    SOURCE_SENSOR,
    Frame,
    ReferenceDepth,
)
from gam_depth_ros.core.pipeline import load_pipeline

SIZE_HW = (48, 64)
PERIOD_NS = 33_000_000
CAMERA = Intrinsics(64, 48, 50.0, 50.0, 31.5, 23.5)
ROOM = np.random.default_rng(3).integers(30, 220, (*SIZE_HW, 3), dtype=np.uint8)
BLACK = np.zeros((*SIZE_HW, 3), np.uint8)
FIXED = ScaleConfig(source="fixed", fixed_value=1.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "m.onnx", SIZE_HW)


def frame(index, rgb=ROOM, reference_m=None, **changes):
    stamp_ns = index * PERIOD_NS
    reference = None
    if reference_m is not None:
        reference = ReferenceDepth(reference_m.astype(np.float32), stamp_ns, "camera")
    return Frame(rgb, stamp_ns, "camera", CAMERA, reference, **changes)


def test_a_covered_picture_gives_no_metres_but_labels_and_a_reason(model):
    pipeline = plain_pipeline(model, health=HealthConfig(), scale=FIXED)
    perception = pipeline.process(frame(1, BLACK))
    assert perception.quality.withheld
    assert "covered" in perception.quality.conditions
    assert np.isnan(perception.depth_m).all()
    assert np.isnan(perception.sigma_m).all()
    assert (perception.source == SOURCE_NONE).all()
    assert perception.labels.shape == SIZE_HW


def test_a_covered_picture_teaches_the_scale_nothing(model):
    pipeline = plain_pipeline(model, health=HealthConfig())
    room = tiny_depth(ROOM)
    for index in (1, 2):
        pipeline.process(frame(index, ROOM, 2 * room))
    before = pipeline.process(frame(3)).scale
    pipeline.process(frame(4, BLACK, 9 * tiny_depth(BLACK)))
    after = pipeline.process(frame(5)).scale
    assert after.value == pytest.approx(before.value, rel=1e-6)
    assert after.age_s > before.age_s
    assert after.state == "HOLDING"
    assert after.reason == "nothing is learnt while the picture is judged covered, dark"


def test_depth_of_a_sensor_still_comes_out_when_the_lens_is_covered(model):
    fuse = FusionConfig(mode="fill", blend_time_s=0.0)
    pipeline = plain_pipeline(model, health=HealthConfig(), scale=FIXED, fusion=fuse)
    flat = np.full(SIZE_HW, 1.5)
    perception = pipeline.process(frame(1, BLACK, flat))
    seen = perception.source == SOURCE_SENSOR
    assert seen.mean() > 0.9
    np.testing.assert_allclose(perception.depth_m[seen], 1.5, rtol=1e-5)


def test_a_refused_reference_is_not_fused(model):
    config = replace(PLAIN, fusion=FusionConfig(mode="fuse", blend_time_s=0.0))
    pipeline = load_pipeline(model, config)
    room = tiny_depth(ROOM)
    for index in (1, 2, 3):
        pipeline.process(frame(index, ROOM, 2 * room))
    assert (pipeline.process(frame(4, ROOM, 2 * room)).source == SOURCE_FUSED).any()
    elsewhere = replace(
        frame(5),
        reference=ReferenceDepth((2 * room).astype(np.float32), 5 * PERIOD_NS, "another_camera"),
    )
    perception = pipeline.process(elsewhere)
    assert set(np.unique(perception.source)) == {SOURCE_NETWORK}
    assert any("another_camera" in note for note in perception.notes)


def test_fused_depth_keeps_the_limits_of_what_is_published(model):
    config = replace(PLAIN, scale=FIXED, fusion=FusionConfig(mode="fill", sensor="kinect"))
    pipeline = load_pipeline(model, replace(config, max_depth_m=3.0))
    perception = pipeline.process(frame(1, ROOM, np.full(SIZE_HW, 4.0)))
    assert np.nanmax(perception.depth_m) <= 3.0


def test_the_filter_steadies_what_is_published_and_leaves_the_networks_word_alone(model):
    pipeline = plain_pipeline(model, scale=FIXED, temporal=TemporalConfig(mode="still"))
    pipeline.process(frame(1))
    # Two grey levels: far within the gate, and the tiny network sees each of them as depth.
    brighter = ROOM + np.uint8(2)
    perception = pipeline.process(frame(2, brighter))
    np.testing.assert_allclose(perception.network_depth, tiny_depth(brighter), rtol=1e-5)
    held = np.median(perception.steady_depth - tiny_depth(ROOM))
    assert 0 <= held < np.median(tiny_depth(brighter) - tiny_depth(ROOM))
    np.testing.assert_allclose(perception.depth_m, perception.steady_depth, rtol=1e-6)


def test_sigma_is_wider_under_a_condition_that_does_not_withhold(model):
    dark = (ROOM // 8).astype(np.uint8)
    calm = plain_pipeline(model, scale=FIXED).process(frame(1, dark))
    warned = plain_pipeline(model, scale=FIXED, health=HealthConfig(withhold_on=())).process(
        frame(1, dark)
    )
    assert warned.quality.conditions
    ratio = warned.sigma_m / calm.sigma_m
    assert ratio.min() >= warned.quality.sigma_factor * 0.999 > 1.0


def test_reset_scale_keeps_the_filter_and_reset_forgets_all(model):
    pipeline = plain_pipeline(model, temporal=TemporalConfig(mode="still"))
    for index in (1, 2, 3):
        pipeline.process(frame(index, ROOM, 2 * tiny_depth(ROOM)))
    pipeline.reset_scale()
    brighter = ROOM + np.uint8(2)
    held = pipeline.process(frame(4, brighter))
    assert not held.scale.known
    assert not np.allclose(held.steady_depth, held.network_depth, rtol=1e-5)
    pipeline.reset()
    anew = pipeline.process(frame(5, ROOM))
    np.testing.assert_allclose(anew.steady_depth, anew.network_depth, rtol=1e-6)


def test_odometry_tells_the_filter_how_far_the_camera_moved(model):
    """A camera that backs away from a wall sees it farther: known beforehand, not a flicker."""
    flow = TemporalConfig(mode="flow")
    wall = np.full((*SIZE_HW, 3), 128, np.uint8)
    farther = wall + np.uint8(6)
    moved = np.eye(4)
    moved[2, 3] = -float(tiny_depth(farther)[0, 0] - tiny_depth(wall)[0, 0])
    lags = []
    for pose in (moved, np.eye(4)):  # the truth, and odometry that saw no motion
        pipeline = plain_pipeline(model, scale=FIXED, temporal=flow)
        pipeline.process(frame(1, wall, odom_T_camera=np.eye(4)))
        perception = pipeline.process(frame(2, farther, odom_T_camera=pose))
        lags.append(float(np.median(perception.network_depth - perception.steady_depth)))
    assert abs(lags[0]) < 2e-3
    assert lags[1] > 0.02
