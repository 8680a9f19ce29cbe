"""Configuration <-> parameters both ways, and messages that no live graph here can show."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from gam_depth_ros import messages
from gam_depth_ros.core.camera import CameraError, Intrinsics
from gam_depth_ros.core.frame import FrameQuality
from gam_depth_ros.core.labels import NYU13
from gam_depth_ros.diagnostics import to_status
from gam_depth_ros.health import Health
from gam_depth_ros.parameters import NodeConfig, change, specs, updated


def test_every_setting_has_one_parameter_with_a_description():
    rows = specs()
    names = [row.name for row in rows]
    assert len(names) == len(set(names))
    assert {"scale.max_age_s", "engine.providers", "pairing_slop_s", "model_path"} <= set(names)
    assert all(row.description.endswith(".") or row.choices for row in rows)


def test_parameters_to_configuration_and_back_is_the_identity():
    config = updated(NodeConfig(), {"scale.max_age_s": 3.0, "engine.providers": ["cuda", "cpu"]})
    assert config.pipeline.scale.max_age_s == 3.0
    assert config.pipeline.engine.providers == ("cuda", "cpu")
    values = {row.name: row.default for row in specs(config)}
    assert updated(NodeConfig(), values) == config


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("scale.max_age_s", -1.0, "scale.max_age_s: got -1.0, expected 0.1 to 3600.0"),
        ("depth_encoding", "8UC1", "depth_encoding: got '8UC1', expected one of 32FC1, 16UC1"),
        ("scale.max_age_s", "long", "scale.max_age_s: got str 'long', expected float"),
        ("engine.threads", 1, "engine.threads: got a change while the node is configured"),
    ],
)
def test_a_refused_change_says_why_and_changes_nothing(name, value, reason):
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        change(NodeConfig(), {name: value}, configured=True)


@pytest.mark.parametrize(
    ("name", "value", "above"),
    [
        ("min_depth_m", 10.0, "max_depth_m, which is 10.0"),
        ("scale.min_reference_depth_m", 6.5, "max_reference_depth_m, which is 6.0"),
    ],
)
def test_ranges_without_content_are_refused(name, value, above):
    reason = f"{name}: got {value}, expected less than {above}"
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        change(NodeConfig(), {name: value}, configured=False)


def test_before_configure_everything_may_change_and_strange_names_are_ignored():
    config = change(
        NodeConfig(),
        {"engine.threads": 1, "use_sim_time": True, "qos_overrides./x": "y"},
        configured=False,
    )
    assert config.pipeline.engine.threads == 1


def test_label_info_names_every_class_of_the_mask(monkeypatch):
    # vision_msgs comes with apt only: stand-ins with its fields (class_id, class_name; class_map).
    monkeypatch.setattr(messages, "VisionClass", SimpleNamespace)
    monkeypatch.setattr(messages, "LabelInfo", SimpleNamespace)
    info = messages.to_label_info(NYU13, messages.to_header(5, "camera"))
    assert [(entry.class_id, entry.class_name) for entry in info.class_map] == list(
        enumerate(NYU13.names)
    )


def test_confidence_is_rounded_to_the_nearest_of_256_steps():
    confidence = np.array([[0.0, 0.5, 1.0, 1.0001]], np.float32)
    message = messages.to_confidence_image(confidence, messages.to_header(0, ""))
    assert list(message.data) == [0, 128, 255, 255]


def test_stamps_survive_the_header_to_the_nanosecond():
    assert messages.stamp_ns(messages.to_header(1_700_000_000_123_456_789, "x")) == (
        1_700_000_000_123_456_789
    )


def test_a_rectified_image_follows_p_and_has_no_distortion():
    info = CameraInfo(width=64, height=48, distortion_model="plumb_bob", d=[0.1, 0.0, 0.0, 0.0])
    info.k = [50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0]
    with pytest.raises(CameraError, match="got P all zero, expected that of a rectified image"):
        messages.to_intrinsics(info, rectified=True)
    info.p = [40.0, 0.0, 30.0, -4.0, 0.0, 41.0, 22.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    assert messages.to_intrinsics(info).distortion == (0.1, 0.0, 0.0, 0.0)
    seen_through = Intrinsics(64, 48, fx=40.0, fy=41.0, cx=30.0, cy=22.0)
    assert messages.to_intrinsics(info, rectified=True) == seen_through


def test_status_tells_drift_and_agreement_of_the_outputs_as_numbers():
    pytest.importorskip("gam_depth_msgs.msg", reason="gam_depth_msgs is not built here")
    health = Health()
    health.quality = FrameQuality(
        agreement=0.75,
        drift={"luminance": 0.3, "label_shares": 1.5},
        drift_outside={"luminance": 0.125},
    )
    status = to_status(health.snapshot(), Header())
    assert list(status.drift_names) == ["luminance", "label_shares"]
    assert list(status.drift_psi) == [0.3, 1.5]
    assert status.drift_outside[0] == 0.125
    assert math.isnan(status.drift_outside[1])
    assert status.boundary_agreement == 0.75
    health.quality = FrameQuality()
    unknown = to_status(health.snapshot(), Header())
    assert list(unknown.drift_names) == list(unknown.drift_psi) == list(unknown.drift_outside) == []
    assert math.isnan(unknown.boundary_agreement)
