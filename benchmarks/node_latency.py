"""The node on a live graph: 640x480 at 30 Hz; latency to the last output, accounts, memory."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from gam_depth_ros.demo import graph_environment

os.environ.update(graph_environment())

import rclpy  # the profile is read with the first participant
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from gam_depth_ros import live_graph, messages
from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.model_file import default_model_path

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
OUTPUTS = ("depth/image", "depth/uncertainty", "semantics/mask", "semantics/confidence")
SIZE_HW = (480, 640)
WARM_UP_FRAMES = 15
DRAIN_S = 2.5


class Probe:
    """Plays the camera and times when the last output of each frame is there."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node("latency_probe")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.camera = self.node.create_publisher(Image, "/image", RELIABLE)
        self.info = self.node.create_publisher(CameraInfo, "/camera_info", RELIABLE)
        self.arrived: dict[int, list[int]] = {}
        self.status: Any = None
        for name in OUTPUTS:
            self.node.create_subscription(Image, f"/gam_depth/{name}", self._on_output, RELIABLE)
        if messages.PerceptionStatus is not None:
            self.node.create_subscription(
                messages.PerceptionStatus, "/gam_depth/status", self._on_status, RELIABLE
            )

    def _on_output(self, image: Image) -> None:
        self.arrived.setdefault(messages.stamp_ns(image.header), []).append(time.time_ns())

    def _on_status(self, status: Any) -> None:
        self.status = status

    def spin_for(self, seconds: float) -> None:
        """Take outputs in for a while."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left_s)

    def send(self, pixels: np.ndarray) -> int:
        """Publish one image stamped now and return its stamp."""
        now_ns = time.time_ns()
        self.camera.publish(messages.to_image(pixels, "rgb8", messages.to_header(now_ns, "camera")))
        return now_ns

    def first_output_s(self, pixels: np.ndarray, since_s: float, timeout_s: float = 30.0) -> float:
        """Send images until an output comes; returns the seconds since ``since_s``."""
        while not self.arrived:
            if time.monotonic() - since_s > timeout_s:
                raise live_graph.GraphError(f"first output: got none in {timeout_s:g} s")
            self.send(pixels)
            self.spin_for(0.05)
        return time.monotonic() - since_s

    def play(self, pictures: list[np.ndarray], rate_hz: float, seconds: float) -> list[int]:
        """Send images at a steady rate and return their stamps."""
        stamps = []
        started_s = time.monotonic()
        for index in range(round(rate_hz * seconds)):
            self.spin_for(max(0.0, started_s + index / rate_hz - time.monotonic()))
            stamps.append(self.send(pictures[index % len(pictures)]))
        self.spin_for(DRAIN_S)
        return stamps

    def latency_ms(self, stamps: list[int]) -> list[float]:
        """Return the time from stamp to last output of the frames whose outputs all came."""
        came = [stamp for stamp in stamps if len(self.arrived.get(stamp, [])) == len(OUTPUTS)]
        return [(max(self.arrived[stamp]) - stamp) / 1e6 for stamp in came]


def engine_alone_ms(model: Path, threads: int) -> float:
    """Return the median time of one inference on an idle graph."""
    engine = OnnxEngine(model, EngineConfig(threads=threads))
    batch = np.zeros((1, *engine.spec.input_size_hw, 3), np.uint8)
    times_ms = []
    for _ in range(40):
        started_ns = time.perf_counter_ns()
        engine.run(batch)
        times_ms.append((time.perf_counter_ns() - started_ns) / 1e6)
    return float(np.median(times_ms))


def measure(model: Path, rate_hz: float, seconds: float, threads: int, log: Path) -> None:
    """Run the node, play to it, print."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*SIZE_HW, 3), np.uint8) for _ in range(8)]
    alone_ms = engine_alone_ms(model, threads)
    arguments = ["-p", f"model_path:={model}", "-p", "scale.source:=fixed"]
    arguments += ["-p", f"engine.threads:={threads}"]
    # Reliable, so that every image sent is one the node has to account for.
    arguments += ["-p", "qos_overrides./image.subscription.reliability:=reliable"]
    command = [sys.executable, "-m", "gam_depth_ros.node", "--ros-args", *arguments]
    node = live_graph.Process("node", command, log, dict(os.environ))
    probe = Probe()
    try:
        node.wait_for("active: waiting for", 60.0)
        first_s = probe.first_output_s(pictures[0], time.monotonic())
        probe.play(pictures, rate_hz, WARM_UP_FRAMES / rate_hz)
        before, probe.status = probe.status, None
        stamps = probe.play(pictures, rate_hz, seconds)
        memory_mb = psutil.Process(node.pid).memory_info().rss / 1e6
        after = probe.status
        # One frame at a time, each with room to finish: what remains over the engine is the node's.
        apart_hz = min(rate_hz, 300.0 / max(alone_ms, 1.0))
        apart = probe.play(pictures, apart_hz, 30 / apart_hz)
    finally:
        node.stop()
        probe.executor.shutdown()
        probe.node.destroy_node()
        rclpy.shutdown()
    latency_ms, apart_ms = probe.latency_ms(stamps), probe.latency_ms(apart)
    p50, p99 = np.percentile(latency_ms, [50, 99])
    overhead_ms = float(np.median(apart_ms)) - alone_ms
    print(f"{SIZE_HW[1]}x{SIZE_HW[0]} at {rate_hz:g} Hz for {seconds:g} s, {threads} threads")
    print(
        f"on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, outputs: {', '.join(OUTPUTS)}"
    )
    print(f"latency, image stamp to last output    p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    print(f"engine alone                           p50 {alone_ms:.1f} ms")
    print(
        f"overhead of the node over the engine   {overhead_ms:.1f} ms, frames {apart_hz:.1f} a "
        f"second (aim: under {0.15 * alone_ms + 5.0:.1f} ms)"
    )
    print(f"frames sent {len(stamps)}, all outputs received {len(latency_ms)}")
    if before is not None and after is not None:
        came, out, dropped, failed = (
            getattr(after, f"frames_{name}") - getattr(before, f"frames_{name}")
            for name in ("in", "published", "dropped", "failed")
        )
        verdict = "adds up" if came == out + dropped + failed else "DOES NOT ADD UP"
        print(f"node: {came} in = {out} published + {dropped} dropped + {failed} failed: {verdict}")
        stages = zip(after.stage_names, after.stage_p50_ms, after.stage_p99_ms, strict=True)
        print("stages, p50 / p99 ms: " + ", ".join(f"{n} {a:.1f} / {b:.1f}" for n, a, b in stages))
    print(f"resident memory {memory_mb:.0f} MB (aim: under 700)")
    print(f"first output {first_s:.2f} s after activation (aim: under 3)")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=None, help="ONNX file; default: shipped")
    parser.add_argument("--rate", type=float, default=30.0, help="images a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long")
    parser.add_argument("--threads", type=int, default=2, help="engine threads")
    options = parser.parse_args()
    model = options.model or default_model_path()
    with tempfile.TemporaryDirectory(prefix="gam_depth_bench_") as scratch:
        measure(model, options.rate, options.seconds, options.threads, Path(scratch) / "node.log")


if __name__ == "__main__":
    main()
