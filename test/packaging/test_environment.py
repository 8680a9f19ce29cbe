"""The pip door: pins, make and the Fast DDS profiles."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PIN = re.compile(r'([a-z0-9-]+)==([0-9][0-9a-z.]*)( ; python_version (<|>=) "3\.11")?')
DDS = {"d": "http://www.eprosima.com"}


def meaningful_lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def normal(requirement: str) -> str:
    name = re.split(r"[\s<>=!~;\[]", requirement.strip())[0]
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def pinned(repo_dir: Path) -> set[str]:
    return {normal(line) for line in meaningful_lines(repo_dir / "constraints.txt")}


def test_every_constraint_is_one_exact_platform_neutral_version(repo_dir):
    for line in meaningful_lines(repo_dir / "constraints.txt"):
        assert PIN.fullmatch(line), line


def test_no_package_is_pinned_twice_for_one_python(repo_dir):
    seen = set()
    for line in meaningful_lines(repo_dir / "constraints.txt"):
        name, _, _, sign = PIN.fullmatch(line).groups()
        for half in [sign] if sign else ["<", ">="]:
            assert (name, half) not in seen, line
            seen.add((name, half))


def test_everything_that_set_up_asks_for_is_pinned(repo_dir, pinned):
    cfg = configparser.ConfigParser(delimiters=("=",))
    cfg.read(repo_dir / "gam_depth_ros" / "setup.cfg")
    blocks = [cfg["options"]["install_requires"], *cfg["options.extras_require"].values()]
    asked = [line for block in blocks for line in block.splitlines() if line]
    training = tomllib.loads((repo_dir / "training" / "pyproject.toml").read_text())
    asked += training["project"]["dependencies"]
    for path in (repo_dir / "requirements").glob("*.txt"):
        asked += meaningful_lines(path)
    assert {normal(name) for name in asked} - {"gam-depth-ros"} <= pinned


def test_make_alone_lists_every_target_with_a_help_text(repo_dir):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=repo_dir, env=env, capture_output=True, text=True
    )
    listed = dict(re.findall(r"^  make (\w+) +(.+)$", done.stdout, flags=re.MULTILINE))
    assert done.returncode == 0
    assert {"setup", "demo", "test", "lint", "bench", "clean"} <= set(listed)


def test_ci_is_one_executable_script(repo_dir):
    script = repo_dir / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script]).returncode == 0


@pytest.mark.parametrize("name", ["fastdds_loopback.xml", "fastdds_large_images.xml"])
def test_shared_memory_holds_several_full_hd_images(repo_dir, name):
    root = ET.parse(repo_dir / "config" / name).getroot()
    segment_bytes = int(root.findtext(".//d:segment_size", namespaces=DDS))
    message_bytes = int(root.findtext(".//d:maxMessageSize", namespaces=DDS))
    full_hd_rgb_bytes = 1920 * 1080 * 3
    assert segment_bytes >= 5 * full_hd_rgb_bytes
    assert message_bytes > full_hd_rgb_bytes


def test_only_the_loopback_profile_keeps_to_this_machine(repo_dir):
    loopback = ET.parse(repo_dir / "config" / "fastdds_loopback.xml")
    robot = ET.parse(repo_dir / "config" / "fastdds_large_images.xml")
    addresses = [element.text for element in loopback.iterfind(".//d:address", DDS)]
    assert addresses == ["127.0.0.1"]
    assert not list(robot.iterfind(".//d:interfaceWhiteList", DDS))
