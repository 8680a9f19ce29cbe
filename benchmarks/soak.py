"""The node for half an hour under a camera of 30 Hz: memory, descriptors, threads, accounts.

The node runs in its own process with the shipped model and its defaults; this process is camera
and listener. Images, sensor depth and calibration of a recording are sent again and again, stamped
anew, at the recording's size (640x480). Every ten seconds a JSON line is written, at the end a
verdict and a plot. Images travel reliably, so that every one sent is one to be accounted for:
published, dropped for a stated reason, or failed. Exit status 1 where the verdict is not good.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from gam_depth_ros.demo import graph_environment

os.environ.update(graph_environment())

import rclpy  # the profile is read with the first participant
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from soak_report import draw, judge, write_verdict

from gam_depth_ros import live_graph, messages
from gam_depth_ros.evaluation.sequence_folder import FolderRecording

RELIABLE = QoSProfile(depth=60, reliability=ReliabilityPolicy.RELIABLE)
NODE = "/gam_depth"
OUTPUTS = ("depth/image", "depth/uncertainty", "semantics/mask", "semantics/confidence")
SAMPLE_S = 10.0
SETTLE_S = 60.0
SIZE_HW = (480, 640)
PICTURES = 60  # of a recording; they stay in memory
NS_PER_S = 1_000_000_000


def recorded(path: Path | None) -> list[tuple[Image, Image | None]]:
    """Return images with their depth, where a frame has one; None gives noise before a wall."""
    head = messages.to_header(0, "camera")
    if path is None:
        rng = np.random.default_rng(0)
        wall = messages.to_image(np.full(SIZE_HW, 2000, np.uint16), "16UC1", head)
        noise = (rng.integers(0, 256, (*SIZE_HW, 3), np.uint8) for _ in range(8))
        return [(messages.to_image(picture, "rgb8", head), wall) for picture in noise]
    pairs = []
    for frame in FolderRecording(path).frames():
        depth = None
        if frame.reference is not None:
            depth = messages.to_depth_image(frame.reference.depth_m, "16UC1", head)
        pairs.append((messages.to_image(frame.rgb, "rgb8", head), depth))
        if len(pairs) == PICTURES:
            break
    return pairs


def calibration() -> CameraInfo:
    """Return a pinhole of 60 degrees."""
    (height, width), focal = SIZE_HW, 554.0
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return CameraInfo(
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


class Rig:
    """Camera and listener: outputs are taken as bytes and counted, of the status the newest kept.

    Args:
        frames: What the camera sends, over and over.
        rate_hz: How often.
    """

    def __init__(self, frames: list[tuple[Image, Image | None]], rate_hz: float) -> None:
        rclpy.init()
        self._node = rclpy.create_node("soak")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._frames = frames
        self._info = calibration()
        self._period_s = 1.0 / rate_hz
        publish = self._node.create_publisher
        self._image = publish(Image, "/image", RELIABLE)
        self._depth = publish(Image, "/reference_depth", RELIABLE)
        self._camera_info = publish(CameraInfo, "/camera_info", RELIABLE)
        self.sent = self.beats_missed = 0
        self.received = dict.fromkeys(OUTPUTS, 0)
        self.status: Any = None
        for name in OUTPUTS:
            self._node.create_subscription(
                Image, f"{NODE}/{name}", self._counter(name), RELIABLE, raw=True
            )
        self._node.create_subscription(
            messages.PerceptionStatus, f"{NODE}/status", self._on_status, RELIABLE
        )

    def _counter(self, name: str) -> Any:
        def on_output(_data: bytes) -> None:
            self.received[name] += 1

        return on_output

    def _on_status(self, status: Any) -> None:
        self.status = status

    def spin_until_s(self, end_s: float) -> None:
        """Take messages in until a moment of the monotonic clock."""
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def meet(self, timeout_s: float = 60.0) -> None:
        """Wait until node and rig know each other; raises GraphError where they do not."""
        end_s = time.monotonic() + timeout_s
        while self.status is None or self._image.get_subscription_count() == 0:
            if time.monotonic() > end_s:
                raise live_graph.GraphError(f"node: got none in {timeout_s:g} s, expected one")
            self.spin_until_s(time.monotonic() + 0.1)
        self.spin_until_s(time.monotonic() + 2.0)  # each side discovers the other by itself

    def send(self) -> None:
        """Publish one instant, stamped now."""
        image, depth = self._frames[self.sent % len(self._frames)]
        head = messages.to_header(time.time_ns(), "camera")
        if depth is not None:
            depth.header = head
            self._depth.publish(depth)
        image.header = self._info.header = head
        self._camera_info.publish(self._info)
        self._image.publish(image)
        self.sent += 1

    def play(self, seconds: float, every_s: float, sample: Any) -> None:
        """Send at the rate, and take a sample every so often; beats missed are counted."""
        now_s = time.monotonic()
        end_s, due_s, sample_s = now_s + seconds, now_s, now_s
        while now_s < end_s:
            self.send()
            if now_s >= sample_s:
                sample()
                sample_s += every_s
            due_s += self._period_s
            late = max(0, math.floor((time.monotonic() - due_s) / self._period_s))
            self.beats_missed += late
            due_s += late * self._period_s
            self.spin_until_s(due_s)
            now_s = time.monotonic()

    def settle(self) -> None:
        """Wait until the node has told of the last image."""
        end_s = time.monotonic() + SETTLE_S
        while time.monotonic() < end_s:
            self.spin_until_s(time.monotonic() + 1.0)
            done = (self.status.frames_published, self.status.frames_dropped)
            if self.status.frames_in == sum(done) + self.status.frames_failed >= self.sent:
                return

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()


def process_facts(pid: int) -> dict[str, Any]:
    """Read a process's memory (MB), descriptors, threads and shared-memory files from /proc."""
    root = Path(f"/proc/{pid}")
    rows = (line.split(":", 1) for line in (root / "status").read_text().splitlines())
    told = {name: value.strip() for name, value in rows}
    maps = (root / "maps").read_text().splitlines()
    shared = {line.split(maxsplit=5)[-1] for line in maps if "/dev/shm/" in line}
    sizes = [Path(name).stat().st_size for name in shared if Path(name).exists()]
    return {
        "rss_mb": int(told["VmRSS"].split()[0]) / 1e3,
        "anonymous_mb": int(told["RssAnon"].split()[0]) / 1e3,
        "fds": len(list((root / "fd").iterdir())),
        "threads": int(told["Threads"]),
        "shm_files": len(shared),
        "shm_mb": sum(sizes) / 1e6,
    }


def status_facts(status: Any) -> dict[str, Any]:
    """Return what the node says of its frames."""
    names = ("in", "published", "dropped", "failed", "idle")
    return {
        **{f"frames_{name}": getattr(status, f"frames_{name}") for name in names},
        "drops": dict(zip(status.drop_reasons, map(int, status.drop_counts), strict=True)),
        "engines_replaced": status.engines_replaced,
        "level": status.level,
        "health": status.health,
        "rate_out_hz": status.rate_out_hz,
        "latency_ms": [status.latency_p50_ms, status.latency_p99_ms],
        "scale_state": status.scale_state,
    }


def soak(options: argparse.Namespace) -> bool:
    """Run it; returns whether the verdict is good."""
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    settings = {
        "performance_log.path": out / "performance.jsonl",
        "qos_overrides./image.subscription.reliability": "reliable",
        "qos_overrides./image.subscription.depth": RELIABLE.depth,
    }
    if options.model is not None:
        settings["model_path"] = options.model
    if options.threads:
        settings["engine.threads"] = options.threads
    arguments = [part for row in settings.items() for part in ("-p", "{}:={}".format(*row))]
    command = [sys.executable, "-m", "gam_depth_ros.node", "--ros-args", *arguments]
    node = live_graph.Process("node", command, out / "node.log", dict(os.environ))
    rig = Rig(recorded(options.recording), options.rate)
    samples: list[dict[str, Any]] = []
    with (out / "samples.jsonl").open("w", encoding="utf-8") as stream:
        started_s = time.monotonic()

        def sample() -> None:
            samples.append(
                {
                    "at_s": round(time.monotonic() - started_s, 2),
                    "sent": rig.sent,
                    "beats_missed": rig.beats_missed,
                    "received": dict(rig.received),
                    "load": os.getloadavg()[0],
                    **process_facts(node.pid),
                    **status_facts(rig.status),
                }
            )
            stream.write(json.dumps(samples[-1]) + "\n")
            stream.flush()

        try:
            node.wait_for("active: waiting for", 120.0)
            rig.meet()
            rig.play(60.0 * options.minutes, options.every, sample)
            rig.settle()
            sample()
        finally:
            node.stop()
            rig.close()
    log = (out / "node.log").read_text(encoding="utf-8", errors="replace")
    checks = judge(samples, log)
    draw(samples, out / "soak.png")
    return write_verdict(checks, samples, out / "verdict.json")


def main() -> int:
    """Read the command line, run, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="how long")
    parser.add_argument("--rate", type=float, default=30.0, help="images a second")
    parser.add_argument("--every", type=float, default=SAMPLE_S, help="seconds between samples")
    parser.add_argument("--model", type=Path, default=None, help="ONNX file; default: shipped")
    parser.add_argument("--threads", type=int, default=0, help="of the engine; default: the node's")
    parser.add_argument(
        "--recording", type=Path, default=None, help="sequence folder; default: noise and a wall"
    )
    parser.add_argument("--out", type=Path, default=Path("out/soak"), help="where the results go")
    return 0 if soak(parser.parse_args()) else 1


if __name__ == "__main__":
    sys.exit(main())
