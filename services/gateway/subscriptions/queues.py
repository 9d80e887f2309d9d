"""A subscription as it stands on the broker: its queue, its dead letters, its bindings.

Everything here runs on a channel of `Broker.administer` and only asks.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from pika.channel import Channel

from services.gateway.subscriptions.wanted import Wanted
from shared.broker import topology

MATCH = "voice.events.match"
DEAD = "voice.subscriptions.dead"
CUT = "gateway.cut"

_BYTES_A_MESSAGE = 8192  # ten times what an event weighs: the bound for those that weigh more
_DELIVERIES = 20
_MOST_CUT = 100_000


class Kept(Protocol):
    """What the table keeps of a subscription."""

    name: str
    types: list[str]
    match: dict[str, Any]
    max_length: int
    max_age_seconds: int
    url: str | None


@dataclass(slots=True)
class Depth:
    """How much waits in a subscription's queues, and how many consume."""

    depth: int = 0
    consumers: int = 0
    dead: int = 0


def queue_of(name: str) -> str:
    """Return the queue of a subscription."""
    return f"subscription.{name}"


def dead_of(name: str) -> str:
    """Return the queue of what was cut from a subscription, or rejected. No name has a dot."""
    return f"subscription.{name}.dead"


def declare_cuts(channel: Channel) -> None:
    """Ask for what tells us of dead letters, whatever subscription they are of."""
    channel.exchange_declare(DEAD, "topic", durable=True)
    arguments = {"x-queue-type": "quorum", "x-single-active-consumer": True}
    channel.queue_declare(CUT, durable=True, arguments={**arguments, **_bounds(_MOST_CUT)})
    channel.queue_bind(CUT, DEAD, "#")


def declare(channel: Channel, kept: Kept) -> None:
    """Ask for all that a subscription needs. What is there already stays as it is."""
    queue, dead = queue_of(kept.name), dead_of(kept.name)
    declare_cuts(channel)
    bounds = {
        "x-queue-type": "quorum",
        "x-message-ttl": kept.max_age_seconds * 1000,
        **_bounds(kept.max_length),
    }
    # First what may be somebody else's: then nothing of ours is left where it is.
    channel.queue_declare(
        queue,
        durable=True,
        arguments={
            **bounds,
            "x-dead-letter-exchange": DEAD,
            "x-dead-letter-routing-key": kept.name,
            # Of several gateways one delivers, in the queue's order.
            **({"x-single-active-consumer": True} if kept.url else {}),
        },
    )
    channel.queue_declare(dead, durable=True, arguments=bounds)
    channel.queue_bind(dead, DEAD, kept.name)
    wanted = Wanted(types=tuple(kept.types), match=kept.match)
    channel.exchange_declare(topology.EVENTS, "topic", durable=True)
    if not wanted.match:
        for pattern in wanted.types:
            channel.queue_bind(queue, topology.EVENTS, pattern)
        return
    channel.exchange_declare(MATCH, "headers", durable=True)
    channel.exchange_bind(MATCH, topology.EVENTS, "#")
    for headers in wanted.headers():
        channel.queue_bind(queue, MATCH, "", arguments={"x-match": "all", **headers})


def remove(channel: Channel, name: str) -> None:
    """Ask for the end of a subscription's queues, whatever they hold."""
    channel.queue_delete(queue_of(name))
    channel.queue_delete(dead_of(name))


def measure(channel: Channel, name: str) -> Depth:
    """Ask how much waits; the answer is filled in."""
    found = Depth()

    def queue(answer: Any) -> None:
        found.depth = int(answer.method.message_count)
        found.consumers = int(answer.method.consumer_count)

    def dead(answer: Any) -> None:
        found.dead = int(answer.method.message_count)

    channel.queue_declare(queue_of(name), passive=True, callback=queue)
    channel.queue_declare(dead_of(name), passive=True, callback=dead)
    return found


def _bounds(length: int) -> dict[str, Any]:
    # Of what is too much the oldest goes: a subscriber that comes back wants to know what is now.
    return {
        "x-max-length": length,
        "x-max-length-bytes": length * _BYTES_A_MESSAGE,
        "x-overflow": "drop-head",
        "x-delivery-limit": _DELIVERIES,
    }
