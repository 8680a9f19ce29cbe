"""Claims about a frame's way through the pipeline, asserted on values."""

import math
from dataclasses import replace

import numpy as np
import pytest
from pipeline_frames import PERIOD, RGB, bytes_of, frame
from plain_pipeline import PLAIN
from tiny_model import SIGMA, tiny_depth, tiny_labels

from gam_depth_ros.core.camera import Intrinsics
from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.frame import (
    SOURCE_NETWORK,
    SOURCE_NONE,
)
from gam_depth_ros.core.pipeline import (
    STAGES,
    Outputs,
    PerceptionPipeline,
    load_pipeline,
)

ARRAYS = (
    "network_depth",
    "steady_depth",
    "network_sigma_log",
    "depth_m",
    "sigma_m",
    "labels",
    "label_confidence",
    "source",
)


def test_two_frames_with_a_reference_are_nan_and_the_third_metric(pipeline):
    first, second, third = (pipeline.process(frame(index)) for index in (1, 2, 3))
    assert [one.scale.state for one in (first, second, third)] == ["UNKNOWN", "ACQUIRING", "LOCKED"]
    for unknown in (first, second):
        assert np.isnan(unknown.depth_m).all()
        assert np.isnan(unknown.sigma_m).all()
        assert (unknown.source == SOURCE_NONE).all()
    np.testing.assert_allclose(first.network_depth, tiny_depth(RGB), rtol=1e-6)
    assert third.scale.value == pytest.approx(2.0, rel=1e-5)
    np.testing.assert_allclose(third.depth_m, np.clip(2 * tiny_depth(RGB), 0.1, 10), rtol=1e-5)
    assert (third.source == SOURCE_NETWORK).all()


def test_sigma_joins_calibrated_network_and_scale_uncertainty(pipeline):
    pipeline.process(frame(0))
    pipeline.process(frame(1))
    perception = pipeline.process(frame(2))
    total = math.hypot(1.5 * SIGMA, perception.scale.sigma_log)
    np.testing.assert_allclose(perception.sigma_m, perception.depth_m * total, rtol=1e-5)


def test_labels_and_confidence_are_the_networks(pipeline):
    perception = pipeline.process(frame(1))
    np.testing.assert_array_equal(perception.labels, tiny_labels(RGB))
    mean = RGB.astype(np.float32).mean(-1)
    np.testing.assert_allclose(
        perception.label_confidence, 0.5 + np.abs(mean - 127.5) / 255, rtol=1e-5
    )


def test_outputs_are_at_the_pictures_size_with_its_stamp_frame_and_calibration(pipeline):
    rgb = np.full((120, 200, 3), 51, np.uint8)
    camera = Intrinsics(200, 120, 100.0, 100.0, 99.5, 59.5)
    perception = pipeline.process(frame(7, 3.0, rgb=rgb, intrinsics=camera))
    for name in ARRAYS:
        assert getattr(perception, name).shape == (120, 200)
    assert perception.stamp_ns == 7 * PERIOD
    assert perception.frame_id == "camera"
    assert perception.intrinsics is camera
    np.testing.assert_allclose(perception.network_depth, 1.8, rtol=1e-6)  # 1 + 4 * 51 / 255
    assert tuple(perception.stage_ms) == STAGES


def test_only_metric_outputs_are_clipped(pipeline):
    for index in (0, 1):
        pipeline.process(frame(index, 5.0, rgb=np.zeros_like(RGB)))  # 1 unit is 5 m
    perception = pipeline.process(frame(2, None, rgb=np.full_like(RGB, 255)))
    assert (perception.network_depth == 5.0).all()  # 25 m
    assert (perception.depth_m == 10.0).all()


def test_a_frames_outputs_never_depend_on_its_own_reference(model):
    same, other = load_pipeline(model), load_pipeline(model)
    for pipeline, last in ((same, 2.0), (other, 3.0)):
        pipeline.process(frame(0, 2.0))
        pipeline.process(frame(1, 2.0))
        pipeline.process(frame(2, last))
    # The scale of frame 2 came from frames 0 and 1 only; from frame 3 on they part.
    again, changed = load_pipeline(model), load_pipeline(model)
    for pipeline in (again, changed):
        pipeline.process(frame(0, 2.0))
        pipeline.process(frame(1, 2.0))
    assert bytes_of(again.process(frame(2, 2.0))) == bytes_of(changed.process(frame(2, 3.0)))
    assert bytes_of(same.process(frame(3))) != bytes_of(other.process(frame(3)))


def test_the_same_frames_give_the_same_bytes(model):
    runs = []
    for _ in range(2):
        pipeline = load_pipeline(model, PLAIN)
        runs.append([bytes_of(pipeline.process(frame(i, 2.0 + 0.1 * i))) for i in range(5)])
    assert runs[0] == runs[1]


def test_the_timer_is_the_only_clock(model):
    ticks = iter(range(0, 100_000_000, 2_000_000))
    pipeline = PerceptionPipeline(load_pipeline(model).engine, PLAIN, timer=lambda: next(ticks))
    assert pipeline.process(frame(1)).stage_ms == dict.fromkeys(STAGES, 2.0)


def test_fixed_scale_is_metric_from_the_first_frame(model):
    config = replace(PLAIN, scale=ScaleConfig(source="fixed", fixed_value=1.5))
    perception = load_pipeline(model, config).process(frame(0, None))
    np.testing.assert_allclose(perception.depth_m, 1.5 * tiny_depth(RGB), rtol=1e-5)


def test_reset_forgets_the_scale(pipeline):
    pipeline.process(frame(1))
    assert pipeline.process(frame(2)).scale.state == "ACQUIRING"
    assert pipeline.process(frame(3)).scale.known
    pipeline.reset()
    assert pipeline.process(frame(4)).scale.state == "UNKNOWN"


def test_live_settings_apply_and_keep_the_scale(pipeline):
    pipeline.process(frame(0))
    pipeline.process(frame(1))
    pipeline.configure(replace(PLAIN, max_depth_m=4.0))
    assert pipeline.process(frame(2)).depth_m.max() == 4.0
    pipeline.configure(replace(PLAIN, scale=ScaleConfig(source="fixed", fixed_value=0.5)))
    assert pipeline.process(frame(3)).scale.value == 0.5


def test_what_is_not_wanted_is_not_computed(pipeline):
    pipeline.process(frame(1))
    nothing = pipeline.process(frame(2, None), Outputs.none())
    for name in ARRAYS:
        assert getattr(nothing, name).size == 0
    depth_only = Outputs(True, True, False, False, False, False, False)
    wanted = pipeline.process(frame(3, None), depth_only)
    assert wanted.depth_m.shape == (48, 64)
    assert wanted.sigma_m.size == wanted.labels.size == wanted.source.size == 0


def test_a_cloud_needs_depth_sigma_and_labels(pipeline):
    points_only = Outputs(False, False, False, False, False, False, True)
    perception = pipeline.process(frame(1), points_only)
    assert perception.depth_m.shape == perception.sigma_m.shape == perception.labels.shape


def test_the_scale_learns_even_when_nothing_is_wanted(pipeline):
    pipeline.process(frame(0), Outputs.none())
    pipeline.process(frame(1), Outputs.none())
    assert pipeline.process(frame(2)).scale.known


def floor_picture():
    """A picture that the tiny model takes for a floor, and the camera that sees it.

    Its depth is 352.5 / (v + 70.5): 5 at the top, 3 at the bottom, all of it bright and so
    labelled floor. A level camera with fy = 100 and cy = -70.5 stands 3.525 units above it.
    """
    depth = 352.5 / (np.arange(48) + 70.5)
    grey = np.round((depth - 1.0) * 255 / 4).astype(np.uint8)
    rgb = np.broadcast_to(grey[:, None, None], (48, 64, 3)).copy()
    return rgb, Intrinsics(64, 48, 100.0, 100.0, 31.5, -70.5)


def test_camera_height_gives_metres_without_any_reference(model):
    config = replace(PLAIN, scale=ScaleConfig(source="camera_height", camera_height_m=1.41))
    pipeline, (rgb, camera) = load_pipeline(model, config), floor_picture()
    for index in range(2):
        pipeline.process(frame(index, None, rgb=rgb, intrinsics=camera), Outputs.none())
    perception = pipeline.process(frame(2, None, rgb=rgb, intrinsics=camera))
    assert (perception.scale.state, perception.scale.source) == ("LOCKED", "camera_height")
    assert perception.scale.value == pytest.approx(0.4, rel=0.01)
    np.testing.assert_allclose(perception.depth_m[0], 2.0, rtol=0.01)


def test_an_earlier_perception_is_never_overwritten(pipeline):
    first = pipeline.process(frame(1))
    kept = bytes_of(first)
    pipeline.process(frame(2, 3.0, rgb=255 - RGB))
    assert bytes_of(first) == kept
