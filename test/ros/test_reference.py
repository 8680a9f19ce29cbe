from __future__ import annotations

import importlib.util
from pathlib import Path

import yaml

from gam_depth_ros.parameters import NodeConfig, specs, updated

REPOSITORY = Path(__file__).resolve().parents[2]


def test_reference_page_is_what_the_code_says():
    path = REPOSITORY / "docs/make_reference.py"
    spec = importlib.util.spec_from_file_location("make_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.reference(), "run: python docs/make_reference.py"


def test_every_parameter_in_the_config_file_exists_with_a_value_the_node_takes():
    given = yaml.safe_load((REPOSITORY / "config/gam_depth.yaml").read_text())
    values = given["/**"]["ros__parameters"]
    assert set(values) <= {spec.name for spec in specs()}
    assert updated(NodeConfig(), values) == NodeConfig()
