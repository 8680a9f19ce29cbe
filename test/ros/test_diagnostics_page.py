"""docs/diagnostics.md names all that the node tells, and nothing that it does not."""

from __future__ import annotations

import importlib.util
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from builtin_interfaces.msg import Time

from gam_depth_ros.core.frame import FrameQuality
from gam_depth_ros.diagnostics import diagnostic_array
from gam_depth_ros.health import NEWER, Health

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def maker():
    path = REPOSITORY / "docs/make_diagnostics.py"
    spec = importlib.util.spec_from_file_location("make_diagnostics", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written():
    """Keys of a report of a node of which everything can be told."""
    health = Health()
    health.expect(["image", "camera_info"])
    health.dropped(NEWER)
    health.published({"wait": 1.0, "engine": 30.0, "latency": 40.0})
    health.note("a remark")
    health.qos_faults = ("/image: /camera to /gam_depth: offers best_effort",)
    health.quality = FrameQuality(drift={"luminance": 0.3})
    health.silent_inputs = ("no message on /camera_info for 3.0 s",)
    array = diagnostic_array(replace(health.snapshot(), temperature_c=math.nan), "node", Time())
    return [entry.key for entry in array.status[0].values]


def pattern(key):
    return re.compile(".+".join(re.escape(part) for part in re.split("<[a-z]+>", key)))


def test_the_page_is_what_the_code_says(maker):
    page = maker.PAGE.read_text(encoding="utf-8")
    assert page == maker.page(), "run: python docs/make_diagnostics.py"


def test_every_key_of_diagnostics_is_documented_with_its_unit(maker, written):
    patterns = [pattern(key) for key, _, _ in maker.KEYS]
    assert [key for key in written if not any(one.fullmatch(key) for one in patterns)] == []
    assert all(unit and what for _, unit, what in maker.KEYS)


def test_every_documented_key_is_written(maker, written):
    keys = [key for key, _, _ in maker.KEYS]
    assert [key for key in keys if not any(map(pattern(key).fullmatch, written))] == []


@pytest.mark.parametrize("message", ["PerceptionStatus", "ScaleStatus"])
def test_every_field_of_a_message_has_a_comment_of_its_own(maker, message):
    rows = maker.rows(message)
    assert [name for name, _, what in rows if not what] == []
    messages = pytest.importorskip("gam_depth_msgs.msg", reason="gam_depth_msgs is not built")
    fields = list(getattr(messages, message).get_fields_and_field_types())
    assert [name.strip("`") for name, _, _ in rows if "=" not in name] == fields
