"""A recording through the live node: played, recorded with the outputs, scored at the end.

ros2 launch gam_depth_ros bag.launch.py bag:=PATH out:=DIRECTORY camera:=realsense
"""

import signal
from pathlib import Path
from typing import Any

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events import Shutdown, matches_action
from launch.events.process import ProcessExited, ProcessIO, SignalProcess
from launch.launch_context import LaunchContext
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage

from gam_depth_ros import launch_support, topics
from gam_depth_ros.camera_file import INPUTS, read_camera
from gam_depth_ros.launch_support import argument, source, value
from launch import LaunchDescription

RECORDED = (
    topics.DEPTH,
    topics.UNCERTAINTY,
    topics.SOURCE,
    topics.MASK,
    topics.CONFIDENCE,
    topics.SCALE,
)
READY = "active: waiting for"  # the node says so once it listens
# ros2 bag play has its topics at once and plays after this: time for the others to subscribe.
DELAY_S = 3.0
SETTLE_S = 2.5  # the last frames of a slow network, and the node's last report
ARGUMENTS = (
    ("out", "gam_depth_evaluation", "Directory for bag/, report.html and report.json."),
    ("rate", "1.0", "Speed; 2.0 plays twice as fast."),
    ("replace", "false", "Replace an earlier bag in out: true or false."),
    ("camera", "", "Camera file whose topics were recorded; see gam_depth.launch.py."),
    ("camera_base", "", "What the recorded topics have in common."),
    ("use_sim_time", "true", "Take the time from the recording: true or false."),
)


def start(context: LaunchContext) -> list[Any]:
    """Describe recorder and player, and what follows on what."""
    inputs = input_topics(context)
    outputs = [row.name.replace("~", node_name(context)) for row in RECORDED]
    played = [*inputs.values(), topics.TF_STATIC.name]
    recorder = record(context, [*played, *outputs])
    player = play(context, played, outputs)
    scored = evaluate(context, inputs)
    stop_recorder = EmitEvent(
        event=SignalProcess(signal_number=signal.SIGINT, process_matcher=matches_action(recorder))
    )
    started: list[bool] = []

    def on_output(event: ProcessIO) -> list[Any]:
        if started or READY not in event.text.decode(errors="replace"):
            return []
        started.append(True)
        return [player]

    def after_player(event: ProcessExited, _context: LaunchContext) -> list[Any]:
        return [TimerAction(period=SETTLE_S, actions=[stop_recorder])]

    def after_recorder(event: ProcessExited, _context: LaunchContext) -> list[Any]:
        # Without a recording there is nothing to score: the recorder has said why.
        return [scored] if event.returncode == 0 and started else [shutdown("nothing was recorded")]

    return [
        RegisterEventHandler(OnProcessIO(on_stdout=on_output, on_stderr=on_output)),
        RegisterEventHandler(OnProcessExit(target_action=player, on_exit=after_player)),
        RegisterEventHandler(OnProcessExit(target_action=recorder, on_exit=after_recorder)),
        RegisterEventHandler(OnProcessExit(target_action=scored, on_exit=[shutdown("scored")])),
        recorder,
    ]


def node_name(context: LaunchContext) -> str:
    """Return the node's absolute name."""
    return absolute(context, value(context, "name"))


def absolute(context: LaunchContext, name: str) -> str:
    """Return a name as the node resolves it."""
    space = value(context, "namespace").strip("/")
    return name if name.startswith("/") else "".join(f"/{part}" for part in (space, name) if part)


def input_topics(context: LaunchContext) -> dict[str, str]:
    """Return the recorded topics, absolute, by the keys of INPUTS."""
    camera = read_camera(value(context, "camera"), launch_support.share() / "config/cameras")
    given = {key: value(context, key) for key in INPUTS}
    names = camera.resolved(value(context, "camera_base"), given)
    if value(context, "image_transport") == "compressed":
        names["image"] = f"{names['image']}/compressed"
    return {key: absolute(context, name) for key, name in names.items()}


def record(context: LaunchContext, names: list[str]) -> Node:
    """Describe the recorder of inputs and outputs."""
    force = ["--force"] if value(context, "replace") == "true" else []
    bag = str(Path(value(context, "out")) / "bag")
    return Node(
        package="gam_depth_ros",
        executable="bag_recorder",
        name="bag_recorder",
        output="screen",
        arguments=["--out", bag, *force, "--topics", *dict.fromkeys(names)],
    )


def play(context: LaunchContext, inputs: list[str], outputs: list[str]) -> ExecuteProcess:
    """Describe the player."""
    bag, rate = value(context, "bag"), value(context, "rate")
    clock = ["--clock"] if value(context, "use_sim_time") == "true" else []
    inputs = list(dict.fromkeys(inputs))
    if value(context, "player") == "rosbag2":
        command = ["ros2", "bag", "play", bag, *clock, "--rate", rate, "--delay", str(DELAY_S)]
        return ExecuteProcess(cmd=[*command, "--topics", *inputs], output="screen", name="player")
    options = ["--bag", bag, *clock, "--rate", rate, "--topics", *inputs]
    # The node and the recorder; and the recorder has to hear the outputs.
    options += ["--subscribers", "2", "--wait-on", *outputs[:-1]]
    return Node(
        package="gam_depth_ros",
        executable="bag_player",
        name="bag_player",
        output="screen",
        arguments=options,
    )


def evaluate(context: LaunchContext, inputs: dict[str, str]) -> ExecuteProcess:
    """Describe the scoring of what was recorded."""
    out = value(context, "out")
    command = [ExecutableInPackage("gam-depth", "gam_depth_ros"), "evaluate", f"{out}/bag"]
    names = ["--image-topic", inputs["image"], "--depth-topic", inputs["reference_depth"]]
    return ExecuteProcess(
        cmd=[*command, "--recorded", "--out", out, *names], output="screen", name="evaluate"
    )


def shutdown(reason: str) -> EmitEvent:
    """Describe the end of everything."""
    return EmitEvent(event=Shutdown(reason=reason))


def generate_launch_description() -> LaunchDescription:
    """Start the node and the recorder, then the player, then the evaluation."""
    arguments = [
        DeclareLaunchArgument("bag", description="Recording to play."),
        argument(
            "player",
            "rosbag2",
            "rosbag2: ros2 bag play. gam_depth: this package's own, which takes ROS 1 bags and "
            "sequence folders too.",
            choices=["rosbag2", "gam_depth"],
        ),
        *(argument(*row) for row in ARGUMENTS),
    ]
    node = IncludeLaunchDescription(source("gam_depth_ros", "gam_depth.launch.py"))
    return LaunchDescription([*arguments, node, OpaqueFunction(function=start)])
