"""Quality of service: overridden for every topic, and a misfit named on both sides."""

from __future__ import annotations

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_harness import RELIABLE, SECOND_NS, flat_depth, grey, image_message
from sensor_msgs.msg import Image

from gam_depth_ros import outputs, topics

BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
DEPTH = "/gam_depth/depth/image"


def full_name(topic):
    name = topic.name
    return name if name.startswith("/") else f"/{name}".replace("/~", "/gam_depth")


def test_every_topic_follows_its_override(graph, start):
    rows = [(row, "subscription") for row in topics.INPUTS if row is not topics.IMAGE_COMPRESSED]
    rows += [(row, "publisher") for row in topics.OUTPUTS]
    rows = [row for row in rows if outputs.INTERFACES[row[0].interface] is not None]
    # What is reliable by default is made best effort, and the other way round.
    asked = {
        f"qos_overrides.{full_name(row)}.{entity}.reliability": (
            "reliable" if row.qos == topics.SENSOR_DATA else "best_effort"
        )
        for row, entity in rows
    }
    start(parameters=asked)

    # The graph tells of an end before it tells whose it is.
    def ends_of(row, entity):
        look = graph.node.get_publishers_info_by_topic
        if entity == "subscription":
            look = graph.node.get_subscriptions_info_by_topic
        found = look(full_name(row))
        return [info.qos_profile for info in found if info.node_name == "gam_depth"]

    graph.spin_until(lambda: all(ends_of(*row) for row in rows), "every end of the node")
    found = {}
    for row, entity in rows:
        name, ends = full_name(row), ends_of(row, entity)
        assert len(ends) == 1, name
        found[f"qos_overrides.{name}.{entity}.reliability"] = ends[0].reliability.name.lower()
        if row.qos == topics.LATCHED:
            assert ends[0].durability == DurabilityPolicy.TRANSIENT_LOCAL, name
    assert found == asked


@pytest.mark.parametrize("side", ["publisher", "subscription"])
def test_a_misfit_is_named_in_the_log_and_diagnostics_until_it_is_gone(graph, start, side):
    if side == "subscription":
        # Ours is reliable, the camera is best effort.
        node = start(parameters={"qos_overrides./image.subscription.reliability": "reliable"})
        mine = graph.node.create_publisher(Image, "/image", BEST_EFFORT)
        pair = "/image: /probe to /gam_depth: offers best_effort, reliable is asked for"
    else:
        # Ours is best effort, the consumer insists.
        node = start(parameters={f"qos_overrides.{DEPTH}.publisher.reliability": "best_effort"})
        mine = graph.node.create_subscription(Image, DEPTH, lambda _: None, RELIABLE)
        pair = f"{DEPTH}: /gam_depth to /probe: offers best_effort, reliable is asked for"
    report = graph.diagnostics_after(lambda v: pair in v["message"], "a word on it")
    assert report["level"] == "1"
    assert "nothing arrives" in node.wait_for_line(pair)
    destroy = graph.node.destroy_subscription if side == "publisher" else (
        graph.node.destroy_publisher
    )  # fmt: skip
    destroy(mine)
    graph.received["/diagnostics"].clear()
    graph.diagnostics_after(lambda v: pair not in v["message"], "silence on it")
    # A peer whose name the graph does not know yet is "a node".
    assert len([line for line in node.lines("nothing arrives") if pair in line]) == 1


def test_a_misfit_of_others_is_not_ours(graph, start):
    start()
    graph.node.create_publisher(Image, "/elsewhere", BEST_EFFORT)
    graph.node.create_subscription(Image, "/elsewhere", lambda _: None, RELIABLE)
    graph.listen(Image, DEPTH)
    graph.wait_for_publisher(DEPTH)
    graph.send("/image", image_message(grey(102), SECOND_NS))
    graph.send("/reference_depth", flat_depth(1300, SECOND_NS))
    graph.spin(1.2)
    report = graph.diagnostics_after(lambda v: v["frames published"] == "1", "a frame")
    assert report["level"] == "0"
