"""The camera files that launch files apply: what they say, and what they are held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from gam_depth_ros.camera_file import ANY_CAMERA, INPUTS, CameraFileError, read_camera
from gam_depth_ros.parameters import NodeConfig, specs, updated

FOLDER = Path(__file__).resolve().parents[2] / "config/cameras"
SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def flat(parameters, prefix=""):
    for name, value in parameters.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_camera_names_its_image_and_parameters_that_the_node_takes(name):
    camera = read_camera(name, FOLDER)
    assert {"image", "camera_info"} <= set(camera.topics) <= set(INPUTS)
    assert camera.frame
    given = dict(flat(camera.parameters))
    taken = {spec.name: spec.default for spec in specs(updated(NodeConfig(), given))}
    assert {name: _listed(taken[name]) for name in given} == given


def _listed(value):
    return list(value) if isinstance(value, tuple) else value


def test_topics_stand_below_the_base_and_given_ones_win():
    camera = read_camera("realsense", FOLDER)
    assert camera.resolved()["image"] == "camera/camera/color/image_raw"
    assert camera.resolved("/front/eye/")["camera_info"] == "/front/eye/color/camera_info"
    given = camera.resolved(given={"image": "/other", "reference_depth": ""})
    assert given["image"] == "/other"
    assert given["reference_depth"] == "camera/camera/aligned_depth_to_color/image_raw"
    assert read_camera("azure_kinect", FOLDER).resolved()["image"] == "rgb/image_raw"


def test_without_a_file_and_for_topics_it_leaves_out_the_nodes_own_names_stay():
    assert read_camera("", FOLDER) is ANY_CAMERA
    assert ANY_CAMERA.resolved() == INPUTS
    assert read_camera("webcam", FOLDER).resolved()["reference_depth"] == "reference_depth"


def test_a_file_of_ones_own_is_given_by_its_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: eye\ntopics: {image: rgb, camera_info: /calibration}\n")
    assert read_camera(str(path), FOLDER).resolved() == {
        "image": "eye/rgb",
        "camera_info": "/calibration",
        "reference_depth": "reference_depth",
        "reference_camera_info": "reference_depth/camera_info",
        "odometry": "odometry",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "expected a YAML file"),
        ("- a", "got list, expected base, frame, topics, parameters"),
        ("topic: {}", r"got \['topic'\], expected base"),
        ("topics: [image]", r"got topics \['image'\], expected a dict"),
        ("topics: {colour: x}", "expected names for some of image, camera_info"),
        ("topics: {image: 5}", "expected names for some of"),
        ("!!python/object/apply:os.system [ls]", "expected a YAML file"),
    ],
)
def test_what_is_no_camera_file_is_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(CameraFileError, match=words) as caught:
        read_camera(str(path), FOLDER)
    assert "\n" not in str(caught.value)


def test_an_unknown_camera_is_refused_with_the_names_of_the_known():
    with pytest.raises(CameraFileError, match=r"got 'kinnect', expected .* kinect_v1, kinect_v2"):
        read_camera("kinnect", FOLDER)
