"""The broker, as every service sees it: publish, consume, request.

pika is not thread-safe, so one thread owns the connection and everybody else leaves work for it
(`add_callback_threadsafe` is the only call that may cross). Publishing waits for confirms in a
window, not one by one; what was not confirmed when the connection broke is sent again, in order,
on the next one.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from itertools import takewhile
from typing import Any, TypeAlias, TypeVar

import structlog
import tenacity
from pika import BasicProperties, SelectConnection, URLParameters
from pika.channel import Channel
from pika.exceptions import ChannelClosedByClient
from pika.spec import Basic

from shared.broker import topology
from shared.broker.administration import administer
from shared.broker.message import (
    BrokerAway,
    Delivery,
    Message,
    PossiblySent,
    Unroutable,
    Unsendable,
)
from shared.broker.subscription import Following, Listening, Reading, Subscription, Turn, plain

_JOURNAL_SECONDS = 5
_JOURNAL_AT_ONCE = 0.5
_GATHER_SECONDS = 0.001
_OVERDUE_SECONDS = 20  # a broker that confirms nothing for so long has forgotten what it was sent
_GOOD_SECONDS = 3  # a connection that broke sooner is followed by a pause
_REPLIES = "amq.rabbitmq.reply-to"

T = TypeVar("T")
_Waiting: TypeAlias = tuple[Message, Future[None]]
_Request: TypeAlias = tuple[Future[bytes], Future[None]]  # its reply, and its own being sent

log = structlog.get_logger(__name__)


class Broker:
    """A connection to RabbitMQ that comes back by itself. Start it after any fork."""

    def __init__(  # noqa: PLR0913
        self,
        url: str,
        *,
        name: str,
        journal_days: int = 7,
        window: int = 1000,
        longest_pause: float = 2.0,
        queues: Sequence[str] = (),
        needs_journal: bool = False,
    ) -> None:
        self._url = url
        self._longest_pause = longest_pause
        self._name = name
        self._journal_days = journal_days
        self._queues = queues  # of this service alone, besides those of all
        self._needs_journal = needs_journal
        self._window = window
        self._lock = threading.Lock()
        self._loop_lock = threading.Lock()  # held while a loop is used from outside, or ends
        self._waiting: deque[_Waiting] = deque()
        self._unconfirmed: OrderedDict[int, _Waiting] = OrderedDict()
        self._returned: set[str] = set()
        self._requests: dict[str, _Request] = {}
        self._subscriptions: list[Subscription | Turn] = []
        self._on_connected: list[Callable[[], None]] = []
        self._connection: SelectConnection | None = None
        self._channel: Channel | None = None
        self._published = 0
        self._flushing = False
        self._gathering = False
        self._stopping = threading.Event()
        self._connected = threading.Event()
        self._blocked = False
        self._stood_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"broker-{name}", daemon=True)

    # -- from any thread ---------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect; return at once."""
        self._thread.start()

    def stop(self, *, timeout: float = 5.0) -> None:
        """Send what waits, as far as the broker takes it in time, and close."""
        deadline = threading.Event()
        if self.connected and not self._idle():
            self._soon(partial(self._when_idle, deadline))
            deadline.wait(timeout / 2)
        self._stopping.set()
        self._soon(self._close)
        self._thread.join(timeout)

    @property
    def connected(self) -> bool:
        """Whether the broker takes messages now; one that is short of memory or disk does not."""
        return self._connected.is_set() and not self._blocked

    def wait_connected(self, timeout: float) -> bool:
        """Wait until the connection stands; tell whether it does."""
        return self._connected.wait(timeout)

    @property
    def backlog(self) -> int:
        """How many messages the broker has not confirmed yet."""
        return len(self._waiting) + len(self._unconfirmed)

    def publish(self, message: Message) -> Future[None]:
        """Return a future that ends when the broker has the message for good.

        It is kept and sent again for as long as the broker is away; cancel the future to give up.
        It fails with `Unroutable`, with `BrokerAway` where the broker refused it, and at once with
        `Unsendable`.
        """
        future: Future[None] = Future()
        try:
            message.check()
        except Unsendable as error:
            future.set_exception(error)
        else:
            self._send(message, future)
        return future

    def request(self, message: Message) -> Future[bytes]:
        """Return a future of the reply.

        It fails with `BrokerAway` where the request certainly was not sent, with `PossiblySent`
        where the connection broke after it was. Needs `correlation_id`; the caller bounds its
        patience and calls `forget`.
        """
        future: Future[bytes] = Future()
        if message.correlation_id is None:
            raise ValueError("a request needs a correlation_id")
        if not self.connected:
            future.set_exception(BrokerAway("no connection to the broker"))
            return future
        message.check()
        published: Future[None] = Future()
        published.add_done_callback(partial(self._not_published, message.correlation_id))
        self._requests[message.correlation_id] = (future, published)
        self._send(message, published)
        return future

    def forget(self, correlation_id: str) -> None:
        """Wait for this reply no longer: a late one is dropped, an unsent request not sent."""
        _, published = self._requests.pop(correlation_id, (None, None))
        if published is not None:
            published.cancel()

    def consume(
        self, queue: str, on_delivery: Callable[[Delivery], None], *, prefetch: int
    ) -> Subscription:
        """Have every message of the queue delivered, on this connection and on those to come.

        `on_delivery` runs in the connection's thread: it must only hand the message on. The
        subscription that is returned can be paused, and ended by `abandon`.
        """
        return self._kept(Subscription(queue, on_delivery, prefetch, self._soon))

    def abandon(self, subscription: Subscription) -> None:
        """Have nothing delivered any more; what is not acked goes back."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
        subscription.pause()

    def read(  # noqa: PLR0913
        self,
        stream: str,
        offset: int | str,
        *,
        prefetch: int,
        on_begin: Callable[[], None],
        on_delivery: Callable[[Delivery], None],
        on_end: Callable[[str], None],
    ) -> Subscription:
        """Have a stream read once, from an offset on: a number, `first` or `next`.

        What is returned is ended by `pause`. Raise `BrokerAway` where there is no connection.
        """
        if not self.connected:
            raise BrokerAway("no connection to the broker")
        reading = Reading(
            stream,
            offset,
            prefetch=prefetch,
            on_begin=on_begin,
            on_delivery=on_delivery,
            on_end=on_end,
            soon=self._soon,
        )
        self._soon(lambda: reading.open(self._connection))
        return reading

    def administer(self, work: Callable[[Channel], T]) -> Future[T]:
        """Return a future of what `work` returns, which ends when the broker has done all of it.

        `work` runs in the connection's thread, on a channel of its own, and only asks; callbacks
        may still fill what it returns. Fails with `BrokerRefused` where the broker says no, with
        `BrokerAway` where it cannot be asked; then some of it may have been done.
        """
        future: Future[T] = Future()
        if not self.connected:
            future.set_exception(BrokerAway("no connection to the broker"))
        else:
            self._soon(lambda: administer(self._connection, work, future))
        return future

    def when_connected(self, callback: Callable[[], None]) -> None:
        """Have this called, in the connection's thread, each time that a connection stands.

        Call this before `start`.
        """
        self._on_connected.append(callback)

    def listen(
        self,
        exchange: str,
        routing_key: str,
        *,
        on_begin: Callable[[], None],
        on_delivery: Callable[[Delivery], None],
    ) -> None:
        """Have what is published from now on told to this process as well as to all others.

        `on_begin` is called whenever hearing begins (again): what was said before was missed. Both
        run in the connection's thread, and must be quick. Call this before `start`.
        """
        self._subscriptions.append(
            Listening(
                exchange, routing_key, on_begin=on_begin, on_delivery=on_delivery, soon=self._soon
            )
        )

    def follow(
        self,
        stream: str,
        offset: str | int | datetime,
        on_delivery: Callable[[Delivery], None],
        *,
        prefetch: int,
    ) -> Subscription:
        """Have what a stream holds from an offset on delivered, and what it will hold.

        `on_delivery` runs in the connection's thread: it must only hand the message on. A break is
        read over. What is returned is ended by `abandon`.
        """
        return self._kept(Following(stream, offset, on_delivery, prefetch, self._soon))

    def take_turn(
        self, name: str, *, on_taken: Callable[[], None], on_refused: Callable[[], None]
    ) -> None:
        """Ask for the turn of this name, now and after each break; call this before `start`."""
        self._subscriptions.append(Turn(name, on_taken=on_taken, on_refused=on_refused))

    def _kept(self, subscription: Subscription) -> Subscription:
        """Open a subscription on this connection, if it stands, and on those to come."""
        self._subscriptions.append(subscription)
        self._soon(lambda: subscription.open(self._connection) if self._channel else None)
        return subscription

    def _send(self, message: Message, future: "Future[None]") -> None:
        with self._lock:
            self._waiting.append((message, future))
            if self._flushing:
                return
            self._flushing = True
        self._soon(self._flush)

    # -- the connection's own thread ---------------------------------------------------------

    def _run(self) -> None:
        connect = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda had_connection: not had_connection),
            wait=tenacity.wait_exponential_jitter(
                multiplier=0.1, max=self._longest_pause, jitter=0.1
            ),
            sleep=tenacity.sleep_using_event(self._stopping),
            stop=tenacity.stop_when_event_set(self._stopping),
            retry_error_callback=lambda _: None,
        )
        while not self._stopping.is_set():
            connect(self._connect)

    def _connect(self) -> bool:
        """Live through one connection, from first to last; tell whether it was a good one."""
        self._stood_since = None
        connection: SelectConnection | None = None
        try:
            connection = self._open()
            self._connection = connection
            connection.ioloop.start()
        except Exception:
            # A fault of ours must not leave a process that lives and is deaf.
            log.exception("broker thread failed; connecting anew")
            self._release("fault")
        with self._loop_lock:
            self._connection = None
        if connection is not None:
            connection.ioloop.close()
        since = self._stood_since
        was_good = since is not None and time.monotonic() - since > _GOOD_SECONDS
        if since is not None and not was_good:
            # A message that pika cannot read ends every connection on which it is delivered. One by
            # one, it is the only one that is delivered too often, and goes to the dead letters.
            for subscription in tuple(self._subscriptions):
                subscription.be_careful()
        return was_good

    def _open(self) -> SelectConnection:
        parameters = URLParameters(self._url)
        parameters.client_properties = {"connection_name": self._name}
        parameters.heartbeat = 30
        parameters.blocked_connection_timeout = 60
        parameters.socket_timeout = 5
        parameters.connection_attempts = 1
        connection = SelectConnection(
            parameters,
            on_open_callback=self._opened,
            on_open_error_callback=self._not_opened,
            on_close_callback=self._closed,
        )
        connection.add_on_connection_blocked_callback(lambda *_: self._set_blocked(True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._set_blocked(False))
        return connection

    def _set_blocked(self, blocked: bool) -> None:
        log.warning("broker is short of memory or disk" if blocked else "broker takes messages")
        self._blocked = blocked
        self._flush()

    def _soon(self, work: Callable[[], None]) -> None:
        """Have the connection's thread do something; what waits needs no loop to be there."""
        with self._loop_lock:
            if self._connection is not None:
                self._connection.ioloop.add_callback_threadsafe(work)

    def _opened(self, connection: SelectConnection) -> None:
        # The journal first: what is published before it stands, it would never remember.
        self._declare_journal(
            connection, lambda: connection.channel(on_open_callback=self._channel_opened)
        )

    def _declare_journal(
        self, connection: SelectConnection, then: Callable[[], object] = lambda: None
    ) -> None:
        """Declare the journal, trying again for as long as RabbitMQ will not; do `then` at once."""

        def opened(channel: Channel) -> None:
            channel.add_on_close_callback(closed)
            topology.declare_journal(channel, days=self._journal_days, then=channel.close)

        def closed(_channel: Channel, reason: Exception) -> None:
            if not connection.is_open:
                return
            if isinstance(reason, ChannelClosedByClient):
                then()
                return
            log.warning("the journal is not there; asking again", error=plain(reason))
            if self._needs_journal:
                # RabbitMQ would confirm what the journal never gets.
                again = partial(self._declare_journal, connection, then)
                connection.ioloop.call_later(_JOURNAL_AT_ONCE, again)
                return
            again = partial(self._declare_journal, connection)
            connection.ioloop.call_later(_JOURNAL_SECONDS, again)
            then()

        if connection.is_open:
            connection.channel(on_open_callback=opened)

    def _not_opened(self, connection: SelectConnection, error: BaseException) -> None:
        log.warning("broker is away", error=plain(error))
        connection.ioloop.stop()

    def _channel_opened(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_return_callback(self._on_return)
        topology.declare(channel, self._queues)
        channel.basic_consume(_REPLIES, self._on_reply, auto_ack=True)
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._ready(channel))

    def _ready(self, channel: Channel) -> None:
        self._channel = channel
        self._published = 0
        self._stood_since = time.monotonic()
        self._connected.set()
        log.info("broker is there", waiting=len(self._waiting))
        for subscription in tuple(self._subscriptions):
            subscription.open(channel.connection)
        for callback in self._on_connected:
            callback()
        self._flush()
        self._watch(channel, None)

    def _watch(self, channel: Channel, oldest: int | None) -> None:
        """Break a connection on which nothing is confirmed any more: all is sent on the next one.

        A queue that lost its leader may never confirm what it was sent before.
        """
        connection: Any = channel.connection
        if self._channel is not channel or not connection.is_open:
            return
        now = next(iter(self._unconfirmed), None)
        if now is not None and now == oldest and not self._blocked:
            log.error(
                "broker confirms nothing; connecting anew", unconfirmed=len(self._unconfirmed)
            )
            connection.close()
        else:
            connection.ioloop.call_later(_OVERDUE_SECONDS, partial(self._watch, channel, now))

    def _channel_closed(self, _channel: Channel, reason: Exception) -> None:
        connection = self._connection
        if connection is not None and connection.is_open:
            log.error("broker closed the channel", error=plain(reason))
            connection.close()

    def _closed(self, connection: SelectConnection, reason: BaseException) -> None:
        self._release(plain(reason))
        connection.ioloop.stop()

    def _release(self, reason: str) -> None:
        """Take back what the broker had not confirmed, and let nobody wait for an answer."""
        self._connected.clear()
        self._blocked = False
        self._channel = None
        if not self._stopping.is_set():
            log.warning("broker connection broke", error=reason, unsent=self.backlog)
        requests, self._requests = self._requests, {}
        sent = {id(future) for _, future in self._unconfirmed.values()}
        for reply, published in requests.values():
            # Whoever asked is told now and may ask again: what is sent later would be done twice.
            published.cancel()
            if id(published) in sent or (published.done() and not published.cancelled()):
                _fail(reply, PossiblySent("the connection broke while it was under way"))
            else:
                _fail(reply, BrokerAway("the connection to the broker broke"))
        with self._lock:
            self._waiting.extendleft(reversed(self._unconfirmed.values()))
            self._unconfirmed.clear()
            self._flushing = self._gathering = False
        self._returned.clear()

    def _close(self) -> None:
        connection = self._connection
        if connection is not None and connection.is_open:
            connection.close()
        elif connection is not None:
            connection.ioloop.stop()

    def _flush(self) -> None:
        """Send what waits, as far as the window goes."""
        sent = 0
        while (following := self._following(sent)) is not None:
            message, future = following
            channel: Any = self._channel
            sent += 1
            self._published += 1
            self._unconfirmed[self._published] = (message, future)
            channel.basic_publish(
                message.exchange,
                message.routing_key,
                message.body,
                message.properties(),
                mandatory=message.mandatory,
            )

    def _following(self, sent: int) -> _Waiting | None:
        """Return what is to be sent next; none where nothing waits or nothing can be sent.

        That nothing waits and that whoever publishes from now on has to wake us is one step: in
        between, a message would be left to nobody.
        """
        channel: Any = self._channel
        is_up = channel is not None and channel.is_open and not self._blocked
        with self._lock:
            while is_up and self._waiting and len(self._unconfirmed) < self._window:
                message, future = self._waiting.popleft()
                if not future.cancelled():
                    return message, future
            # Waking a thread takes longer than all else that a message needs: for a moment after
            # something was sent, we look by ourselves.
            if is_up and sent and not self._gathering:
                self._gathering = True
                channel.connection.ioloop.call_later(_GATHER_SECONDS, self._gathered)
            # With a full window, a confirm has us look.
            self._flushing = is_up and (self._gathering or bool(self._waiting))
        return None

    def _gathered(self) -> None:
        self._gathering = False
        self._flush()

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        tags = [method.delivery_tag]
        if method.multiple:
            # They are in the order in which they were sent.
            tags = list(takewhile(lambda tag: tag <= method.delivery_tag, self._unconfirmed))
        for tag in tags:
            message, future = self._unconfirmed.pop(tag)
            if isinstance(method, Basic.Nack):
                _fail(future, BrokerAway(f"the broker refused {message.message_id}"))
            elif message.message_id in self._returned:
                self._returned.discard(message.message_id)
                _fail(future, Unroutable(f"{message.exchange}/{message.routing_key}"))
            else:
                _end(future, None)
        self._flush()

    def _on_return(
        self, _channel: Channel, _method: Basic.Return, properties: BasicProperties, _body: bytes
    ) -> None:
        # RabbitMQ sends it before the confirm of the same message.
        self._returned.add(properties.message_id or "")

    def _on_reply(
        self, _channel: Channel, _method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        reply, _ = self._requests.pop(properties.correlation_id or "", (None, None))
        if reply is not None:
            _end(reply, body)

    def _not_published(self, correlation_id: str, published: "Future[None]") -> None:
        error = None if published.cancelled() else published.exception()
        if error is not None:
            reply, _ = self._requests.pop(correlation_id, (None, None))
            if reply is not None:
                _fail(reply, error)

    def _idle(self) -> bool:
        return not self._waiting and not self._unconfirmed

    def _when_idle(self, idle: threading.Event) -> None:
        connection = self._connection
        if self._idle() or connection is None or not connection.is_open:
            idle.set()
        else:
            connection.ioloop.call_later(0.02, partial(self._when_idle, idle))


def _end(future: Future[T], result: T) -> None:
    if future.set_running_or_notify_cancel():
        future.set_result(result)


def _fail(future: Future[Any], error: BaseException) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)
