"""One queue's consumer, on a channel of its own: an error on it harms nobody else."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from pika import BasicProperties
from pika.channel import Channel
from pika.spec import Basic

from shared.broker.message import Delivery

_REOPEN_SECONDS = 1.0
_CAREFUL_MESSAGES = 50

log = structlog.get_logger(__name__)


def plain(error: BaseException) -> str:
    """Return what an error of pika's says, in one line."""
    return f"{type(error).__name__}: {error}"


def _text(value: object) -> str | None:
    # pika leaves bytes that are no UTF-8 as bytes.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value  # type: ignore[return-value]


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
        self._paused = False
        self._careful = 0
        self._connection: Any = None
        self._channel: Channel | None = None

    def pause(self) -> None:
        """Give every message back and have none delivered until `resume`; from any thread.

        For a dependency that is away: a message that is held through it would be taken for poison
        after enough interruptions, as RabbitMQ counts them.
        """
        self._paused = True
        self._soon(self._close)

    def resume(self) -> None:
        """Have messages delivered again; from any thread."""
        self._paused = False
        self._soon(lambda: self.open(self._connection))

    def be_careful(self) -> None:
        """Have messages delivered one by one for a while: one of them may have killed us."""
        self._careful = _CAREFUL_MESSAGES

    def open(self, connection: Any) -> None:
        """Begin to consume; to be called in the connection's thread."""
        self._connection = connection
        is_there = self._channel is not None and not self._channel.is_closed
        if connection is not None and connection.is_open and not self._paused and not is_there:
            self._channel = connection.channel(on_open_callback=self._opened)

    def _opened(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._closed)
        if self._paused:
            channel.close()
            return
        channel.add_on_cancel_callback(lambda _: channel.close())
        channel.basic_qos(prefetch_count=1 if self._careful else self._prefetch)
        self._consume(channel)

    def _consume(self, channel: Channel) -> None:
        channel.basic_consume(self._queue, self._deliver)

    def _close(self) -> None:
        if self._channel is not None and self._channel.is_open:
            self._channel.close()

    def _closed(self, channel: Channel, reason: Exception) -> None:
        self._channel = None
        connection: Any = channel.connection
        if connection.is_open and not self._paused:
            log.warning("consumer closed", queue=self._queue, error=plain(reason))
            connection.ioloop.call_later(_REOPEN_SECONDS, partial(self.open, connection))

    def _deliver(
        self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        tag = int(method.delivery_tag or 0)
        if self._careful:
            self._careful -= 1
            if not self._careful:
                # The limit holds for those who begin to consume after it. So a second consumer
                # begins: to cancel the first one would give back, out of order, what is under way.
                channel.basic_qos(prefetch_count=self._prefetch)
                self._consume(channel)
        self._on_delivery(
            Delivery(
                queue=self._queue,
                routing_key=str(method.routing_key),
                body=body,
                type=_text(properties.type),
                message_id=_text(properties.message_id),
                correlation_id=_text(properties.correlation_id),
                reply_to=_text(properties.reply_to),
                content_type=_text(properties.content_type),
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


class Listening(Subscription):
    """A queue of our own for each connection: what is said meanwhile, and nothing from before.

    `on_begin` is called in the connection's thread each time that the queue is bound anew: what was
    said since the last one ended was missed.
    """

    def __init__(
        self,
        exchange: str,
        routing_key: str,
        *,
        on_begin: Callable[[], None],
        on_delivery: Callable[[Delivery], None],
        soon: Callable[[Callable[[], None]], None],
    ) -> None:
        super().__init__("", on_delivery, 0, soon)
        self._exchange = exchange
        self._routing_key = routing_key
        self._on_begin = on_begin

    def be_careful(self) -> None:
        """Go on as before: what may have killed us went with its queue."""

    def _consume(self, channel: Channel) -> None:
        def declared(answer: Any) -> None:
            self._queue = str(answer.method.queue)
            channel.queue_bind(
                self._queue, self._exchange, self._routing_key, callback=lambda _: self._on_begin()
            )
            channel.basic_consume(self._queue, self._deliver, auto_ack=True, exclusive=True)

        channel.queue_declare("", exclusive=True, auto_delete=True, callback=declared)


class _OfStream(Subscription):
    """A subscription to a stream: it begins at an offset."""

    def __init__(
        self,
        stream: str,
        offset: str | int | datetime,
        on_delivery: Callable[[Delivery], None],
        prefetch: int,
        soon: Callable[[Callable[[], None]], None],
    ) -> None:
        super().__init__(stream, on_delivery, prefetch, soon)
        self._offset = offset

    def _consume(self, channel: Channel) -> None:
        channel.basic_consume(
            self._queue,
            self._deliver,
            arguments={"x-stream-offset": self._offset},
            callback=lambda _: self._began(),
        )

    def _began(self) -> None:
        """Be told that nothing can be missed any more."""


class Following(_OfStream):
    """A stream read from an offset on; after a break, from where it was.

    `offset` is "first", a number, or a time: then from the chunk that holds it. A delivery says
    where it stood in the header `x-stream-offset`; it needs no acknowledgement.
    """

    def __init__(
        self,
        queue: str,
        offset: str | int | datetime,
        on_delivery: Callable[[Delivery], None],
        prefetch: int,
        soon: Callable[[Callable[[], None]], None],
    ) -> None:
        super().__init__(queue, offset, self._read, prefetch, soon)
        self._hand_on = on_delivery
        self._unacknowledged = 0

    def be_careful(self) -> None:
        """Go on as before: what a stream holds can be read by anybody."""

    def _consume(self, channel: Channel) -> None:
        self._unacknowledged = 0
        super()._consume(channel)

    def _deliver(
        self, channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        super()._deliver(channel, method, properties, body)
        self._unacknowledged += 1
        if self._unacknowledged >= self._prefetch // 2:
            # What it grants is credit for more; nothing is taken out of a stream.
            channel.basic_ack(int(method.delivery_tag or 0), multiple=True)
            self._unacknowledged = 0

    def _read(self, delivery: Delivery) -> None:
        self._offset = int(delivery.headers["x-stream-offset"]) + 1
        self._hand_on(delivery)


class Turn:
    """The right of one of several processes to do something, as long as its connection stands.

    It is an exclusive queue, which RabbitMQ lets one connection have and takes away with it. Who is
    refused asks again. Both callbacks run in the connection's thread, and must be quick; after a
    break the turn may be another's, which `on_refused` tells.
    """

    def __init__(
        self, name: str, *, on_taken: Callable[[], None], on_refused: Callable[[], None]
    ) -> None:
        self._name = name
        self._on_taken = on_taken
        self._on_refused = on_refused

    def be_careful(self) -> None:
        """Go on as before: nothing is delivered here."""

    def open(self, connection: Any) -> None:
        """Ask for the turn; to be called in the connection's thread."""
        if connection is not None and connection.is_open:
            connection.channel(on_open_callback=self._opened)

    def _opened(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._closed)
        channel.queue_declare(self._name, exclusive=True, callback=lambda _: self._on_taken())

    def _closed(self, channel: Channel, _reason: Exception) -> None:
        connection: Any = channel.connection
        if connection.is_open:
            self._on_refused()
            connection.ioloop.call_later(_REOPEN_SECONDS, partial(self.open, connection))


class Reading(_OfStream):
    """A stream as it is read once, from an offset on; it ends with its channel.

    All three are called in the connection's thread: `on_begin` once nothing can be missed any more,
    `on_end` when nothing comes any more, with the reason.
    """

    def __init__(  # noqa: PLR0913
        self,
        stream: str,
        offset: int | str,
        *,
        prefetch: int,
        on_begin: Callable[[], None],
        on_delivery: Callable[[Delivery], None],
        on_end: Callable[[str], None],
        soon: Callable[[Callable[[], None]], None],
    ) -> None:
        super().__init__(stream, offset, on_delivery, prefetch, soon)
        self._on_begin = on_begin
        self._on_end = on_end

    def open(self, connection: Any) -> None:
        """Begin to read; to be called in the connection's thread."""
        super().open(connection)
        if self._channel is None:
            self._on_end("no connection to the broker")
        else:
            self._channel.add_on_close_callback(lambda _, reason: self._on_end(plain(reason)))

    def _began(self) -> None:
        self._on_begin()

    def _closed(self, _channel: Channel, _reason: Exception) -> None:
        pass  # whoever reads on begins behind what they have
