"""The whole circle on one machine: recording -> live graph -> node -> recorded outputs -> report.

Node, player and recorder are processes of their own, as on a robot, on a private graph that only
this machine's loopback carries.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gam_depth_ros import live_graph, topics
from gam_depth_ros.evaluation.bag import sequence_to_bag
from gam_depth_ros.evaluation.bag_contents import BagError
from gam_depth_ros.evaluation.ros_types import COMPRESSED_IMAGE
from gam_depth_ros.evaluation.rosbag_reader import is_bag_directory, open_bag
from gam_depth_ros.evaluation.sequence_folder import is_sequence_folder
from gam_depth_ros.evaluation.topics import Topics, choose_topics

SEED, FRAMES, SIZE = 10, 120, "480x640"
NODE = "/gam_depth"
RECORDED = (topics.DEPTH, topics.UNCERTAINTY, topics.MASK, topics.CONFIDENCE, topics.SCALE)
POLL_S = 0.2
START_S = 60.0
# The node reports its final counts once a second; the recorder has to hear the last of them.
SETTLE_S = 2.5
HIGHEST_DOMAIN = 100  # above 101 Fast DDS would use ports that Linux hands out to others


class DemoError(BagError):
    """The demo cannot go on. The first line says why; what follows is the log's tail."""


@dataclass(frozen=True)
class Playable:
    """A bag, what it is called, the topics that matter in it, and whether images are compressed."""

    path: Path
    name: str
    chosen: Topics
    compressed: bool


def run_demo(bag: Path | None, out: Path, console: Console | None = None) -> Path:
    """Run the demo.

    Args:
        bag: A recording (bag or sequence folder); None renders a synthetic one.
        out: Where report.json, report.html, bag/ and logs/ go; replaced if there.
        console: Where progress is shown.

    Returns:
        The HTML report.

    Raises:
        DemoError: A part failed; its first line says which and why.
    """
    console = console or Console()
    started_s = time.monotonic()
    _clear(out)
    try:
        playable = _prepare(bag, out, console)
        _record_live(playable, out, console)
        command = [sys.executable, "-m", "gam_depth_ros.cli", "evaluate", str(out / "bag")]
        options = ["--recorded", f"--name={playable.name}", "--out", str(out)]
        _run("evaluate", [*command, *options], out, console)
    except (BagError, live_graph.GraphError) as error:
        raise DemoError(str(error)) from error
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    console.print(_table(report))
    console.print(_accounts(report), soft_wrap=True)
    for name in ("report.html", "report.json", "bag"):
        console.print(f"  {name:12} {out / name}")
    console.print(f"Done in {time.monotonic() - started_s:.0f} s.")
    return out / "report.html"


def _clear(out: Path) -> None:
    """Remove what an earlier demo left in ``out``, and nothing else that may lie there."""
    for name in ("bag", "logs", "recording"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in ("report.json", "report.html"):
        (out / name).unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)


def _prepare(bag: Path | None, out: Path, console: Console) -> Playable:
    if bag is None:
        bag = _render(out, console)
    name = bag.resolve().stem.removesuffix("_bag")
    if bag.is_dir() and is_sequence_folder(bag) and not is_bag_directory(bag):
        console.print(f"Writing {bag} as a bag")
        sequence_to_bag(bag, out / "recording")
        bag = out / "recording"
    opened = open_bag(bag)
    chosen = choose_topics(opened, Topics())
    assert chosen.image is not None
    return Playable(bag, name, chosen, opened.topics[chosen.image].msgtype == COMPRESSED_IMAGE)


def _render(out: Path, console: Console) -> Path:
    """Render a synthetic sequence in a process of its own: nothing here imports training."""
    tool = Path(sys.executable).with_name("gam-depth-train")
    if not tool.exists():
        raise DemoError(
            f"synthetic recording: got no {tool}, expected gam_depth_training to be installed; "
            "pip install ./training, or name a recording with --bag"
        )
    scratch = out / "recording"
    options = ["--sequences", "1", "--seed", str(SEED), "--frames", str(FRAMES), "--size", SIZE]
    command = [str(tool), "synth", "--out", str(scratch), *options, "--bag"]
    _run("render a synthetic recording", command, out, console)
    bags = [path for path in sorted(scratch.iterdir()) if is_bag_directory(path)]
    if not bags:
        raise DemoError(f"synthetic recording: got no bag in {scratch}, expected one; see logs")
    return bags[0]


def _record_live(playable: Playable, out: Path, console: Console) -> None:
    """Play the recording to the node and keep what it was played and what the node said."""
    environment = graph_environment()
    outputs = [topic.name.replace("~", NODE) for topic in RECORDED]
    inputs = list(playable.chosen.names())
    logs = out / "logs"
    with contextlib.ExitStack() as stack, _progress(console) as progress:

        def launch(name: str, module: str, *arguments: str) -> live_graph.Process:
            command = [sys.executable, "-m", f"gam_depth_ros.{module}", *arguments]
            stage = live_graph.Process(name, command, logs / f"{name}.log", environment)
            stack.callback(stage.kill)
            return stage

        progress("starting the node")
        node = launch("node", "node", "--ros-args", *_node_arguments(playable))
        node.wait_for("active: waiting for", START_S)
        available = outputs if _has_messages() else outputs[:-1]
        wanted = [*inputs, *available, *([f"{NODE}/status"] if _has_messages() else [])]
        recorder = launch(
            "recorder", "bag_recorder", "--out", str(out / "bag"), "--topics", *wanted
        )
        # Two subscribers, the node and the recorder; and the recorder has to hear the outputs.
        player = launch(
            "player", "bag_player", "--bag", str(playable.path), "--topics", *inputs,
            "--subscribers", "2", "--wait-on", *available,
        )  # fmt: skip
        while player.running():
            node.check()
            recorder.check()
            progress(f"live graph: {player.last_line()}")
            time.sleep(POLL_S)
        progress("waiting for the last frames")
        time.sleep(SETTLE_S)
        for stage in (recorder, node):
            stage.stop()
            stage.check()
    console.print(f"Live graph: {player.last_line()}; {recorder.last_line()}", soft_wrap=True)


def _node_arguments(playable: Playable) -> list[str]:
    chosen = playable.chosen
    image = topics.IMAGE_COMPRESSED if playable.compressed else topics.IMAGE
    names = {
        image.name: chosen.image,
        topics.CAMERA_INFO.name: chosen.camera_info,
        topics.REFERENCE_DEPTH.name: chosen.reference_depth,
        topics.REFERENCE_CAMERA_INFO.name: chosen.reference_camera_info,
        topics.ODOMETRY.name: chosen.odometry,
    }
    transport = "compressed" if playable.compressed else "raw"
    arguments = ["-p", f"image_transport:={transport}"]
    for ours, theirs in names.items():
        if theirs is not None:
            arguments += ["-r", f"{ours}:={theirs}"]
    return arguments


def graph_environment() -> dict[str, str]:
    """Return the environment of a private graph on this machine's loopback."""
    profile = str(live_graph.config_file("fastdds_loopback.xml"))
    environment = {
        **os.environ,
        "ROS_DOMAIN_ID": str(_free_domain()),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
        "FASTDDS_DEFAULT_PROFILES_FILE": profile,
        "FASTRTPS_DEFAULT_PROFILES_FILE": profile,
        "PYTHONUNBUFFERED": "1",
    }
    environment.pop("ROS_LOCALHOST_ONLY", None)
    return environment


def _free_domain() -> int:
    """Return a domain in which nobody on this machine is: the first participant's port is free."""
    domains = range(1, HIGHEST_DOMAIN + 1)
    first = os.getpid() % HIGHEST_DOMAIN
    for domain in (*domains[first:], *domains[:first]):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7410 + 250 * domain))
            except OSError:
                continue
            return domain
    raise live_graph.GraphError(
        f"ROS_DOMAIN_ID: got {HIGHEST_DOMAIN} domains in use, expected a free one; end other nodes"
    )


def _has_messages() -> bool:
    try:
        live_graph.message_class(topics.SCALE.interface)
    except live_graph.GraphError:
        return False
    return True


def _run(name: str, command: list[str], out: Path, console: Console) -> None:
    """Run one step to its end while its last line is shown."""
    stage = live_graph.Process(
        name, command, out / "logs" / f"{name.split()[0]}.log", dict(os.environ)
    )
    try:
        with _progress(console) as progress:
            progress(name)
            while stage.running():
                progress(f"{name}: {stage.last_line()}")
                time.sleep(POLL_S)
        stage.check()
    finally:
        stage.kill()


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[Any]:
    """Show one changing line; without a terminal, each step once."""
    started_s = time.monotonic()
    if not console.is_terminal:
        told: set[str] = set()

        def tell(text: str) -> None:
            step = text.split(":")[0]
            if step not in told:
                told.add(step)
                console.print(step)

        yield tell
        return
    with console.status("") as status:
        yield lambda text: status.update(f"{text} ({time.monotonic() - started_s:.0f} s)")


def _accounts(report: dict[str, Any]) -> str:
    frames, latency = report["frames"], report.get("latency_ms") or {}
    p50, p99 = (float("nan") if latency.get(k) is None else latency[k] for k in ("p50", "p99"))
    return (
        f"frames: {frames['in']} in, {frames['evaluated']} evaluated, {frames['dropped']} dropped, "
        f"{frames['failed']} failed; latency p50 {p50:.0f} ms, p99 {p99:.0f} ms"
    )


def _table(report: dict[str, Any]) -> Table:
    table = Table(title="What the node published, scored against the recording")
    for column in ("", "AbsRel", "RMSE (m)", "δ < 1.25"):
        table.add_column(column, justify="left" if not column else "right")
    rows = {
        "per_frame_median": "depth, scaled by each frame's median",
        "online_scale": "depth in metres, scale from earlier frames",
    }
    for key, label in rows.items():
        errors = (report.get("depth") or {}).get(key) or {}
        cells = [errors.get(name) for name in ("abs_rel", "rmse", "d1")]
        table.add_row(label, *("–" if cell is None else f"{cell:.3f}" for cell in cells))
    return table
