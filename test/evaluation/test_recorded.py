"""Recorded outputs: the same uncertainty as offline, old bags, and nothing scored by itself."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from plain_pipeline import plain_pipeline
from recording_maker import make_sequence
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore
from tiny_model import write_tiny_model

from gam_depth_ros.core.config import FusionConfig, TemporalConfig
from gam_depth_ros.core.frame import SOURCE_NETWORK, SOURCE_SENSOR
from gam_depth_ros.core.model_spec import SigmaCalibration
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.evaluation.bag import OutMessage, open_recording, write_bag
from gam_depth_ros.evaluation.bag_recording import BagRecording
from gam_depth_ros.evaluation.evaluate import evaluate, evaluate_recorded
from gam_depth_ros.evaluation.image_messages import image_message
from gam_depth_ros.evaluation.observation import Observation
from gam_depth_ros.evaluation.recorded import observe_recorded, open_recorded
from gam_depth_ros.evaluation.replay import replay
from gam_depth_ros.evaluation.ros_types import CUSTOM_DEFINITIONS, SCALE_STATUS, ros2_types

SCALE_TOPIC, SOURCE_TOPIC = "/gam_depth/scale", "/gam_depth/depth/source"
COVERAGES = ("coverage_1sigma", "coverage_90", "coverage_2sigma")
FRAMES = 12


@pytest.fixture
def long_sequence(tmp_path: Path) -> Path:
    return make_sequence(tmp_path / "long", FRAMES)


@pytest.fixture
def heavy_tailed(tmp_path: Path) -> PerceptionPipeline:
    """A pipeline with tails of its own and the filter over time on."""
    calibration = SigmaCalibration(k68=3.0, k90=7.5, k95=12.0)
    model = write_tiny_model(tmp_path / "tails.onnx", calibration=calibration)
    return plain_pipeline(model, temporal=TemporalConfig())


def messages_of(bag: Path) -> list[OutMessage]:
    with Reader(bag) as reader:
        return [OutMessage(c.topic, c.msgtype, t, bytes(d)) for c, t, d in reader.messages()]


def observed(bag: Path, pipeline: PerceptionPipeline) -> list[Observation]:
    recording = open_recording(bag)
    assert isinstance(recording, BagRecording)
    events = observe_recorded(recording, open_recorded(recording), pipeline.config)
    return [event for event in events if isinstance(event, Observation)]


def test_recorded_outputs_have_the_coverage_of_all_three_intervals_that_offline_has(
    long_sequence: Path, heavy_tailed: PerceptionPipeline, tmp_path: Path
) -> None:
    replay(open_recording(long_sequence), heavy_tailed, tmp_path / "bag")
    offline = evaluate(open_recording(long_sequence), heavy_tailed).report
    recorded = evaluate_recorded(open_recording(tmp_path / "bag")).report
    for name in (*COVERAGES, "sharpness"):
        expected = offline["uncertainty"][name]["online_scale"]
        assert expected is not None
        got = recorded["uncertainty"][name]["online_scale"]
        assert got == pytest.approx(expected, abs=2e-3), name
    assert recorded["scale"]["states"] == offline["scale"]["states"]


def test_intervals_are_those_of_each_frame(
    long_sequence: Path, heavy_tailed: PerceptionPipeline, tmp_path: Path
) -> None:
    replay(open_recording(long_sequence), heavy_tailed, tmp_path / "bag")
    heavy_tailed.reset()
    made = [heavy_tailed.process(frame) for frame in open_recording(long_sequence).frames()]
    seen = observed(tmp_path / "bag", heavy_tailed)
    assert made[0].interval_90 == pytest.approx(2.5)  # 7.5 / 3: before anything was learnt
    assert made[0].interval_95 == pytest.approx(4.0)
    assert len({one.interval_90 for one in made}) > 1  # and then it follows the references
    for one, other in zip(made, seen, strict=True):
        assert (other.interval_90, other.interval_95) == (one.interval_90, one.interval_95)
        assert other.scale_state is not None
        assert other.scale_state.state == one.scale.state


def test_a_bag_of_an_older_version_is_read_without_the_intervals(
    long_sequence: Path, heavy_tailed: PerceptionPipeline, tmp_path: Path
) -> None:
    replay(open_recording(long_sequence), heavy_tailed, tmp_path / "new")
    write_with_old_scale(messages_of(tmp_path / "new"), tmp_path / "old")
    new, old = (observed(tmp_path / name, heavy_tailed) for name in ("new", "old"))
    assert [one.scale for one in old] == pytest.approx([one.scale for one in new], nan_ok=True)
    assert all(math.isnan(one.interval_90) and math.isnan(one.interval_95) for one in old)
    report = evaluate_recorded(open_recording(tmp_path / "old")).report
    assert report["frames"]["failed"] == 0
    assert report["uncertainty"]["coverage_90"]["online_scale"] is None
    assert report["uncertainty"]["coverage_1sigma"]["online_scale"] is not None


def write_with_old_scale(messages: list[OutMessage], bag: Path) -> None:
    """Write messages with the ScaleStatus that had no intervals yet."""
    text = CUSTOM_DEFINITIONS[SCALE_STATUS].split("float64 interval_90")[0]
    former: Typestore = get_typestore(Stores.ROS2_HUMBLE)
    former.register(get_types_from_msg(text, SCALE_STATUS))
    with Writer(bag, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {}
        for topic, msgtype, time_ns, data in messages:
            of_scale = msgtype == SCALE_STATUS
            if topic not in connections:
                store = former if of_scale else ros2_types()
                connections[topic] = writer.add_connection(topic, msgtype, typestore=store)
            if of_scale:
                now = ros2_types().deserialize_cdr(data, msgtype)
                fields = [entry[0] for entry in former.fielddefs[msgtype][1]]
                old = former.types[msgtype](**{name: getattr(now, name) for name in fields})
                writer.write(connections[topic], time_ns, former.serialize_cdr(old, msgtype))
            else:
                writer.write(connections[topic], time_ns, data)


def test_pixels_of_the_sensor_are_not_scored_against_that_sensor(
    long_sequence: Path, model: Path, tmp_path: Path
) -> None:
    pipeline = plain_pipeline(model, fusion=FusionConfig(mode="fill"))
    replay(open_recording(long_sequence), pipeline, tmp_path / "whole")
    messages = []
    for message in messages_of(tmp_path / "whole"):
        data = message.data
        if message.topic == SOURCE_TOPIC:
            kind = message.msgtype
            found = ros2_types().deserialize_cdr(message.data, kind)
            source = np.full((found.height, found.width), SOURCE_NETWORK, np.uint8)
            source[:, :10] = SOURCE_SENSOR
            stamp = found.header.stamp
            again = image_message(
                source, "mono8", stamp.sec * 10**9 + stamp.nanosec, found.header.frame_id
            )
            data = bytes(ros2_types().serialize_cdr(again, kind))
        messages.append(message._replace(data=data))
    write_bag(tmp_path / "bag", messages)
    last = observed(tmp_path / "bag", pipeline)[-1]
    assert last.metric_depth_m is not None
    assert np.isnan(last.metric_depth_m[:, :10]).all()
    assert np.isfinite(last.metric_depth_m[:, 10:]).all()
    report = evaluate_recorded(open_recording(tmp_path / "bag")).report
    assert math.isfinite(report["fusion"]["abs_rel"]["network"])
