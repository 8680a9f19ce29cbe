"""What each camera's launch file starts, read from its description; nothing is run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gam_depth_ros import topics
from gam_depth_ros.camera_file import read_camera

REPO = Path(__file__).resolve().parents[2]
CONFIG, PAGE = REPO / "config", REPO / "docs/cameras.md"
# A driver's own launch file: arguments of our names with other defaults, and what it is given.
DRIVER = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

NAMES = {names!r}

def generate_launch_description():
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=value) for name, value in NAMES.items()),
        Node(package={package!r}, executable="driver", name="driver", parameters=[
            {{name: LaunchConfiguration(name) for name in NAMES}},
        ]),
    ])
"""
DRIVERS = {
    "realsense": ("realsense2_camera", "rs_launch.py"),
    "azure_kinect": ("azure_kinect_ros_driver", "driver.launch.py"),
    "orbbec": ("orbbec_camera", "gemini2.launch.py"),
}


class WithTuples(yaml.SafeLoader):
    """launch_ros writes a list among nested parameters with Python's tag for a tuple."""


WithTuples.add_constructor("tag:yaml.org,2002:python/tuple", WithTuples.construct_sequence)


def read_parameters(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), WithTuples)  # noqa: S506 - a safe loader


class Started:
    """One process that launch was about to start."""

    def __init__(self, context: Any, action: Any) -> None:
        words = [[part.perform(context) for part in entry] for entry in action.cmd[1:]]
        self.words = ["".join(parts) for parts in words]
        rules = [self.words[at + 1] for at, word in enumerate(self.words) if word == "-r"]
        self.remaps = dict(rule.split(":=", 1) for rule in rules)
        self.parameters: dict[str, Any] = {}
        for at, word in enumerate(self.words):
            if word == "--params-file":
                for entry in read_parameters(Path(self.words[at + 1])).values():
                    self.parameters |= entry["ros__parameters"]


@pytest.fixture
def describe(installation, monkeypatch):
    """Return what a launch file would start, by package."""
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)

    def run(camera: str, /, **arguments: Any) -> dict[str, Started]:
        from launch.actions import IncludeLaunchDescription
        from launch.actions.execute_local import ExecuteLocal
        from launch.launch_context import LaunchContext
        from launch.launch_description_sources import PythonLaunchDescriptionSource

        found: dict[str, Started] = {}

        def record(action: Any, context: Any) -> None:
            found[action.node_package] = Started(context, action)

        # Where a node's action hands over its finished command line.
        monkeypatch.setattr(ExecuteLocal, "execute", record)
        path = installation.share("gam_depth_ros") / f"launch/{camera}.launch.py"
        given = [(key.replace("__", "."), str(value)) for key, value in arguments.items()]
        source = PythonLaunchDescriptionSource(str(path))
        visit(LaunchContext(), IncludeLaunchDescription(source, launch_arguments=given))
        return found

    return run


def visit(context: Any, entity: Any) -> None:
    """Walk a description depth first, as launch does."""
    for inner in entity.visit(context) or []:
        visit(context, inner)


@pytest.fixture
def drivers(installation):
    """Install the drivers' launch files, and the executables that they and ours name."""
    names = {
        "camera_name": "camera",
        "log_level": "none",
        "name": "theirs",
        "align_depth.enable": "false",
        "depth_registration": "false",
        "fps": "5",
        "color_format": "jpeg",
    }
    for package, file in DRIVERS.values():
        folder = installation.share(package) / "launch"
        folder.mkdir()
        (folder / file).write_text(DRIVER.format(names=names, package=package))
        installation.executable(package, "driver", "true")
    for package, executable in (
        ("kinect_ros2", "kinect_ros2_node"),
        ("kinect2_bridge", "kinect2_bridge_node"),
        ("rviz2", "rviz2"),
    ):
        installation.share(package)
        installation.executable(package, executable, "true")


def test_realsense_is_told_to_align_and_the_node_listens_to_what_it_publishes(describe, drivers):
    started = describe("realsense")
    driver, node = started["realsense2_camera"], started["gam_depth_ros"]
    assert driver.parameters["align_depth.enable"] is True
    # The driver keeps its own default where an argument of ours has the same name.
    assert (driver.parameters["log_level"], driver.parameters["name"]) == ("none", "theirs")
    assert {key: node.remaps[key] for key in ("image", "reference_depth/camera_info")} == {
        "image": "camera/camera/color/image_raw",
        "reference_depth/camera_info": "camera/camera/aligned_depth_to_color/camera_info",
    }
    assert node.remaps["image/compressed"] == "camera/camera/color/image_raw/compressed"
    assert node.parameters["scale.source"] == "median_reference"  # of config/gam_depth.yaml
    assert "registration" not in node.parameters


def test_a_second_realsense_lives_in_a_namespace_and_name_of_its_own(describe, drivers):
    started = describe("realsense", namespace="rear", camera_name="eye", log_level="debug")
    driver, node = started["realsense2_camera"], started["gam_depth_ros"]
    assert driver.remaps["__ns"] == node.remaps["__ns"] == "/rear"
    assert driver.parameters["camera_name"] == "eye"
    assert node.remaps["camera_info"] == "camera/eye/color/camera_info"  # below /rear, as driver's
    # What is said on the command line reaches both.
    assert driver.parameters["log_level"] == "debug"
    assert node.words[node.words.index("--log-level") + 1] == "debug"


def test_the_unaligned_realsense_is_registered_by_its_transforms(describe, drivers):
    arguments = {"align_depth__enable": "false", "camera": "realsense_unaligned"}
    started = describe("realsense", **arguments)
    assert started["realsense2_camera"].parameters["align_depth.enable"] is False
    node = started["gam_depth_ros"]
    assert node.remaps["reference_depth"] == "camera/camera/depth/image_rect_raw"
    assert node.parameters["registration.extrinsics"] == "tf_static"


def test_azure_kinect_sends_bgra_at_full_rate(describe, drivers):
    started = describe("azure_kinect")
    driver = started["azure_kinect_ros_driver"]
    assert (driver.parameters["color_format"], driver.parameters["fps"]) == ("bgra", 30)
    assert started["gam_depth_ros"].remaps["reference_depth"] == "depth_to_rgb/image_raw"


def test_orbbec_registers_and_its_name_moves_the_topics(describe, drivers):
    started = describe("orbbec", model="gemini2", camera_name="left")
    assert started["orbbec_camera"].parameters["depth_registration"] is True
    assert started["gam_depth_ros"].remaps["image"] == "left/color/image_raw"


def test_kinect_v1_comes_with_extrinsics_and_room_for_its_stamps(describe, drivers):
    started = describe("kinect")
    assert started["kinect_ros2"].remaps["__ns"] == "/kinect"
    node = started["gam_depth_ros"]
    assert node.remaps["image"] == "kinect/image_raw"
    assert node.parameters["registration.extrinsics"] == "parameters"
    assert list(node.parameters["registration.translation_m"]) == [-0.025, 0.0, 0.0]
    assert node.parameters["pairing_slop_s"] == 0.05


def test_kinect_v2_is_read_at_quarter_hd(describe, drivers):
    started = describe("kinect", version="v2", sensor="012345")
    assert started["kinect2_bridge"].parameters["sensor"] == "012345"
    node = started["gam_depth_ros"]
    assert node.remaps["image"] == "kinect2/qhd/image_color_rect"
    assert node.remaps["reference_depth/camera_info"] == "kinect2/qhd/camera_info"


def test_params_file_wins_over_the_camera_and_arguments_over_both(describe, drivers, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**: {ros__parameters: {pairing_slop_s: 0.1, model_path: there}}")
    started = describe("kinect", params_file=mine, model_path="1e3", image="/mine")
    node = started["gam_depth_ros"]
    assert node.parameters["pairing_slop_s"] == 0.1
    assert node.parameters["model_path"] == "1e3"  # and stays a text
    assert node.remaps["image"] == "/mine"


@pytest.mark.parametrize("name", ["realsense", "azure_kinect", "orbbec", "kinect"])
def test_without_the_drivers_package_one_line_says_how_to_get_it(describe, name):
    from gam_depth_ros.launch_support import MissingPackageError

    words = r"got no package .*; (apt|build) .* driver:=false"
    with pytest.raises(MissingPackageError, match=words):
        describe(name)
    assert list(describe(name, driver="false")) == ["gam_depth_ros"]


def test_every_process_gets_the_profile_for_large_images_unless_the_user_has_one(
    describe, drivers, monkeypatch
):
    import os

    names = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
    monkeypatch.setenv(names[0], "/mine.xml")
    monkeypatch.setenv(names[1], "")
    describe("realsense")
    assert os.environ[names[0]] == "/mine.xml"
    assert os.environ[names[1]].endswith("config/fastdds_large_images.xml")


def test_every_argument_is_documented_and_the_nodes_are_listed_with_the_cameras(
    installation, drivers
):
    from launch.launch_context import LaunchContext
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    folder = installation.share("gam_depth_ros") / "launch"
    for path in sorted(folder.glob("*.launch.py")):
        source = PythonLaunchDescriptionSource(str(path))
        description = source.get_launch_description(LaunchContext())
        arguments = {entry.name: entry for entry in description.get_launch_arguments()}
        assert {"camera", "params_file", "model_path", "namespace"} <= set(arguments), path.name
        ends = (".", "]")  # launch lists the choices itself
        bare = [entry.name for entry in arguments.values() if not entry.description.endswith(ends)]
        assert not bare, path.name


def test_commands_of_the_camera_page_name_launch_files_and_arguments_that_exist(
    installation, drivers
):
    from launch.launch_context import LaunchContext
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    folder = installation.share("gam_depth_ros") / "launch"
    commands = re.findall(r"ros2 launch gam_depth_ros (\S+\.launch\.py)([^`\n]*)", PAGE.read_text())
    assert {name for name, _ in commands} == {path.name for path in folder.glob("*.launch.py")}
    for name, arguments in commands:
        source = PythonLaunchDescriptionSource(str(folder / name))
        description = source.get_launch_description(LaunchContext())
        known = {entry.name for entry in description.get_launch_arguments()}
        assert set(re.findall(r"(\S+):=", arguments)) <= known, name


def test_the_camera_pages_table_is_what_the_camera_files_say():
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| (?:`([^`]+)`|none) \|", PAGE.read_text(), re.M)
    for name, image, depth in rows:
        said = read_camera(name, CONFIG / "cameras").resolved()
        assert (said["image"], said["reference_depth"]) == (image, depth or "reference_depth")
    assert {row[0] for row in rows} == {path.stem for path in (CONFIG / "cameras").glob("*.yaml")}


def test_rviz_shows_the_nodes_topics_under_its_own_name(describe, drivers):
    assert "rviz2" not in describe("realsense")
    viewer = describe("realsense", rviz="true", namespace="front", name="eye")["rviz2"]
    assert viewer.remaps["/gam_depth/depth/image"] == "/front/eye/depth/image"
    assert viewer.words[viewer.words.index("--fixed-frame") + 1] == "camera_color_optical_frame"


def test_viewers_show_topics_that_the_node_has():
    published = {row.name.replace("~", "/gam_depth") for row in topics.OUTPUTS}
    rviz = yaml.safe_load((CONFIG / "gam_depth.rviz").read_text())["Visualization Manager"]
    shown = [entry["Topic"]["Value"] for entry in rviz["Displays"] if "Topic" in entry]
    assert len(shown) == 4
    assert set(shown) <= published
    layout = json.loads((CONFIG / "gam_depth_foxglove.json").read_text())
    panels = layout["configById"]
    images = {panel["imageMode"]["imageTopic"] for panel in panels.values() if "imageMode" in panel}
    assert images == set(shown) - {"/gam_depth/points"}
    plotted = [row["value"] for panel in panels.values() for row in panel.get("paths", [])]
    assert {value.rsplit(".", 1)[0] for value in plotted} <= published

    def leaves(part):
        return {part} if isinstance(part, str) else leaves(part["first"]) | leaves(part["second"])

    assert leaves(layout["layout"]) == set(panels)


@pytest.mark.parametrize("name", sorted(path.name for path in CONFIG.glob("*.xml")))
def test_network_profiles_are_well_formed(name):
    import xml.etree.ElementTree as ET

    root = ET.parse(CONFIG / name).getroot()
    assert root.tag.split("}")[1] in ("profiles", "CycloneDDS")
