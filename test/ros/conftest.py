from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: the live graph is not tested")

import rclpy
import ros_harness
from plain_pipeline import PLAIN_PARAMETERS
from rclpy.parameter import Parameter
from tiny_model import write_tiny_model

from gam_depth_ros.node import GamDepthNode


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model: depth = 1 + 4 * mean / 255."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", ros_harness.SIZE_HW)


@pytest.fixture
def graph(ros_domain: Any) -> Iterator[ros_harness.Graph]:
    """A probe on a private domain."""
    probe = ros_harness.Graph(ros_domain.domain_id)
    yield probe
    probe.close()


@pytest.fixture
def start(graph: ros_harness.Graph, tiny_model: Path, tmp_path: Path) -> Iterator[Any]:
    """Start real nodes on the probe's domain; they are stopped at the end."""
    running: list[ros_harness.NodeProcess] = []

    def run(active: bool = True, **options: Any) -> ros_harness.NodeProcess:
        given = {"model_path": str(tiny_model), **PLAIN_PARAMETERS}
        parameters = {**given, **options.pop("parameters", {})}
        log = tmp_path / f"process_{len(running)}.log"
        process = ros_harness.NodeProcess(log, parameters, **options)
        running.append(process)
        if active:
            process.wait_for_line("active: waiting for")
        return process

    yield run
    for process in running:
        process.stop()
        sys.stdout.write(process.log)  # pytest shows it where the test failed


@pytest.fixture
def node(ros_domain: Any, tiny_model: Path) -> Iterator[GamDepthNode]:
    """The node in this process, unconfigured."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain.domain_id)
    settings = {"model_path": str(tiny_model), "autostart": False, **PLAIN_PARAMETERS}
    made = GamDepthNode(
        context=context,
        parameter_overrides=[Parameter(name, value=value) for name, value in settings.items()],
    )
    yield made
    made.destroy_node()
    rclpy.shutdown(context=context)
