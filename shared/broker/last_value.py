"""A value that the broker keeps under a name: the last one, for whoever asks.

It is a queue that holds one message, which is looked at and not taken.
"""

from concurrent.futures import Future
from typing import Any

from pika.channel import Channel

from shared.broker.connection import Broker
from shared.broker.message import Message

_ARGUMENTS = {"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "drop-head"}


def keep(broker: Broker, name: str, value: bytes) -> "Future[None]":
    """Keep a value in place of the one that was kept; `last` has asked for this name before."""
    return broker.publish(Message(exchange="", routing_key=name, body=value))


def last(broker: Broker, name: str) -> "Future[list[bytes]]":
    """Return a future of the value that is kept, in a list; of an empty one where there is none.

    It fails with `BrokerAway` where the broker cannot be asked.
    """

    def ask(channel: Channel) -> list[bytes]:
        found: list[bytes] = []

        def got(_channel: Channel, _method: Any, _properties: Any, body: bytes) -> None:
            found.append(body)

        channel.queue_declare(name, durable=True, arguments=_ARGUMENTS)
        channel.basic_get(name, got)
        return found

    return broker.administer(ask)
