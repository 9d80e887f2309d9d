"""A business event as it is published."""

from shared.broker import topology
from shared.broker.message import LONGEST_SHORT, Message
from shared.messages.events import CONTENT_TYPE, Event, headers


def message_of(event: Event) -> Message:
    """Return the message that tells the event, with its subject as correlation id if AMQP can."""
    is_short = len(event.subject.encode()) <= LONGEST_SHORT
    return Message(
        exchange=topology.EVENTS,
        routing_key=event.type,
        body=event.encode(),
        type=event.type,
        message_id=str(event.id),
        content_type=CONTENT_TYPE,
        correlation_id=event.subject if is_short else None,
        headers=headers(event),
    )
