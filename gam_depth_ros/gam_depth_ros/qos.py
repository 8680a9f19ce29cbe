"""Quality of service of each topic, with the overrides that ROS parameters give.

The names are rclpy's: ``qos_overrides.<topic>.<publisher|subscription>.<policy>``. rclpy's own
QoSOverridingOptions raise half way through creating an entity; here every value is checked first.
"""

from __future__ import annotations

import itertools
from typing import Any

from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.exceptions import (
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
)
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
    qos_profile_system_default,
)

from gam_depth_ros import topics
from gam_depth_ros.input_watch import Endpoint, mismatch
from gam_depth_ros.topics import Topic

PUBLISHER, SUBSCRIPTION = "publisher", "subscription"
DEEPEST = 10_000
LATCHED_HEARD = 100
_CHOICES = {
    "reliability": {
        "system_default": ReliabilityPolicy.SYSTEM_DEFAULT,
        "reliable": ReliabilityPolicy.RELIABLE,
        "best_effort": ReliabilityPolicy.BEST_EFFORT,
    },
    "history": {
        "system_default": HistoryPolicy.SYSTEM_DEFAULT,
        "keep_last": HistoryPolicy.KEEP_LAST,
        "keep_all": HistoryPolicy.KEEP_ALL,
    },
}


def profile(node: Any, topic: Topic, entity: str) -> QoSProfile:
    """Return the profile of a topic, overrides applied; its parameters are declared once.

    Args:
        node: The rclpy node.
        topic: The topic; a latched one stays latched.
        entity: ``publisher`` or ``subscription``.

    Raises:
        ValueError: An override was refused; one line.
    """
    default = _default(topic, entity)
    prefix = f"qos_overrides.{node.resolve_topic_name(topic.name)}.{entity}"
    chosen: dict[str, Any] = {}
    for policy, choices in _CHOICES.items():
        value = _declared(node, f"{prefix}.{policy}", getattr(default, policy).name.lower())
        if value not in choices:
            raise _refused(f"{prefix}.{policy}", f"'{value}'", f"one of {', '.join(choices)}")
        chosen[policy] = choices[value]
    depth = _declared(node, f"{prefix}.depth", default.depth)
    return QoSProfile(**chosen, depth=depth, durability=default.durability)


def _default(topic: Topic, entity: str) -> QoSProfile:
    if topic.qos == topics.LATCHED:
        return QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            # Many nodes may have latched a message each on a topic that is listened to.
            depth=1 if entity == PUBLISHER else LATCHED_HEARD,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
    return (
        qos_profile_sensor_data if topic.qos == topics.SENSOR_DATA else qos_profile_system_default
    )


def check(node: Any) -> None:
    """Declare and check the overrides of every topic; raises ValueError with one line."""
    for topic in topics.INPUTS:
        profile(node, topic, SUBSCRIPTION)
    for topic in topics.OUTPUTS:
        profile(node, topic, PUBLISHER)


def own_endpoint(node: Any, topic: Topic, used: QoSProfile) -> Endpoint:
    """Return the node's own end of a topic in words."""
    name = node.get_fully_qualified_name()
    return Endpoint(name, topic.interface, _word(used.reliability), _word(used.durability))


def publishers(node: Any, topic: str) -> list[Endpoint]:
    """Return who publishes on a resolved topic, and with which quality of service."""
    return [_endpoint(info) for info in node.get_publishers_info_by_topic(topic)]


def unheard(node: Any) -> list[str]:
    """List who cannot be heard by this node, and who cannot hear it: one line for each pair.

    Read from the graph: the middleware's events name no peer, do not tell of the end, and not
    every middleware has them.
    """
    name, lines = node.get_fully_qualified_name(), []
    for topic in (*topics.INPUTS, *topics.OUTPUTS):
        resolved = node.resolve_topic_name(topic.name)
        if not (node.count_publishers(resolved) and node.count_subscribers(resolved)):
            continue
        offers = publishers(node, resolved)
        asks = [_endpoint(info) for info in node.get_subscriptions_info_by_topic(resolved)]
        for offer, ask in itertools.product(offers, asks):
            fault = mismatch(offer, ask) if name in (offer.node, ask.node) else ""
            if fault:
                lines.append(f"{resolved}: {offer.node} to {ask.node}: {fault}")
    return lines


def namesake(node: Any) -> str:
    """Say that other nodes have this node's name; empty where none has."""
    mine = (node.get_name(), node.get_namespace())
    count = node.get_node_names_and_namespaces().count(mine)
    if count < 2:
        return ""
    return (
        f"{count} nodes are called {node.get_fully_qualified_name()}, expected one: services and "
        "parameters reach any of them; give one another name or namespace (one that was killed "
        "is forgotten within half a minute)"
    )


def _endpoint(info: Any) -> Endpoint:
    return Endpoint(
        _node_name(info.node_namespace, info.node_name),
        info.topic_type,
        _word(info.qos_profile.reliability),
        _word(info.qos_profile.durability),
    )


def _node_name(namespace: str, name: str) -> str:
    # A publisher may be known before its node is.
    return "a node" if "UNKNOWN" in name else f"{namespace.rstrip('/')}/{name}"


def _word(policy: Any) -> str:
    return str(policy.name).lower()


def _declared(node: Any, name: str, default: str | int) -> Any:
    descriptor = ParameterDescriptor(
        description="Quality of service, from the start of the node.", read_only=True
    )
    expected = "text"
    if isinstance(default, int):
        descriptor.integer_range = [IntegerRange(from_value=0, to_value=DEEPEST, step=1)]
        expected = f"a whole number, 0 to {DEEPEST}"
    try:
        return node.declare_parameter(name, default, descriptor).value
    except ParameterAlreadyDeclaredException:
        return node.get_parameter(name).value
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        raise _refused(name, str(error).removesuffix(f": {name}"), expected) from None


def _refused(name: str, got: str, expected: str) -> ValueError:
    return ValueError(f"{name}: got {got}, expected {expected}; correct it and start the node anew")
