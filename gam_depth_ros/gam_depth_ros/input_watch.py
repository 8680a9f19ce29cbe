"""Says why no images arrive: the topic, the QoS asked for, and who publishes there with which QoS.

Facts in, one line out; node and tests fill in the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RELIABLE, BEST_EFFORT = "reliable", "best_effort"
TRANSIENT_LOCAL, VOLATILE = "transient_local", "volatile"
SHOWN = 4


@dataclass(frozen=True)
class Endpoint:
    """One publisher or subscription of a topic.

    Attributes:
        node: Full name of its node.
        interface: Its message type.
        reliability: ``reliable``, ``best_effort``, or what the middleware says.
        durability: ``volatile``, ``transient_local``, or what the middleware says.
    """

    node: str
    interface: str
    reliability: str
    durability: str

    def qos(self) -> str:
        """Return its quality of service in words."""
        return f"{self.reliability}, {self.durability}"


def mismatch(publisher: Endpoint, mine: Endpoint) -> str:
    """Return why a subscription cannot hear a publisher; empty where it can.

    Args:
        publisher: What offers.
        mine: What asks: it may not ask for more than is offered.
    """
    if publisher.interface != mine.interface:
        return f"publishes {publisher.interface}, expected {mine.interface}"
    if publisher.reliability == BEST_EFFORT and mine.reliability == RELIABLE:
        return "offers best_effort, reliable is asked for: set this subscription to best_effort"
    if publisher.durability == VOLATILE and mine.durability == TRANSIENT_LOCAL:
        return "offers volatile, transient_local is asked for"
    return ""


def stale_line(
    topic: str, age_s: float, mine: Endpoint, publishers: Sequence[Endpoint], arrived: bool
) -> str:
    """Say that a topic is silent, and what can be known of why.

    Args:
        topic: Its resolved name.
        age_s: Seconds without a message.
        mine: The node's own subscription.
        publishers: Who publishes there.
        arrived: Whether anything has ever arrived.
    """
    since = f"no message on {topic} for {age_s:.1f} s" if arrived else f"no message yet on {topic}"
    head = f"{since} (subscribed as {mine.interface}, {mine.qos()})"
    if not publishers:
        return f"{head}: nobody publishes there; check the driver, the remap and ROS_DOMAIN_ID"
    said = []
    for publisher in publishers[:SHOWN]:
        fault = mismatch(publisher, mine)
        said.append(f"{publisher.node} {fault or f'publishes it {publisher.qos()}, which fits'}")
    more = f"; {len(publishers) - SHOWN} more publishers" if len(publishers) > SHOWN else ""
    return f"{head}: {'; '.join(said)}{more}"
