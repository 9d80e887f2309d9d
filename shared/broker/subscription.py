"""One queue's consumer, on a channel of its own: an error on it harms nobody else."""

from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from shared.broker.message import Delivery

_REOPEN_SECONDS = 1.0

log = structlog.get_logger(__name__)


def plain(error: BaseException) -> str:
    """Return what an error of pika's says, in one line."""
    return f"{type(error).__name__}: {error}"


class Subscription:
    """A wish to have every message of a queue, renewed on each connection."""

    def __init__(
        self,
        queue: str,
        on_delivery: Callable[[Delivery], None],
        prefetch: int,
        soon: Callable[[Callable[[], None]], None],
    ) -> None:
        self._queue = queue
        self._on_delivery = on_delivery
        self._prefetch = prefetch
        self._soon = soon

    def open(self, connection: Any) -> None:
        """Begin to consume; to be called in the connection's thread."""
        if connection.is_open:
            connection.channel(on_open_callback=self._opened)

    def _opened(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._closed)
        channel.add_on_cancel_callback(lambda _: channel.close())
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(self._queue, self._deliver)

    def _closed(self, channel: Channel, reason: Exception) -> None:
        connection: Any = channel.connection
        if connection.is_open:
            log.warning("consumer closed", queue=self._queue, error=plain(reason))
            connection.ioloop.call_later(_REOPEN_SECONDS, partial(self.open, connection))

    def _deliver(
        self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        tag = int(method.delivery_tag or 0)
        self._on_delivery(
            Delivery(
                queue=self._queue,
                routing_key=str(method.routing_key),
                body=body,
                type=properties.type,
                message_id=properties.message_id,
                correlation_id=properties.correlation_id,
                reply_to=properties.reply_to,
                content_type=properties.content_type,
                headers=properties.headers or {},
                ack=partial(self._settle, channel, partial(channel.basic_ack, tag)),
                # A rejection counts towards the delivery limit on every version of RabbitMQ; a
                # negative acknowledgement does not from 4.3 on.
                reject=partial(
                    self._settle, channel, partial(channel.basic_reject, tag, requeue=True)
                ),
            )
        )

    def _settle(self, channel: Channel, how: Callable[[], None]) -> None:
        # A delivery tag means something on its own channel only.
        self._soon(lambda: how() if channel.is_open else None)
