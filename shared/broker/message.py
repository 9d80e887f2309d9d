"""A message to be published, and a message that was delivered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from pika import BasicProperties

JSON = "application/json"
LONGEST_SHORT = 255  # bytes of an AMQP short string: keys, ids, types
_LARGEST_HEADER = 100_000
_FEW = 10  # headers that are short and ASCII need no measuring
_LARGEST_BODY = 16 << 20


class BrokerAway(Exception):
    """The broker did not take the message; it may be sent again."""


class PossiblySent(Exception):
    """The connection broke while the message was under way; the broker may have it."""


class BrokerRefused(Exception):
    """The broker said no: `code` is AMQP's (404: not there, 406: there and different)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"the broker refused: {text}")
        self.code = code


class Unsendable(Exception):
    """No broker would take the message: it is too large, or AMQP cannot say it."""


class Unroutable(Exception):
    """The broker knows no queue for the message; it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What to publish, where to, and under which id."""

    exchange: str
    routing_key: str
    body: bytes
    type: str | None = None
    message_id: str = field(default_factory=lambda: str(uuid4()))
    content_type: str = JSON
    correlation_id: str | None = None
    reply_to: str | None = None
    expires_ms: int | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    # A reply's queue is no real one: RabbitMQ takes a mandatory reply and returns it as well.
    mandatory: bool = True

    def check(self) -> None:
        """Raise `Unsendable` for a message that would break the connection it is sent on.

        RabbitMQ closes it for a header larger than a frame (128 KiB) or a body over its limit, and
        the message would be sent again on the next one, and so on.
        """
        try:
            longest = max(len(text.encode()) for text in self._shorts() if text)
            # pika encodes them once more to send them: only where their size is not plain.
            headers = 0 if self._has_small_headers() else sum(map(len, self.properties().encode()))
        except Exception as error:
            raise Unsendable(f"AMQP cannot say it: {type(error).__name__}: {error}") from error
        if headers > _LARGEST_HEADER or longest > LONGEST_SHORT or len(self.body) > _LARGEST_BODY:
            raise Unsendable(
                f"{len(self.body)} bytes with {headers} of headers and a key, an id or a type "
                f"of {longest} are too much"
            )

    def _has_small_headers(self) -> bool:
        return len(self.headers) <= _FEW and all(
            isinstance(value, str)
            and (name + value).isascii()
            and len(name) + len(value) <= LONGEST_SHORT
            for name, value in self.headers.items()
        )

    def _shorts(self) -> tuple[str | None, ...]:
        return (
            self.exchange,
            self.routing_key,
            self.type,
            self.message_id,
            self.content_type,
            self.correlation_id,
            self.reply_to,
        )

    def properties(self) -> BasicProperties:
        """Return the AMQP properties; everything that must be routed also survives a restart."""
        return BasicProperties(
            type=self.type,
            message_id=self.message_id,
            content_type=self.content_type,
            correlation_id=self.correlation_id,
            reply_to=self.reply_to,
            expiration=None if self.expires_ms is None else str(self.expires_ms),
            headers=dict(self.headers),
            delivery_mode=2 if self.mandatory else 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message from a queue, ours until `ack` or `reject`.

    Both may be called from any thread, and do nothing once the channel that delivered it is gone:
    then it is delivered again.
    """

    queue: str
    routing_key: str
    body: bytes
    type: str | None
    message_id: str | None
    correlation_id: str | None
    reply_to: str | None
    content_type: str | None
    headers: Mapping[str, Any]
    ack: Callable[[], None]
    reject: Callable[[], None]

    @property
    def returns(self) -> int:
        """How often it went back to its queue before."""
        return int(self.headers.get("x-delivery-count", 0))
