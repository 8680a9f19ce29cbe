"""A private live graph for one test: the real node in its own process, a probe node in this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from gam_depth_ros import messages

REPOSITORY = Path(__file__).resolve().parents[1]
OPTICAL_FRAME = "camera_color_optical_frame"
SIZE_HW = (48, 64)
SECOND_NS = 1_000_000_000
RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)


def environment() -> dict[str, str]:
    """Return this test's environment for a child: the fixture ros_domain has set the graph."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(
            [str(REPOSITORY / "gam_depth_ros"), os.environ.get("PYTHONPATH", "")]
        ),
    }


class NodeProcess:
    """A module of gam_depth_ros run in a process of its own, its log in a file.

    Args:
        log: File for its output.
        parameters: ROS parameters by name.
        module: What to run.
        arguments: Command line before ``--ros-args``.
        remap: Topic names by the node's own names.
        env: Changes to the environment; None removes a variable.
    """

    def __init__(
        self,
        log: Path,
        parameters: dict[str, Any] | None = None,
        *,
        module: str = "gam_depth_ros.node",
        arguments: tuple[str, ...] = (),
        remap: dict[str, str] | None = None,
        env: dict[str, str | None] | None = None,
    ) -> None:
        command = [sys.executable, "-m", module, *arguments, "--ros-args"]
        for name, value in (parameters or {}).items():
            command += ["-p", f"{name}:={_yaml(value)}"]
        for name, value in (remap or {}).items():
            command += ["-r", f"{name}:={value}"]
        variables = environment()
        for name, changed in (env or {}).items():
            variables.pop(name, None)
            if changed is not None:
                variables[name] = changed
        self._log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                command, stdout=stream, stderr=subprocess.STDOUT, env=variables
            )

    @property
    def log(self) -> str:
        """Everything it has said so far."""
        return self._log.read_text(errors="replace")

    def lines(self, text: str) -> list[str]:
        """The log lines that contain a text."""
        return [line for line in self.log.splitlines() if text in line]

    def wait_for_line(self, text: str, timeout_s: float = 60.0) -> str:
        """Return the first log line with a text; fails with the log if it does not come."""
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            if found := self.lines(text):
                return found[0]
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        if found := self.lines(text):
            return found[0]
        raise AssertionError(f"no line with '{text}' in the log:\n{self.log}")

    def stop(self, number: int = signal.SIGINT, timeout_s: float = 30.0) -> int:
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end within {timeout_s} s:\n{self.log}") from None


def _yaml(value: Any) -> str:
    if value in ("on", "off", "yes", "no"):  # ROS reads YAML 1.1: without quotes these are bools
        return f"'{value}'"
    return str(value).lower() if isinstance(value, bool) else str(value)


class Graph:
    """The test's own node: publishes inputs, keeps every output."""

    def __init__(self, domain: int) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("probe", context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self.received: dict[str, list[Any]] = {}
        self._publishers: dict[str, Any] = {}
        self.listen(DiagnosticArray, "/diagnostics")

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def listen(self, interface: Any, topic: str, qos: QoSProfile = RELIABLE) -> list[Any]:
        """Keep everything that arrives on a topic, and return the growing list."""
        inbox: list[Any] = self.received.setdefault(topic, [])
        self.node.create_subscription(interface, topic, inbox.append, qos)
        return inbox

    def send(self, topic: str, message: Any) -> None:
        """Publish a message; the first on a topic waits for the node to listen."""
        if topic not in self._publishers:
            publisher = self.node.create_publisher(type(message), topic, RELIABLE)
            self._publishers[topic] = publisher
            self.spin_until(lambda: publisher.get_subscription_count() > 0, f"listener on {topic}")
            # Each side discovers the other by itself: the node may know a little later.
            self.spin(0.3)
        self._publishers[topic].publish(message)

    def spin(self, seconds: float) -> None:
        """Take messages in for a while."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(0.02, left_s))

    def spin_until(self, met: Callable[[], Any], what: str, timeout_s: float = 30.0) -> None:
        """Take messages in until a condition holds."""
        end_s = time.monotonic() + timeout_s
        while not met():
            assert time.monotonic() < end_s, f"waited {timeout_s} s in vain for: {what}"
            self._executor.spin_once(timeout_sec=0.02)

    def next(self, topic: str, timeout_s: float = 30.0) -> Any:
        """Return the oldest message on a topic that was not yet returned."""
        inbox = self.received[topic]
        self.spin_until(lambda: inbox, f"a message on {topic}", timeout_s)
        return inbox.pop(0)

    def call(self, interface: Any, service: str, request: Any, timeout_s: float = 30.0) -> Any:
        """Call a service and return its response."""
        client = self.node.create_client(interface, service)
        self.spin_until(client.service_is_ready, f"service {service}")
        future = client.call_async(request)
        self.spin_until(future.done, f"an answer of {service}", timeout_s)
        self.node.destroy_client(client)
        return future.result()

    def wait_for_publisher(self, topic: str) -> None:
        """Wait until the probe's subscription on a topic has a publisher."""
        self.spin_until(lambda: self.node.count_publishers(topic) > 0, f"publisher of {topic}")
        self.spin(0.2)

    def diagnostics_after(
        self, met: Callable[[dict[str, str]], bool], what: str, timeout_s: float = 30.0
    ) -> dict[str, str]:
        """Return the first diagnostics that meet a condition, as a dictionary."""
        found: dict[str, str] = {}

        def look() -> bool:
            for array in self.received["/diagnostics"]:
                values = diagnostic_values(array)
                if met(values):
                    found.update(values)
                    return True
            self.received["/diagnostics"].clear()
            return False

        self.spin_until(look, what, timeout_s)
        return found


def change_state(graph: Graph, transition: int, node: str = "/gam_depth") -> bool:
    """Ask for a lifecycle transition; returns whether it succeeded."""
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(graph.call(ChangeState, f"{node}/change_state", request).success)


def state(graph: Graph, node: str = "/gam_depth") -> str:
    """Return the lifecycle state's name."""
    response = graph.call(GetState, f"{node}/get_state", GetState.Request())
    return str(response.current_state.label)


def set_parameter(graph: Graph, name: str, value: Any, node: str = "/gam_depth") -> Any:
    """Set a parameter; returns the result with its reason."""
    message = Parameter(name, value=value).to_parameter_msg()
    request = SetParameters.Request(parameters=[message])
    return graph.call(SetParameters, f"{node}/set_parameters", request).results[0]


def diagnostic_values(array: DiagnosticArray) -> dict[str, str]:
    """Return a report's values, with its level and message under ``level`` and ``message``."""
    status = array.status[0]
    values = {entry.key: entry.value for entry in status.values}
    return {**values, "level": str(status.level[0]), "message": status.message}


def grey(value: int, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    """Return an evenly grey picture."""
    return np.full((*size_hw, 3), value, np.uint8)


def image_message(rgb: np.ndarray, stamp_ns: int, frame_id: str = OPTICAL_FRAME) -> Image:
    """Return an rgb8 image message."""
    return messages.to_image(rgb, "rgb8", messages.to_header(stamp_ns, frame_id))


def depth_message(depth_mm: np.ndarray, stamp_ns: int, frame_id: str = OPTICAL_FRAME) -> Image:
    """Return a 16UC1 depth message."""
    pixels = depth_mm.astype(np.uint16)
    return messages.to_image(pixels, "16UC1", messages.to_header(stamp_ns, frame_id))


def flat_depth(depth_mm: int, stamp_ns: int, **options: Any) -> Image:
    """Return a depth message with one distance everywhere."""
    return depth_message(np.full(SIZE_HW, depth_mm), stamp_ns, **options)


def compressed_message(data: bytes, stamp_ns: int, form: str = "jpeg") -> CompressedImage:
    """Return a compressed image message."""
    return CompressedImage(
        header=messages.to_header(stamp_ns, OPTICAL_FRAME), format=form, data=data
    )


def camera_info(
    size_hw: tuple[int, int] = SIZE_HW, focal_px: float = 50.0, stamp_ns: int = SECOND_NS
) -> CameraInfo:
    """Return a pinhole calibration with its centre in the middle."""
    height, width = size_hw
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return CameraInfo(
        header=messages.to_header(stamp_ns, OPTICAL_FRAME),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[focal_px, 0.0, cx, 0.0, focal_px, cy, 0.0, 0.0, 1.0 if focal_px else 0.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal_px, 0.0, cx, 0.0, 0.0, focal_px, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def pixels(message: Image) -> np.ndarray:
    """Return the pixels of an output image; its row length must be exact."""
    dtype = {"32FC1": np.float32, "16UC1": np.uint16, "mono8": np.uint8, "rgb8": np.uint8}
    kind = np.dtype(dtype[message.encoding])
    shape = (message.height, message.width, *((3,) if message.encoding == "rgb8" else ()))
    assert message.step == message.width * kind.itemsize * (3 if len(shape) == 3 else 1)
    return np.frombuffer(message.data, kind).reshape(shape)
