"""The node on a live graph at 640x480: latency to the last output, accounts, memory.

Latency runs from an image's stamp, set just before it is published, to the receipt of its last
output. The camera and the listener share one process and two cores with the node, so they do as
little as a program in Python can: images are built beforehand and only stamped, and outputs are
taken as serialised bytes of which only the stamp is read. What a robot's own listeners do with
the outputs is not in these figures.

First frames come one at a time, with room to finish, and the engine alone runs between them, so
that whatever else the machine does weighs on both: what remains over the engine is the node's.
Then images come faster than the node can take them, and every one has to be accounted for.
"""

from __future__ import annotations

import argparse
import os
import struct
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from gam_depth_ros.demo import graph_environment

os.environ.update(graph_environment())

import rclpy  # the profile is read with the first participant
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from slow_seconds import slowest_seconds

from gam_depth_ros import live_graph, memory, messages
from gam_depth_ros.core.config import EngineConfig
from gam_depth_ros.core.engine import OnnxEngine
from gam_depth_ros.core.model_file import default_model_path
from gam_depth_ros.core.pipeline import STAGES

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
OUTPUTS = ("depth/image", "depth/uncertainty", "semantics/mask", "semantics/confidence")
SIZE_HW = (480, 640)
PICTURES = 8
WARM_UP_FRAMES = 15
APART_FRAMES = 40
APART_S = 0.3
DRAIN_S = 2.5
SLOWEST = 5
# A serialised message opens with four bytes that tell its layout, an Image then with its stamp.
STAMP = struct.Struct("<iI")
STAMP_AT = 4


class Probe:
    """Plays the camera and times when the last output of each frame is there."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node("latency_probe")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.camera = self.node.create_publisher(Image, "/image", RELIABLE)
        rng = np.random.default_rng(0)
        self._images = [
            messages.to_image(
                rng.integers(0, 256, (*SIZE_HW, 3), np.uint8), "rgb8", messages.to_header(0, "")
            )
            for _ in range(PICTURES)
        ]
        self.arrived: dict[int, list[int]] = {}
        self.status: Any = None
        for name in OUTPUTS:
            self.node.create_subscription(
                Image, f"/gam_depth/{name}", self._on_output, RELIABLE, raw=True
            )
        if messages.PerceptionStatus is not None:
            self.node.create_subscription(
                messages.PerceptionStatus, "/gam_depth/status", self._on_status, RELIABLE
            )

    def _on_output(self, data: bytes) -> None:
        now_ns = time.time_ns()
        sec, nanosec = STAMP.unpack_from(data, STAMP_AT)
        self.arrived.setdefault(sec * 1_000_000_000 + nanosec, []).append(now_ns)

    def _on_status(self, status: Any) -> None:
        self.status = status

    def spin_for(self, seconds: float) -> None:
        """Take outputs in for a while."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left_s)

    def send(self, index: int) -> int:
        """Publish one image stamped now and return its stamp."""
        image = self._images[index % PICTURES]
        now_ns = time.time_ns()
        image.header = messages.to_header(now_ns, "camera")
        self.camera.publish(image)
        return now_ns

    def first_output_s(self, timeout_s: float = 30.0) -> float:
        """Send images until an output comes; returns the seconds it took."""
        started_s = time.monotonic()
        while not self.arrived:
            if time.monotonic() - started_s > timeout_s:
                raise live_graph.GraphError(f"first output: got none in {timeout_s:g} s")
            self.send(0)
            self.spin_for(0.05)
        return time.monotonic() - started_s

    def play(self, rate_hz: float, frames: int) -> list[int]:
        """Send images at a steady rate and return their stamps."""
        stamps = []
        started_s = time.monotonic()
        for index in range(frames):
            self.spin_for(max(0.0, started_s + index / rate_hz - time.monotonic()))
            stamps.append(self.send(index))
        self.spin_for(DRAIN_S)
        return stamps

    def play_apart(self, engine: OnnxEngine) -> tuple[list[int], list[float]]:
        """Take turns: the engine alone here, then one image to the node.

        Returns:
            The images' stamps and the engine's times, milliseconds.
        """
        batch = np.zeros((1, *engine.spec.input_size_hw, 3), np.uint8)
        stamps, alone_ms = [], []
        for index in range(APART_FRAMES):
            started_ns = time.perf_counter_ns()
            engine.run(batch)
            alone_ms.append((time.perf_counter_ns() - started_ns) / 1e6)
            stamps.append(self.send(index))
            self.spin_for(APART_S)
        self.spin_for(DRAIN_S)
        return stamps, alone_ms

    def latency_ms(self, stamps: list[int]) -> list[float]:
        """Return the time from stamp to last output of the frames whose outputs all came."""
        came = [stamp for stamp in stamps if len(self.arrived.get(stamp, [])) == len(OUTPUTS)]
        return [(max(self.arrived[stamp]) - stamp) / 1e6 for stamp in came]

    def close(self) -> None:
        """Leave the graph."""
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown()


@dataclass(frozen=True)
class Measurement:
    """What was seen. Times in ms; statuses are PerceptionStatus messages or None.

    Attributes:
        alone_ms: The engine by itself, between the frames apart.
        apart_ms: Latency of the frames that came one at a time.
        apart: Status after them.
        sent: Images sent at full rate.
        latency_ms: Latency of those whose outputs all came.
        before: Status before the full rate.
        after: Status after it.
        memory_mb: The node's resident memory.
        first_s: From activation to the first output, seconds.
        slowest: The slowest seconds as the node's own log tells them.
    """

    alone_ms: list[float]
    apart_ms: list[float]
    apart: Any
    sent: int
    latency_ms: list[float]
    before: Any
    after: Any
    memory_mb: float
    first_s: float
    slowest: list[str]


def measure(model: Path, rate_hz: float, seconds: float, threads: int, into: Path) -> Measurement:
    """Run the node and play to it."""
    log, performance = into / "node.log", into / "performance.jsonl"
    engine = OnnxEngine(model, EngineConfig(threads=threads))
    arguments = ["-p", f"model_path:={model}", "-p", "scale.source:=fixed"]
    arguments += ["-p", f"engine.threads:={threads}", "-p", f"performance_log.path:={performance}"]
    # Reliable, so that every image sent is one the node has to account for.
    arguments += ["-p", "qos_overrides./image.subscription.reliability:=reliable"]
    command = [sys.executable, "-m", "gam_depth_ros.node", "--ros-args", *arguments]
    node = live_graph.Process("node", command, log, dict(os.environ))
    probe = Probe()
    memory.spare_what_is_loaded()  # a collection here would be counted as the node's
    try:
        node.wait_for("active: waiting for", 60.0)
        first_s = probe.first_output_s()
        one_by_one, alone_ms = probe.play_apart(engine)
        apart = probe.status
        probe.play(rate_hz, WARM_UP_FRAMES)
        before, probe.status = probe.status, None
        stamps = probe.play(rate_hz, round(rate_hz * seconds))
        memory_mb = psutil.Process(node.pid).memory_info().rss / 1e6
    finally:
        node.stop()
        probe.close()
    return Measurement(
        alone_ms,
        probe.latency_ms(one_by_one),
        apart,
        len(stamps),
        probe.latency_ms(stamps),
        before,
        probe.status,
        memory_mb,
        first_s,
        slowest_seconds(performance, SLOWEST, stamps[0]),
    )


def report(seen: Measurement) -> None:
    """Print a measurement."""
    alone_ms, apart_ms = float(np.median(seen.alone_ms)), float(np.median(seen.apart_ms))
    p50, p99 = np.percentile(seen.latency_ms, [50, 99])
    print(f"one frame at a time, {len(seen.apart_ms)} frames")
    print(f"  engine alone                         p50 {alone_ms:.1f} ms")
    print(f"  latency, image stamp to last output  p50 {apart_ms:.1f} ms")
    print(
        f"  overhead of the node over the engine {apart_ms - alone_ms:.1f} ms "
        f"(aim: under {0.15 * alone_ms + 5.0:.1f} ms)"
    )
    if seen.apart is not None:
        of_stages_ms = pipeline_ms(seen.apart)
        print(
            f"    of it the pipeline's other stages {of_stages_ms:.1f} ms, the node itself "
            f"{apart_ms - alone_ms - of_stages_ms:.1f} ms: transport, decoding, publishing, waits"
        )
    print(f"  {stages(seen.apart)}")
    print(f"at full rate, {seen.sent} frames sent, all outputs received of {len(seen.latency_ms)}")
    print(f"  latency, image stamp to last output  p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    if seen.before is not None and seen.after is not None:
        came, out, dropped, failed = (
            getattr(seen.after, f"frames_{name}") - getattr(seen.before, f"frames_{name}")
            for name in ("in", "published", "dropped", "failed")
        )
        verdict = "adds up" if came == out + dropped + failed else "DOES NOT ADD UP"
        print(
            f"  node: {came} in = {out} published + {dropped} dropped + {failed} failed: {verdict}"
        )
        print(
            "  by the node's own account, stamp to last publish, lately "
            f"p50 {seen.after.latency_p50_ms:.1f} ms, p99 {seen.after.latency_p99_ms:.1f} ms"
        )
    print(f"  {stages(seen.after)}")
    print("\n    ".join(["  the slowest seconds of it, from the node's log", *seen.slowest]))
    print(f"resident memory {seen.memory_mb:.0f} MB (aim: under 700)")
    print(f"first output {seen.first_s:.2f} s after activation (aim: under 3)")


def pipeline_ms(status: Any) -> float:
    """Return what the pipeline's stages take beside the engine, medians added up."""
    times_ms = dict(zip(status.stage_names, status.stage_p50_ms, strict=True))
    return sum(times_ms.get(name, 0.0) for name in STAGES if name != "engine")


def stages(status: Any) -> str:
    """Write the node's own account of its stages on one line."""
    if status is None:
        return "stages: unknown, gam_depth_msgs is not installed"
    rows = zip(status.stage_names, status.stage_p50_ms, status.stage_p99_ms, strict=True)
    return "stages, p50 / p99 ms: " + ", ".join(f"{n} {a:.1f} / {b:.1f}" for n, a, b in rows)


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=None, help="ONNX file; default: shipped")
    parser.add_argument("--rate", type=float, default=30.0, help="images a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long at that rate")
    parser.add_argument("--threads", type=int, default=2, help="engine threads")
    options = parser.parse_args()
    model = options.model or default_model_path()
    print(
        f"{SIZE_HW[1]}x{SIZE_HW[0]}, {options.rate:g} Hz for {options.seconds:g} s, "
        f"{options.threads} threads on {os.cpu_count()} cores"
    )
    print(f"outputs: {', '.join(OUTPUTS)}")
    with tempfile.TemporaryDirectory(prefix="gam_depth_bench_") as scratch:
        seen = measure(model, options.rate, options.seconds, options.threads, Path(scratch))
    print(f"load {os.getloadavg()[0]:.1f}")
    report(seen)


if __name__ == "__main__":
    main()
