"""Where messages go that nobody can do anything with, and why they are there."""

import re
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

import structlog

from shared.broker import topology
from shared.broker.connection import Broker
from shared.broker.message import Delivery, Message, Unsendable

REASON = "x-dead-reason"
QUEUE = "x-dead-queue"
_LONGEST_REASON = 500

# Dead letters are kept, and read by people.
_SECRET = re.compile(rb'("(?:voicemail_)?password"\s*:\s*)"(?:[^"\\]|\\.)*"')

log = structlog.get_logger(__name__)


def bury(broker: Broker, delivery: Delivery, reason: str, *, then: Callable[[], None]) -> None:
    """Move a message to the dead letters with the reason in a header, and without passwords.

    `then`, which acks it, is done only once it is safe there; otherwise it is delivered again.
    """
    reason = reason[:_LONGEST_REASON]
    log.error("dead letter", queue=delivery.queue, name=delivery.routing_key, reason=reason)
    letter = Message(
        exchange=topology.DEAD,
        routing_key=delivery.routing_key,
        body=_SECRET.sub(rb'\1"***"', delivery.body),
        type=delivery.type,
        message_id=delivery.message_id or "",
        content_type=delivery.content_type or "",
        correlation_id=delivery.correlation_id,
        reply_to=delivery.reply_to,
        headers={**delivery.headers, REASON: reason, QUEUE: delivery.queue},
    )
    try:
        letter.check()
    except Unsendable:
        # Its own headers leave no room for the reason, or AMQP cannot say them again.
        letter = replace(letter, headers={REASON: reason, QUEUE: delivery.queue})

    def settle(future: "Future[None]") -> None:
        if future.cancelled() or future.exception() is not None:
            delivery.reject()
        else:
            then()

    broker.publish(letter).add_done_callback(settle)
