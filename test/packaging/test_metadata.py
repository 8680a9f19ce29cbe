"""What the packages declare is complete, true and the same at both doors."""

from __future__ import annotations

import ast
import configparser
import importlib
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from gam_depth_ros.model_list import LIST_NAME, read_list

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# import name -> name on the package index
ON_THE_INDEX = {
    "backports": "backports.zstd",
    "cv2": "opencv-python-headless",
    "google": "protobuf",
    "PIL": "pillow",
    "yaml": "pyyaml",
}
# import name -> key in package.xml, where rosdep has another name than the module
APT_KEYS = {
    "apsw": "python3-rosbags-pip",  # rosbags brings it, and zstd
    "backports": "python3-rosbags-pip",
    "cv2": "python3-opencv",
    "jinja2": "python3-jinja2",
    "lz4": "python3-rosbags-pip",
    "matplotlib": "python3-matplotlib",
    "numpy": "python3-numpy",
    "onnxruntime": "python3-onnxruntime-pip",
    "rich": "python3-rich",
    "rosbags": "python3-rosbags-pip",
    "typer": "python3-typer",
    "yaml": "python3-yaml",
}
ROS = {
    "ament_index_python",
    "builtin_interfaces",
    "diagnostic_msgs",
    "gam_depth_msgs",
    "launch",
    "launch_ros",
    "lifecycle_msgs",
    "nav_msgs",
    "rcl_interfaces",
    "rclpy",
    "rosgraph_msgs",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
    "tf2_msgs",
    "vision_msgs",
}

# Looked up in rosdistro (August 2026): released for Humble, Jazzy and Kilted alike, or a rule in
# rosdep/python.yaml for Ubuntu 22.04 and 24.04. A new key has to be looked up and put here.
RELEASED = ROS - {"gam_depth_msgs"} | {
    "ament_cmake",
    "cv_bridge",
    "message_filters",
    "ros2launch",
    "rosbag2",
    "rosidl_default_generators",
    "rosidl_default_runtime",
    "sensor_msgs_py",
}
SYSTEM = {*APT_KEYS.values(), "python3-hypothesis", "python3-pytest"}


@pytest.fixture(scope="module")
def setup_cfg(repo_dir: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(repo_dir / "gam_depth_ros" / "setup.cfg")
    return parser


@pytest.fixture(scope="module")
def package_xml(repo_dir: Path) -> ET.Element:
    return ET.parse(repo_dir / "gam_depth_ros" / "package.xml").getroot()


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\s<>=!~;\[]", text)[0].lower() for text in requirements}


def third_party_imports(folder: Path) -> set[str]:
    """Top-level modules imported anywhere below a folder, less the standard library's and ours."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    ours = {"gam_depth_ros", "gam_depth_training"}
    return found - set(sys.stdlib_module_names) - {"compression"} - ours  # compression: from 3.14


def test_every_executable_is_a_function_that_exists(setup_cfg):
    scripts = dict(
        line.replace(" ", "").split("=")
        for line in lines(setup_cfg["options.entry_points"]["console_scripts"])
    )
    assert set(scripts) == {
        "gam-depth",
        "gam_depth_node",
        "gam_depth_health",
        "bag_player",
        "bag_recorder",
    }
    pytest.importorskip("rclpy", reason="the node and the bag tools need ROS 2")
    for target in scripts.values():
        module, function = target.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_executables_go_where_ros2_run_looks(setup_cfg):
    assert setup_cfg["develop"]["script_dir"] == "$base/lib/gam_depth_ros"
    assert setup_cfg["install"]["install_scripts"] == "$base/lib/gam_depth_ros"


def test_every_data_file_pattern_finds_files(setup_cfg, repo_dir):
    for target, patterns in setup_cfg["options.data_files"].items():
        for pattern in lines(patterns):
            found = list((repo_dir / "gam_depth_ros").glob(pattern))
            assert found, f"{target}: nothing matches {pattern}"


def test_each_listed_model_is_installed_with_its_list_and_its_card(setup_cfg, repo_dir):
    patterns = lines(setup_cfg["options.data_files"]["share/gam_depth_ros/models"])
    installed = {path for one in patterns for path in (repo_dir / "gam_depth_ros").glob(one)}
    names = {path.name for path in installed}
    entries = read_list(repo_dir / "models" / LIST_NAME)
    listed = {entry.file.name for entry in entries if entry.file}
    assert entries
    assert {LIST_NAME} | listed | {entry.card for entry in entries} - {""} <= names
    assert listed == {name for name in names if name.endswith(".onnx")}


def test_the_report_template_travels_with_the_package(setup_cfg, repo_dir):
    patterns = lines(setup_cfg["options.package_data"]["gam_depth_ros"])
    package = repo_dir / "gam_depth_ros" / "gam_depth_ros"
    shipped = {path for pattern in patterns for path in package.glob(pattern)}
    assert set((package / "evaluation" / "templates").iterdir()) <= shipped
    assert package / "py.typed" in shipped


def test_pip_and_colcon_read_one_set_of_metadata(repo_dir):
    project = tomllib.loads((repo_dir / "gam_depth_ros" / "pyproject.toml").read_text())["project"]
    assert set(project) == {"name", "dynamic"}


def test_cpu_and_gpu_extras_never_bring_both_runtimes(setup_cfg):
    extras = setup_cfg["options.extras_require"]
    assert lines(extras["cpu"]) == ["onnxruntime"]
    assert lines(extras["gpu"]) == ["onnxruntime-gpu"]
    assert "onnxruntime" not in setup_cfg["options"]["install_requires"]


def test_what_the_package_imports_pip_is_told(setup_cfg, repo_dir):
    imported = third_party_imports(repo_dir / "gam_depth_ros" / "gam_depth_ros") - ROS
    needed = {ON_THE_INDEX.get(name, name) for name in imported} - {"onnxruntime"}
    assert needed == names(lines(setup_cfg["options"]["install_requires"]))


def test_what_the_package_imports_rosdep_is_told(package_xml, repo_dir):
    imported = third_party_imports(repo_dir / "gam_depth_ros" / "gam_depth_ros")
    declared = {element.text for element in package_xml.iter("exec_depend")}
    assert {APT_KEYS.get(name, name) for name in imported} <= declared


def test_the_apt_side_is_declared(package_xml):
    declared = {element.text for element in package_xml if element.tag.endswith("depend")}
    assert declared >= {
        "cv_bridge",
        "gam_depth_msgs",
        "launch_ros",
        "message_filters",
        "rclpy",
        "sensor_msgs",
        "sensor_msgs_py",
        "vision_msgs",
        "python3-numpy",
        "python3-opencv",
        "python3-onnxruntime-pip",
    }


@pytest.mark.parametrize("package", ["gam_depth_ros", "gam_depth_msgs"])
def test_rosdep_knows_every_key_on_humble_jazzy_and_kilted(repo_dir, package):
    root = ET.parse(repo_dir / package / "package.xml").getroot()
    keys = {element.text for element in root if element.tag.endswith("depend")}
    assert keys - {"gam_depth_msgs"} <= RELEASED | SYSTEM


def test_training_declares_what_it_imports(repo_dir):
    project = tomllib.loads((repo_dir / "training" / "pyproject.toml").read_text())["project"]
    imported = third_party_imports(repo_dir / "training" / "gam_depth_training") - {"onnxruntime"}
    needed = {ON_THE_INDEX.get(name, name) for name in imported} | {"gam_depth_ros"}
    assert needed <= names(project["dependencies"])


def test_all_packages_carry_one_version(package_xml, repo_dir):
    import gam_depth_ros
    import gam_depth_training

    messages = repo_dir / "gam_depth_msgs"
    versions = {
        gam_depth_ros.__version__,
        gam_depth_training.__version__,
        package_xml.findtext("version"),
        ET.parse(messages / "package.xml").findtext("version"),
        tomllib.loads((messages / "pyproject.toml").read_text())["project"]["version"],
    }
    assert len(versions) == 1
    assert f"## [{versions.pop()}]" in (repo_dir / "CHANGELOG.md").read_text()


def test_nothing_at_the_root_hides_the_packages_from_colcon(repo_dir):
    assert not (repo_dir / "package.xml").exists()
    assert not (repo_dir / "setup.py").exists()
    assert "project" not in tomllib.loads((repo_dir / "pyproject.toml").read_text())
    assert (repo_dir / "training" / "COLCON_IGNORE").is_file()
