"""The images' recipes: linted, pinned, whole. None is built here; docs/docker.md says so."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

RECIPES = ("runtime.Dockerfile", "training.Dockerfile")
# Of package.xml: what ros-core or the list from the index brings, and what only bags need.
BROUGHT = {"rclpy", "builtin_interfaces", "rcl_interfaces", "rosgraph_msgs", "lifecycle_msgs"}
BROUGHT |= {"ament_index_python", "launch", "std_msgs", "gam_depth_msgs", "rosbag2"}
BROUGHT |= {"python3-onnxruntime-pip", "python3-rosbags-pip"}


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions, continued lines joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def stages(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Return instructions by stage, each stage's own only."""
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions(path):
        if word == "FROM":
            found[rest.split()[-1]] = current = []
        current.append((word, rest))
    return found


def pins(path: Path) -> dict[str, str]:
    rows = [row.split(";") for row in path.read_text().splitlines() if row and row[0] != "#"]
    wanted = [row[0] for row in rows if len(row) == 1 or ">=" in row[1]]  # Python 3.12
    return dict(row.strip().split("==") for row in wanted)


@pytest.fixture(scope="module")
def docker(repo_dir: Path) -> Path:
    return repo_dir / "docker"


@pytest.fixture(scope="module")
def compose(docker: Path) -> dict:
    return yaml.safe_load((docker / "compose.yaml").read_text())


@pytest.mark.parametrize("name", RECIPES)
def test_hadolint_has_nothing_to_say(docker, name):
    hadolint = Path(sys.prefix, "bin", "hadolint")
    if not hadolint.exists():
        pytest.skip("needs hadolint, which has wheels for x86_64 only: make setup")
    done = subprocess.run([hadolint, docker / name], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", RECIPES)
def test_every_base_has_a_tag_that_says_more_than_latest(docker, name):
    known: set[str] = set()
    for word, rest in instructions(docker / name):
        if word == "FROM":
            image = rest.split()[0]
            assert image in known or re.fullmatch(r"[a-z/]+:(?!latest)[a-z0-9.-]+", image), image
            known.add(rest.split()[-1])


@pytest.mark.parametrize("name", RECIPES)
def test_every_package_has_a_version(docker, name):
    for word, rest in instructions(docker / name):
        for installed in re.findall(r"apt-get install ([^&]*)", rest):
            packages = [part for part in installed.split() if not part.startswith("-")]
            assert packages
            assert all("=" in package for package in packages), packages
        for installed in re.findall(r"pip install ([^&]*)", rest):
            assert word == "RUN"
            named = re.findall(r"(?<=\s)[a-z][a-z0-9-]+(?:==\S+)?(?=\s|$)", installed)
            free = [p for p in named if "==" not in p and not p.endswith(".txt")]
            assert not free, free


def test_what_comes_from_the_index_is_what_the_pip_door_has(docker, repo_dir):
    ours = pins(repo_dir / "constraints.txt")
    for name in ("requirements-runtime.txt", "requirements-cpu.txt", "requirements-gpu.txt"):
        for package, version in pins(docker / name).items():
            assert ours.get(package, version) == version, package
    assert pins(docker / "requirements-gpu.txt")["onnxruntime-gpu"] == ours["onnxruntime-gpu"]


def test_the_runtime_list_is_whole_though_pip_does_not_follow_it(docker):
    listed = {*pins(docker / "requirements-runtime.txt"), "numpy"}
    for package in ("rosbags", "onnxruntime"):
        for line in importlib.metadata.requires(package) or []:
            if "extra ==" in line or ("python_version <" in line and "3.14" not in line):
                continue
            name = re.split(r"[\s<>=;!~\[]", line)[0].lower().replace(".", "-").replace("_", "-")
            assert name in listed, f"{package} needs {line}"


def test_every_apt_dependency_of_the_package_is_in_the_runtime_image(docker, repo_dir):
    installed = " ".join(rest for _, rest in stages(docker / RECIPES[0])["packages"])
    wanted = ET.parse(repo_dir / "gam_depth_ros/package.xml").getroot().iter("exec_depend")
    for key in {str(element.text) for element in wanted} - BROUGHT:
        apt = key if key.startswith("python3-") else f"ros-jazzy-{key.replace('_', '-')}"
        assert f" {apt}=" in installed, key


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_copied_exists_and_is_let_through(docker, repo_dir, name):
    allowed = {row[1:] for row in (repo_dir / ".dockerignore").read_text().split() if row[0] == "!"}
    for word, rest in instructions(docker / name):
        if word == "COPY" and not rest.startswith("--from"):
            source = rest.split()[0]
            assert (repo_dir / source).exists(), source
            assert source.split("/")[0] in allowed, source


@pytest.mark.parametrize(("name", "root"), [(RECIPES[0], "src"), (RECIPES[1], "")])
def test_the_copied_folders_lie_as_the_package_expects(docker, repo_dir, tmp_path, name, root):
    for word, rest in next(iter(stages(docker / name).values())):
        if word == "COPY" and len(rest.split()) == 2:
            source, target = rest.split()
            if (repo_dir / source).is_dir():
                shutil.copytree(repo_dir / source, tmp_path / target)
    parser = ConfigParser(delimiters=("=",))
    parser.read(repo_dir / "gam_depth_ros/setup.cfg")
    package = tmp_path / root / "gam_depth_ros"
    for target, patterns in parser["options.data_files"].items():
        assert any(list(package.glob(pattern)) for pattern in patterns.split()), target


@pytest.mark.parametrize("name", RECIPES)
def test_no_image_runs_as_root(docker, name):
    found = stages(docker / name)
    for stage, rows in found.items():
        if stage not in ("build", "packages"):  # never run: what they make is copied
            users = [rest for word, rest in rows if word == "USER"]
            assert users, stage
            assert users[-1].startswith("2000"), stage


def test_the_nodes_say_whether_they_are_healthy(docker, repo_dir):
    scripts = (repo_dir / "gam_depth_ros/setup.cfg").read_text()
    for stage in ("cpu", "gpu"):
        checks = [r for word, r in stages(docker / RECIPES[0])[stage] if word == "HEALTHCHECK"]
        executable = re.search(r"/lib/gam_depth_ros/(\w+)", checks[0])
        assert executable
        assert f"    {executable.group(1)} = gam_depth_ros." in scripts


def test_the_entry_point_is_a_shell_script_that_hands_over(docker):
    script = docker / "entrypoint.sh"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", script]).returncode == 0
    assert script.read_text().rstrip().endswith('exec "$@"')


def test_services_are_not_root_cannot_write_and_gain_nothing(compose):
    for name, service in compose["services"].items():
        assert service["user"] == "2000:2000", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["ipc"] == "host", name  # without it Fast DDS falls back to UDP


def test_compose_builds_stages_that_exist_and_mounts_files_that_exist(compose, docker):
    known = stages(docker / RECIPES[0])
    profiles: dict[str, set[str]] = {"cpu": set(), "gpu": set()}
    for name, service in compose["services"].items():
        assert service["build"]["target"] in known
        assert not service["image"].endswith(":latest")
        for profile in service["profiles"]:
            profiles[profile].add(service["build"]["target"])
        for mount in service.get("volumes", []):
            if mount["type"] == "bind":
                assert (docker / mount["source"]).is_file(), name
            else:
                assert mount["source"] in compose["volumes"], name
    assert profiles == {"cpu": {"camera", "cpu", "foxglove"}, "gpu": {"camera", "gpu", "foxglove"}}
