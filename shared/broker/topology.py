"""The exchanges and queues, declared alike by every service at every connection.

The same arguments everywhere: RabbitMQ closes the channel of whoever declares otherwise.
"""

from collections.abc import Callable, Sequence
from typing import Any

from pika.channel import Channel

COMMANDS = "voice.commands"
EVENTS = "voice.events"
CDR = "voice.cdr"
DEAD = "voice.dead"
JOURNAL = "voice.events.log"

_EXCHANGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (DEAD, "topic", {}),
    (COMMANDS, "topic", {"alternate-exchange": DEAD}),
    (EVENTS, "topic", {}),
    (CDR, "fanout", {}),
)

# The dialer takes every command and leaves alone those of others: only so can a name that nobody
# knows be answered and dead-lettered with a reason, instead of vanishing (ADR 0004).
_WORK: tuple[tuple[str, str, str], ...] = (
    ("dialer.commands", COMMANDS, "#"),
    ("directory.commands", COMMANDS, "user.*"),
    ("cdr.commands", COMMANDS, "cdr.*"),
    ("directory.events", EVENTS, "user.registered"),
    ("directory.events", EVENTS, "user.unregistered"),
    ("cdr.raw", CDR, ""),
    ("events.cdr", CDR, ""),
    ("cdr.events", EVENTS, "#"),
)

# Every queue whose messages are taken out of it.
QUEUES = (DEAD, *sorted({queue for queue, _, _ in _WORK}))

_DELIVERIES = 20  # a backstop for messages that kill their consumer; handlers give up earlier


def declare_journal(channel: Channel, *, days: int, then: Callable[[], None]) -> None:
    """Ask for the journal, and do `then` once it stands.

    On a channel of its own: after a crash RabbitMQ may hold everything but the stream for a while,
    and refuses whoever declares it.
    """
    channel.exchange_declare(EVENTS, "topic", durable=True)
    journal = {"x-queue-type": "stream", "x-max-age": f"{days}D"}
    channel.queue_declare(JOURNAL, durable=True, arguments=journal)
    channel.queue_bind(JOURNAL, EVENTS, "#", callback=lambda _: then())


def declare(channel: Channel, queues: Sequence[str] = ()) -> None:
    """Ask for all the rest; RabbitMQ keeps the order, so the last answer means all of them.

    `queues` are work queues that are bound to nothing: messages are sent to them by name.
    """
    for name, kind, arguments in _EXCHANGES:
        channel.exchange_declare(name, kind, durable=True, arguments=arguments)
    dead = {"x-queue-type": "quorum"}
    channel.queue_declare(DEAD, durable=True, arguments=dead)
    channel.queue_bind(DEAD, DEAD, "#")
    work = {
        "x-queue-type": "quorum",
        "x-delivery-limit": _DELIVERIES,
        "x-dead-letter-exchange": DEAD,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    for queue, exchange, key in _WORK:
        channel.queue_declare(queue, durable=True, arguments=work)
        channel.queue_bind(queue, exchange, key)
    for queue in queues:
        channel.queue_declare(queue, durable=True, arguments=work)
