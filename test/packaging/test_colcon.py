"""The robot's door: colcon builds both packages, copied and symlinked, as `ros2 run` wants them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import pytest

EXECUTABLES = {"gam-depth", "gam_depth_node", "gam_depth_health", "bag_player", "bag_recorder"}
WHERE = """
import gam_depth_ros
from ament_index_python.packages import get_package_share_directory
from gam_depth_msgs import msg
print(gam_depth_ros.__file__, msg.__file__, get_package_share_directory("gam_depth_ros"))
"""


@dataclass(frozen=True)
class Workspace:
    """A colcon workspace whose sources are this checkout."""

    folder: Path
    repo: Path

    @property
    def installed(self) -> Path:
        return self.folder / "install" / "gam_depth_ros"

    def build(self, *options: str) -> None:
        """Run ``colcon build``."""
        cmake = [f"-DPython3_EXECUTABLE={sys.executable}"]
        cmake += [f"-DCMAKE_PROJECT_INCLUDE={self.repo}/gam_depth_msgs/cmake/ros_wheels.cmake"]
        self._colcon("build", *options, "--cmake-args", *cmake)

    def test(self) -> tuple[list[ET.Element], str]:
        """Run ``colcon test``; return the test cases of gam_depth_ros and what colcon said."""
        said = self._colcon("test", "--return-code-on-test-failure")
        results = self.folder / "build/gam_depth_ros/pytest.xml"
        return list(ET.parse(results).getroot().iter("testcase")), said

    def _colcon(self, verb: str, *options: str) -> str:
        """Run colcon, with the ROS 2 of this environment underneath."""
        env = dict(os.environ, AMENT_PREFIX_PATH=sys.prefix, CMAKE_PREFIX_PATH=sys.prefix)
        env.pop("PYTHONPATH", None)
        command = [sys.executable, "-m", "colcon", "--log-base", "log", verb]
        command += ["--base-paths", str(self.repo), *options]
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def run(self, command: str) -> str:
        """Run a shell command after the workspace's setup file, as on a robot."""
        script = f". install/setup.sh && {command}"
        done = subprocess.run(["sh", "-c", script], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout


@pytest.fixture(scope="module")
def copied(repo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    pytest.importorskip("colcon_ros", reason="needs colcon")
    if "site-packages" not in str(pytest.importorskip("rclpy", reason="needs ROS 2").__file__):
        pytest.skip("needs ROS 2 from wheels; with ROS 2 from apt, colcon test runs in the build")
    workspace = Workspace(tmp_path_factory.mktemp("copied"), repo_dir)
    workspace.build()
    return workspace


@pytest.fixture(scope="module")
def symlinked(copied: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("symlinked"), copied.repo)
    for messages in ("build/gam_depth_msgs", "install/gam_depth_msgs"):  # built once is enough
        shutil.copytree(copied.folder / messages, workspace.folder / messages)
    workspace.build("--symlink-install", "--packages-select", "gam_depth_ros")
    return workspace


@pytest.fixture(params=["copied", "symlinked"])
def workspace(request: pytest.FixtureRequest) -> Workspace:
    return request.getfixturevalue(request.param)


def test_executables_stand_where_ros2_run_looks(workspace):
    assert {path.name for path in (workspace.installed / "lib/gam_depth_ros").iterdir()} == (
        EXECUTABLES
    )


def test_launch_config_and_models_are_installed(workspace):
    share = workspace.installed / "share/gam_depth_ros"
    rows = ("launch", "*.py"), ("config", "*.*"), ("config/cameras", "*.yaml"), ("models", "*.*")
    for folder, pattern in rows:
        sources = {path.name for path in (workspace.repo / folder).glob(pattern)}
        installed = {path.name for path in (share / folder).iterdir() if path.is_file()}
        assert sources
        assert installed >= sources - {path for path in sources if path.endswith(".md")}


def test_a_sourced_workspace_gives_our_packages_and_shares(workspace):
    package, messages, share = workspace.run(f"{sys.executable} -c '{WHERE}'").split()
    assert Path(messages).is_relative_to(workspace.folder)
    assert Path(share) == workspace.installed / "share/gam_depth_ros"
    # A symlinked workspace imports the sources through its build folder.
    assert Path(package).is_relative_to(workspace.folder)


def test_the_command_line_answers_from_the_workspace(workspace):
    assert "replay" in workspace.run("install/gam_depth_ros/lib/gam_depth_ros/gam-depth --help")


def test_a_symlinked_workspace_follows_the_sources(symlinked):
    config = symlinked.installed / "share/gam_depth_ros/config/fastdds_loopback.xml"
    assert config.resolve() == symlinked.repo / "config/fastdds_loopback.xml"


def test_colcon_test_passes_in_both_workspaces(workspace):
    cases, said = workspace.test()
    assert "gam_depth_msgs" in said
    assert len(cases) >= 7
    assert not [case.get("name") for case in cases if len(case)]  # failures, errors, skips
