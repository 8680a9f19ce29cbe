"""The package as it is installed, and the real launch before it, where that can be imported."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).resolve().parents[2]
LAUNCHER = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [tuple(rule.split(":=", 1)) for rule in sys.argv[2:]]
service = LaunchService()
source = PythonLaunchDescriptionSource(sys.argv[1])
service.include_launch_description(IncludeLaunchDescription(source, launch_arguments=arguments))
sys.exit(service.run())
"""
EXECUTABLES = {
    "gam_depth_node": "gam_depth_ros.node",
    "bag_player": "gam_depth_ros.bag_player",
    "bag_recorder": "gam_depth_ros.bag_recorder",
    "gam-depth": "gam_depth_ros.cli",
}


class Installation:
    """A folder in the layout of colcon's install folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def share(self, package: str) -> Path:
        """Return a package's share folder, and make the package known."""
        index = self.folder / "share/ament_index/resource_index/packages" / package
        index.parent.mkdir(parents=True, exist_ok=True)
        index.touch()
        path = self.folder / "share" / package
        path.mkdir(parents=True, exist_ok=True)
        return path

    def executable(self, package: str, name: str, script: str) -> None:
        """Install a shell script as an executable of a package."""
        path = self.folder / "lib" / package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """The package as colcon installs it, at the head of AMENT_PREFIX_PATH."""
    # .actions: the launch folder of the repository would pass for the package.
    pytest.importorskip("launch.actions", reason="launch comes with apt, not from the index")
    pytest.importorskip("launch_ros.actions", reason="launch_ros comes with apt")
    made = Installation(tmp_path / "install")
    for folder in ("config", "launch"):
        shutil.copytree(REPO / folder, made.share("gam_depth_ros") / folder)
    for name, module in EXECUTABLES.items():
        made.executable("gam_depth_ros", name, f'exec "{sys.executable}" -m {module} "$@"')
    paths = [str(made.folder), os.environ.get("AMENT_PREFIX_PATH", "") or sys.prefix]
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(paths))
    return made


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A params file for drawn pictures, which are no rooms: unjudged, and each frame for itself."""
    from plain_pipeline import PLAIN_PARAMETERS

    path = tmp_path / "plain.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": PLAIN_PARAMETERS}}))
    return path


@pytest.fixture
def launch(installation: Installation, ros_domain: Any, tmp_path: Path) -> Iterator[Any]:
    """Start a launch file as a terminal does; Ctrl-C, to the whole group, ends it."""
    from ros_harness import environment

    running: list[subprocess.Popen[bytes]] = []
    log = tmp_path / "launch.log"

    def run(name: str = "gam_depth.launch.py", **arguments: Any) -> Path:
        path = installation.share("gam_depth_ros") / "launch" / name
        command = [sys.executable, "-c", LAUNCHER, str(path)]
        # launch's own patience, 5 s, is too short where a machine is busy with other things.
        given = {"sigterm_timeout": 30, **arguments}
        command += [f"{key}:={value}" for key, value in given.items()]
        with log.open("wb") as stream:
            running.append(
                subprocess.Popen(
                    command,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    env=environment(),
                    start_new_session=True,
                )
            )
        return log

    run.processes = running  # type: ignore[attr-defined]
    yield run
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        try:
            assert process.wait(45) == 0, log.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said = log.read_text()
        assert "process has finished cleanly" in said, said
        assert "escalating" not in said, said
