"""A business event as it is published."""

from shared.broker import topology
from shared.broker.message import LONGEST_SHORT, Message
from shared.messages.events import CONTENT_TYPE, Event, headers


def message_of(event: Event, body: bytes | None = None) -> Message:
    """Return the message that tells the event, with its subject as correlation id if AMQP can.

    `body` is the event as it was encoded already, with its number.
    """
    is_short = len(event.subject.encode()) <= LONGEST_SHORT
    return Message(
        exchange=topology.EVENTS,
        routing_key=event.type,
        body=event.encode() if body is None else body,
        type=event.type,
        message_id=event.id,
        content_type=CONTENT_TYPE,
        correlation_id=event.subject if is_short else None,
        headers=headers(event),
    )
