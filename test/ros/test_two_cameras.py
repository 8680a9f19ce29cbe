"""Two cameras, two nodes, one robot: each hears its own camera, and outlives the other."""

from __future__ import annotations

import signal

import numpy as np
from ros_harness import (
    SECOND_NS,
    SIZE_HW,
    diagnostic_values,
    grey,
    image_message,
    pixels,
)
from sensor_msgs.msg import Image

from gam_depth_ros import messages

# Own grey and own scale: what a node gives says whose picture it saw, with whose settings.
SIDES = {"left": (51, 2.0), "right": (204, 1.5)}


def metres(side: str) -> float:
    """What the tiny network, 1 + 4 * mean / 255, makes of that side's grey, with its scale."""
    value, scale = SIDES[side]
    return scale * (1 + 4 * value / 255)


def topic_of(side: str) -> str:
    return f"/{side}/gam_depth/depth/image"


def see(graph, side, frame):
    stamp_ns = frame * SECOND_NS + len(side)
    graph.send(f"/{side}/image", image_message(grey(SIDES[side][0]), stamp_ns, f"{side}_eye"))
    depth = graph.next(topic_of(side))
    assert messages.stamp_ns(depth.header) == stamp_ns
    assert depth.header.frame_id == f"{side}_eye"
    np.testing.assert_allclose(pixels(depth), np.full(SIZE_HW, metres(side)), rtol=1e-5)


def test_two_nodes_in_namespaces_see_each_its_camera_and_one_outlives_the_other(graph, start):
    nodes = {}
    for side, (_, scale) in SIDES.items():
        parameters = {"scale.source": "fixed", "scale.fixed_value": scale, "engine.threads": 1}
        nodes[side] = start(parameters=parameters, remap={"__ns": f"/{side}"})
        graph.listen(Image, topic_of(side))
        graph.wait_for_publisher(topic_of(side))
    for frame in range(1, 6):
        for side in SIDES:
            see(graph, side, frame)

    def reported() -> dict[str, dict[str, str]]:
        arrays = graph.received["/diagnostics"]
        return {array.status[0].name.split("/")[0]: diagnostic_values(array) for array in arrays}

    graph.received["/diagnostics"].clear()
    graph.spin_until(lambda: set(reported()) == set(SIDES), "a report of each node")
    assert {values["frames published"] for values in reported().values()} == {"5"}

    nodes["left"].stop(signal.SIGKILL)
    for frame in range(6, 9):
        see(graph, "right", frame)
    assert not graph.received[topic_of("left")]
