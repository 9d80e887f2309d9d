"""RabbitMQ as another program uses it: plain pika."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pika
from pika.adapters.blocking_connection import BlockingChannel

from shared.broker.message import Delivery
from tests.waiting import until


class Got(NamedTuple):
    """A message taken from a queue."""

    routing_key: str
    properties: pika.BasicProperties
    body: bytes


@contextmanager
def channel_to(url: str) -> Iterator[BlockingChannel]:
    """Give a channel on a connection of its own."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        connection.close()


def take(channel: BlockingChannel, queue: str) -> Got | None:
    """Take the next message of a queue, if there is one."""
    method, properties, body = channel.basic_get(queue, auto_ack=True)
    if method is None or properties is None:
        return None
    return Got(str(method.routing_key), properties, body or b"")


def wait_for(channel: BlockingChannel, queue: str) -> Got:
    """Return the next message of a queue, once it comes."""
    got = until(lambda: take(channel, queue))
    assert got is not None
    return got


def drain(channel: BlockingChannel, queue: str) -> list[bytes]:
    """Take all that a queue holds."""
    bodies = []
    while (got := take(channel, queue)) is not None:
        bodies.append(got.body)
    return bodies


def left_in(channel: BlockingChannel, queue: str) -> int:
    """Return how many messages a queue holds."""
    return int(channel.queue_declare(queue, passive=True).method.message_count)


def properties(**given: Any) -> pika.BasicProperties:
    """Return AMQP properties."""
    return pika.BasicProperties(**given)


def delivered(queue: str, body: bytes) -> Delivery:
    """Return a message as it is delivered, for those who only read it."""
    return Delivery(
        queue=queue,
        routing_key="",
        body=body,
        type=None,
        message_id=None,
        correlation_id=None,
        reply_to=None,
        content_type=None,
        headers={},
        ack=lambda: None,
        reject=lambda: None,
    )
