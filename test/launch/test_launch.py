from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

from gam_depth_ros.parameters import specs

LAUNCH = Path(__file__).resolve().parents[2] / "launch/gam_depth.launch.py"


def test_launch_file_is_python_and_has_the_entry_point_that_launch_looks_for():
    tree = ast.parse(LAUNCH.read_text(), filename=str(LAUNCH), feature_version=(3, 10))
    assert "generate_launch_description" in [
        node.name for node in tree.body if isinstance(node, ast.FunctionDef)
    ]


def test_every_parameter_that_the_launch_file_sets_exists():
    tree = ast.parse(LAUNCH.read_text())
    dictionaries = [node for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    keys = {
        key.value for entry in dictionaries for key in entry.keys if isinstance(key, ast.Constant)
    }
    set_here = {"model_path", "autostart", "image_transport"}
    assert set_here <= keys
    assert set_here <= {spec.name for spec in specs()}


def test_launch_file_describes_the_node_with_its_arguments():
    pytest.importorskip("launch", reason="launch comes with apt, not from the package index")
    pytest.importorskip("launch_ros", reason="launch_ros comes with apt")
    spec = importlib.util.spec_from_file_location("gam_depth_launch", LAUNCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    description = module.generate_launch_description()
    names = {entry.name for entry in description.get_launch_arguments()}
    assert {"image", "camera_info", "reference_depth", "params_file", "model_path"} <= names
