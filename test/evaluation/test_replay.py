"""A replay writes what the node publishes, with the inputs' stamps, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plain_pipeline import plain_pipeline
from recording_maker import make_sequence
from rosbags.rosbag2 import Reader
from tiny_model import SIGMA

from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.frame import SOURCE_NETWORK, SOURCE_NONE
from gam_depth_ros.core.pipeline import PerceptionPipeline
from gam_depth_ros.evaluation.bag import BagError, open_recording, sequence_to_bag
from gam_depth_ros.evaluation.replay import replay
from gam_depth_ros.evaluation.ros_types import ros2_types, stamp_ns

OUTPUTS = {
    "/gam_depth/depth/image": ("sensor_msgs/msg/Image", "32FC1"),
    "/gam_depth/depth/camera_info": ("sensor_msgs/msg/CameraInfo", ""),
    "/gam_depth/depth/uncertainty": ("sensor_msgs/msg/Image", "32FC1"),
    "/gam_depth/depth/source": ("sensor_msgs/msg/Image", "mono8"),
    "/gam_depth/semantics/mask": ("sensor_msgs/msg/Image", "mono8"),
    "/gam_depth/semantics/confidence": ("sensor_msgs/msg/Image", "mono8"),
    "/gam_depth/semantics/color": ("sensor_msgs/msg/Image", "rgb8"),
    "/gam_depth/scale": ("gam_depth_msgs/msg/ScaleStatus", ""),
}


def read(bag: Path) -> list[tuple[str, int, bytes]]:
    with Reader(bag) as reader:
        return [(c.topic, time, bytes(data)) for c, time, data in reader.messages()]


def decoded(bag: Path, topic: str) -> list:
    with Reader(bag) as reader:
        chosen = [c for c in reader.connections if c.topic == topic]
        return [
            ros2_types().deserialize_cdr(data, c.msgtype)
            for c, _, data in reader.messages(connections=chosen)
        ]


def pixels(message: object, dtype: type) -> np.ndarray:
    return message.data.view(dtype).reshape(message.height, message.width)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_every_output_is_there_once_a_frame_with_the_inputs_stamp(
    sequence: Path, pipeline: PerceptionPipeline, tmp_path: Path, storage: str
) -> None:
    result = replay(open_recording(sequence), pipeline, tmp_path / "bag", storage=storage)
    assert (result.frames_in, result.frames_out, result.frames_without_scale) == (6, 6, 2)
    stamps = [frame.stamp_ns for frame in open_recording(sequence).frames()]
    with Reader(tmp_path / "bag") as reader:
        types = {c.topic: c.msgtype for c in reader.connections}
    for topic, (msgtype, encoding) in OUTPUTS.items():
        messages = decoded(tmp_path / "bag", topic)
        assert types[topic] == msgtype
        assert [stamp_ns(message) for message in messages] == stamps
        assert {m.header.frame_id for m in messages} == {"camera_color_optical_frame"}
        if encoding:
            assert {m.encoding for m in messages} == {encoding}
    assert result.messages["/camera/color/image_raw"] == 6


def test_two_frames_are_unknown_and_the_third_is_metric(
    sequence: Path, pipeline: PerceptionPipeline, tmp_path: Path
) -> None:
    replay(open_recording(sequence), pipeline, tmp_path / "bag")
    depths = [pixels(m, np.float32) for m in decoded(tmp_path / "bag", "/gam_depth/depth/image")]
    sources = [pixels(m, np.uint8) for m in decoded(tmp_path / "bag", "/gam_depth/depth/source")]
    scales = decoded(tmp_path / "bag", "/gam_depth/scale")
    assert np.isnan(depths[:2]).all()
    assert np.isfinite(depths[2]).all()
    assert (np.stack(sources[:2]) == SOURCE_NONE).all()
    assert (sources[2] == SOURCE_NETWORK).all()
    states = [scales[0].UNKNOWN, scales[0].ACQUIRING, scales[0].LOCKED]
    assert [scale.state for scale in scales[:3]] == states
    assert np.isnan([scale.value for scale in scales[:2]]).all()
    # Twice as far from the same network depth: the ratio within a frame is the network's.
    network = 1 + 4 * np.array([50.0, 200.0]) / 255
    ratio = depths[2][0, -1] / depths[2][0, 0]
    assert ratio == pytest.approx(network[1] / network[0], rel=1e-4)


def test_fixed_scale_publishes_network_depth_times_the_value_for_every_frame(
    sequence: Path, model: Path, tmp_path: Path
) -> None:
    scale = ScaleConfig(source="fixed", fixed_value=0.5)
    replay(open_recording(sequence), plain_pipeline(model, scale=scale), tmp_path / "bag")
    depths = [pixels(m, np.float32) for m in decoded(tmp_path / "bag", "/gam_depth/depth/image")]
    sigmas = decoded(tmp_path / "bag", "/gam_depth/depth/uncertainty")
    for index, depth in enumerate(depths):
        left = 0.5 * (1 + 4 * (20 + 15 * index) / 255)
        assert depth[10, 2] == pytest.approx(left, rel=1e-4)
        assert pixels(sigmas[index], np.float32)[10, 2] == pytest.approx(SIGMA * left, rel=1e-3)


def test_same_input_and_model_give_the_same_bytes(
    sequence: Path, model: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        replay(open_recording(sequence), plain_pipeline(model), tmp_path / name)
    assert read(tmp_path / "one") == read(tmp_path / "two")


def test_a_replay_of_a_bag_equals_that_of_its_folder(
    sequence: Path, pipeline: PerceptionPipeline, tmp_path: Path
) -> None:
    sequence_to_bag(sequence, tmp_path / "input")
    replay(open_recording(sequence), pipeline, tmp_path / "a")
    replay(open_recording(tmp_path / "input"), pipeline, tmp_path / "b")
    assert read(tmp_path / "a") == read(tmp_path / "b")


def test_inputs_are_left_out_when_asked(
    sequence: Path, pipeline: PerceptionPipeline, tmp_path: Path
) -> None:
    replay(open_recording(sequence), pipeline, tmp_path / "bag", copy_inputs=False)
    assert {topic for topic, _, _ in read(tmp_path / "bag")} == set(OUTPUTS)


def test_existing_output_is_kept_unless_forced(
    sequence: Path, pipeline: PerceptionPipeline, tmp_path: Path
) -> None:
    out = tmp_path / "bag"
    replay(open_recording(sequence), pipeline, out)
    before = read(out)
    with pytest.raises(BagError, match="exists, expected a new one"):
        replay(open_recording(sequence), pipeline, out)
    assert read(out) == before
    short = make_sequence(tmp_path / "short", frames=2)
    replay(open_recording(short), pipeline, out, force=True)
    assert len(decoded(out, "/gam_depth/depth/image")) == 2


def test_force_does_not_replace_what_is_no_bag(
    sequence: Path, pipeline: PerceptionPipeline, tmp_path: Path
) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter.txt").write_text("years of work")
    with pytest.raises(BagError, match="no bag"):
        replay(open_recording(sequence), pipeline, out, force=True)
    assert (out / "chapter.txt").exists()


def test_a_broken_run_leaves_no_half_bag(
    sequence: Path, pipeline: PerceptionPipeline, tmp_path: Path
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(open_recording(sequence), pipeline, tmp_path / "bag", on_frame=stop)
    assert {path.name for path in tmp_path.iterdir()} == {"sequence"}


def test_what_breaks_in_the_pipelines_thread_ends_the_replay(
    sequence: Path, pipeline: PerceptionPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def process(frame: object) -> None:
        raise RuntimeError("the engine is gone")

    monkeypatch.setattr(pipeline, "process", process)
    with pytest.raises(RuntimeError, match="the engine is gone"):
        replay(open_recording(sequence), pipeline, tmp_path / "bag")
    assert {path.name for path in tmp_path.iterdir()} == {"sequence"}


def test_messages_carry_what_the_nodes_messages_carry(
    sequence: Path, model: Path, tmp_path: Path
) -> None:
    rclpy_serialization = pytest.importorskip("rclpy.serialization", reason="needs ROS 2")
    from gam_depth_ros import messages as node_messages

    pipeline = plain_pipeline(model)
    replay(open_recording(sequence), plain_pipeline(model), tmp_path / "bag")
    frames = list(open_recording(sequence).frames())
    by_topic = {topic: [d for t, _, d in read(tmp_path / "bag") if t == topic] for topic in OUTPUTS}
    for index, frame in enumerate(frames):
        seen = pipeline.process(frame)
        head = node_messages.to_header(seen.stamp_ns, seen.frame_id)
        labels = pipeline.engine.spec.labels
        expected = {
            "/gam_depth/depth/image": node_messages.to_depth_image(seen.depth_m, "32FC1", head),
            "/gam_depth/depth/uncertainty": node_messages.to_image(seen.sigma_m, "32FC1", head),
            "/gam_depth/depth/source": node_messages.to_image(seen.source, "mono8", head),
            "/gam_depth/semantics/mask": node_messages.to_image(seen.labels, "mono8", head),
            "/gam_depth/semantics/confidence": node_messages.to_confidence_image(
                seen.label_confidence, head
            ),
            "/gam_depth/semantics/color": node_messages.to_image(
                labels.colorize(seen.labels), "rgb8", head
            ),
        }
        if node_messages.ScaleStatus is not None:
            expected["/gam_depth/scale"] = node_messages.to_scale_status(seen, head)
        for topic, message in expected.items():
            got = by_topic[topic][index]
            node = rclpy_serialization.serialize_message(message)
            # Through rosbags' eyes: Fast DDS leaves arbitrary bytes in the gaps of alignment.
            msgtype = OUTPUTS[topic][0]
            again = ros2_types().deserialize_cdr(node, msgtype)
            assert bytes(ros2_types().serialize_cdr(again, msgtype)) == got, topic
