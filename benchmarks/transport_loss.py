"""How many camera images arrive in another process, with and without the Fast DDS profile.

A publisher sends colour (rgb8) and depth (16UC1) of 640×480 at 30 Hz, as a camera driver does; a
subscriber in a process of its own, with the sensor-data QoS of the node or reliable, counts. Run::

    python benchmarks/transport_loss.py --seconds 20
"""

from __future__ import annotations

import argparse
import array
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

PROFILE = Path(__file__).resolve().parents[1] / "config" / "fastdds_loopback.xml"
VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
STREAMS = {"color": ("rgb8", 3), "depth": ("16UC1", 2)}
HEIGHT, WIDTH, RATE_HZ = 480, 640, 30.0
DOMAIN = 77


def quality(name: str) -> QoSProfile:
    """Return best effort as sensors use it, or reliable, with the depth of sensor data."""
    return QoSProfile(depth=5, reliability=ReliabilityPolicy[name])


def publish(seconds: float) -> None:
    """Send both streams for a while, then end."""
    node = rclpy.create_node("transport_publisher")
    publishers = {n: node.create_publisher(Image, n, quality("RELIABLE")) for n in STREAMS}
    messages = {}
    for name, (encoding, pixel_bytes) in STREAMS.items():
        message = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=WIDTH * pixel_bytes)
        message.data = array.array("B", bytes(HEIGHT * WIDTH * pixel_bytes))
        messages[name] = message
    while any(p.get_subscription_count() == 0 for p in publishers.values()):
        time.sleep(0.1)
    time.sleep(1.0)  # each side discovers the other by itself
    next_s = time.monotonic()
    for _ in range(round(seconds * RATE_HZ)):
        for name, publisher in publishers.items():
            messages[name].header.stamp = node.get_clock().now().to_msg()
            publisher.publish(messages[name])
        next_s += 1.0 / RATE_HZ
        time.sleep(max(0.0, next_s - time.monotonic()))
    time.sleep(1.0)


def receive(seconds: float, reliability: str) -> dict[str, list[float]]:
    """Return how old each image was when it arrived, in milliseconds, by stream."""
    node = rclpy.create_node("transport_subscriber")
    ages_ms: dict[str, list[float]] = {name: [] for name in STREAMS}

    def hear(name: str, message: Image) -> None:
        stamp = message.header.stamp
        now_ns = node.get_clock().now().nanoseconds
        ages_ms[name].append((now_ns - stamp.sec * 10**9 - stamp.nanosec) / 1e6)

    for name in STREAMS:
        node.create_subscription(
            Image, name, lambda message, name=name: hear(name, message), quality(reliability)
        )
    child = subprocess.Popen([sys.executable, __file__, "--publish", "--seconds", str(seconds)])
    while child.poll() is None:
        rclpy.spin_once(node, timeout_sec=0.05)
    return ages_ms


def run_case(seconds: float, reliability: str, profile: bool) -> str:
    """Measure one case in fresh processes; return its line."""
    environment = {**os.environ, "ROS_DOMAIN_ID": str(DOMAIN)}
    for name in VARIABLES:
        environment.pop(name, None)
        if profile:
            environment[name] = str(PROFILE)
    if not profile:
        environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    command = [sys.executable, __file__, "--receive", reliability, "--seconds", str(seconds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--publish", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--receive", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.publish and not options.receive:
        for reliability in ("BEST_EFFORT", "RELIABLE"):
            for profile in (False, True):
                said = run_case(options.seconds, reliability, profile)
                print(f"{reliability:11} {'profile' if profile else 'default':8} {said}")
        return
    rclpy.init()
    if options.publish:
        publish(options.seconds)
    else:
        sent = round(options.seconds * RATE_HZ)
        for name, ages_ms in receive(options.seconds, options.receive).items():
            p50, p99 = np.percentile(ages_ms, [50, 99]) if ages_ms else (np.nan, np.nan)
            print(f"{name}: {len(ages_ms)} of {sent}, {p50:.1f} / {p99:.1f} ms", end="   ")
    rclpy.shutdown()


if __name__ == "__main__":
    main()
