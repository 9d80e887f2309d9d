"""Events on their way to the broker: in a window while it is there, on disk while it is away.

Who sends never waits. What the broker has not confirmed is kept in the order in which it was sent,
so that after an outage the disk holds all of it, and nothing is sent ahead of it.
"""

import threading
from collections import deque
from concurrent.futures import Future, wait
from dataclasses import replace
from enum import StrEnum
from functools import partial

import orjson
import structlog
from prometheus_client import Counter, Gauge

from shared.broker.connection import Broker
from shared.broker.message import Message, Unsendable
from shared.broker.resend import resend
from shared.spool import Spool, SpoolUnwritable

_SPOOLED = Gauge("voice_events_spooled", "Business events on disk, for the broker", ["switch"])
_LOST = Counter("voice_events_lost", "Business events that were given up", ["type", "why"])

_TRIES = 8
_LONGEST_PAUSE = 30.0
_POLL_SECONDS = 0.1
_AT_ONCE = 500
_MOST_FLYING = 10_000  # a broker that is slower than we are must not cost us our memory
_CONFIRM_SECONDS = 10.0
_STOP_SECONDS = 2.0

log = structlog.get_logger(__name__)


class WhenFull(StrEnum):
    """What is done when the spool has reached its bound."""

    PAUSE = "pause"
    """The switch is not listened to until there is room; what it did then is concluded."""
    DROP = "drop"
    """New events are given up, and counted."""


class Outbox:
    """Sends one switch's events, in order, for as long as it takes."""

    def __init__(  # noqa: PLR0913
        self,
        switch: str,
        broker: Broker,
        spool: Spool,
        *,
        most: int,
        when_full: WhenFull,
        most_flying: int = _MOST_FLYING,
    ) -> None:
        self._switch = switch
        self._broker = broker
        self._spool = spool
        self._most = most
        self._most_flying = most_flying
        self._when_full = when_full
        self._lock = threading.RLock()
        self._flying: dict[int, Message] = {}  # sent and not confirmed, in order
        self._futures: dict[int, Future[None]] = {}
        self._next = 0
        self._waiting: deque[Message] = deque()  # for the disk
        self._spooled = 0
        self._held_to = 0
        self.is_spooling = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"outbox-{switch}", daemon=True)
        self._gauge = _SPOOLED.labels(switch)

    def start(self) -> None:
        """Begin to watch the broker; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Put on disk what the broker does not confirm in a moment."""
        self._stopping.set()
        self._thread.join(timeout=5)
        if self._broker.connected:
            wait(list(self._futures.values()), timeout=_STOP_SECONDS)
        with self._lock:
            self._ground()
        try:
            self._write()
        except SpoolUnwritable as error:
            log.error("spool not written", error=str(error), events=len(self._waiting))  # noqa: TRY400

    @property
    def is_full(self) -> bool:
        """Whether the spool has reached its bound, and the switch is not to be listened to."""
        return self._when_full is WhenFull.PAUSE and self._kept >= self._most

    @property
    def is_empty(self) -> bool:
        """Whether the broker has everything."""
        return not self._flying and not self._kept

    def send(self, message: Message) -> None:
        """Have a message sent; return at once."""
        with self._lock:
            if not self.is_spooling and len(self._flying) < self._most_flying:
                self._publish(message)
            elif (error := _unsendable(message)) is not None:
                self._lose(message, error)
            elif self._when_full is WhenFull.DROP and self._kept >= self._most:
                _LOST.labels(message.type, "spool full").inc()
            else:
                if not self.is_spooling:
                    self.is_spooling = True
                    log.warning("broker is slow; events go to the disk", switch=self._switch)
                self._waiting.append(message)

    def hold(self) -> None:
        """Keep what is not confirmed on disk until `left` is asked for: another may speak now."""
        with self._lock:
            self._ground()
        self._write()
        with self._lock:
            self._held_to = self._spool.last_place
            self._spooled = len(self._spool)

    def left(self) -> list[tuple[int, Message]]:
        """Return what is held, by us or left behind by an earlier process, each with its place."""
        rows = self._spool.oldest(self._spooled)
        return [
            (place, _unpacked(name, body)) for place, name, body in rows if place <= self._held_to
        ]

    def forget(self, places: list[int]) -> None:
        """Take from the disk what was held and has been sent again."""
        self._spool.remove(*places)
        with self._lock:
            self._held_to = 0
            self._spooled = max(0, self._spooled - len(places))

    @property
    def _kept(self) -> int:
        return self._spooled + len(self._waiting)

    def _publish(self, message: Message) -> None:
        place = self._next
        self._next += 1
        self._flying[place] = message
        self._try(place, 1)

    def _try(self, place: int, tries: int) -> None:
        future = self._broker.publish(self._flying[place])
        self._futures[place] = future
        future.add_done_callback(partial(self._sent, place, tries))

    def _sent(self, place: int, tries: int, confirmed: "Future[None]") -> None:
        if confirmed.cancelled():
            return
        error = confirmed.exception()
        with self._lock:
            self._futures.pop(place, None)
            message = self._flying.get(place)
            if error is None or isinstance(error, Unsendable):
                self._flying.pop(place, None)
        if message is None or error is None:
            return
        if isinstance(error, Unsendable):
            self._lose(message, error)
            return
        # A broker that is there and says no, because a queue somewhere is full or without its
        # leader; all others have the event already. It is asked again with growing patience.
        log.warning("event not taken yet", type=message.type, tries=tries, error=str(error))
        pause = min(2.0 ** min(tries, _TRIES), _LONGEST_PAUSE)
        timer = threading.Timer(pause, self._again, [place, tries + 1])
        timer.daemon = True
        timer.start()

    def _lose(self, message: Message, error: Unsendable) -> None:
        _LOST.labels(message.type, "unsendable").inc()
        log.error("event cannot be sent", type=message.type, error=str(error))

    def _again(self, place: int, tries: int) -> None:
        with self._lock:
            if place in self._flying:
                self._try(place, tries)

    def _run(self) -> None:
        is_loud = False
        while not self._stopping.wait(_POLL_SECONDS):
            try:
                if not self._broker.connected and (self._flying or not self.is_spooling):
                    self._take_back()
                # The disk holds what comes later than all that is under way.
                if self.is_spooling and not self._flying:
                    self._write()
                    self._drain()
                    self._gauge.set(self._kept)
            except SpoolUnwritable as error:
                log.error("spool not written", error=str(error), events=len(self._waiting))  # noqa: TRY400
            if (self._kept >= self._most) != is_loud:
                is_loud = not is_loud
                (log.error if is_loud else log.info)(
                    "spool full" if is_loud else "spool has room",
                    switch=self._switch,
                    most=self._most,
                    now=self._when_full,
                )

    def _take_back(self) -> None:
        with self._lock:
            self.is_spooling = True
            self._ground()
        log.warning("broker is away; events go to the disk", switch=self._switch)

    def _ground(self) -> None:
        """Take back what is under way, ahead of what came later."""
        for future in self._futures.values():
            future.cancel()
        self._waiting.extendleft(reversed(self._flying.values()))
        self._flying.clear()
        self._futures.clear()

    def _write(self) -> None:
        while self._waiting:
            messages = list(self._waiting)[:_AT_ONCE]
            self._spool.extend([_packed(message) for message in messages])
            with self._lock:
                for _ in messages:
                    self._waiting.popleft()
                self._spooled += len(messages)

    def _drain(self) -> None:
        """Send what the disk holds, oldest first; when it holds nothing, send directly again."""
        while self._broker.connected and not self._stopping.is_set():
            rows = self._spool.oldest(_AT_ONCE, after=self._held_to)
            if not rows:
                with self._lock:
                    if self._waiting:
                        return
                    self.is_spooling = False
                log.info("spool sent", switch=self._switch)
                return
            waiting = [(place, _unpacked(name, body)) for place, name, body in rows]
            count = resend(self._broker, self._spool, waiting, timeout=_CONFIRM_SECONDS)
            self._spooled = max(0, self._spooled - count)
            if count < len(rows):
                return


def _unsendable(message: Message) -> Unsendable | None:
    """Return why no broker would take a message: on the disk it would hold up all others."""
    try:
        message.check()
    except Unsendable as error:
        return error
    return None


def _packed(message: Message) -> tuple[str, bytes]:
    envelope = {
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "type": message.type,
        "message_id": message.message_id,
        "content_type": message.content_type,
        "correlation_id": message.correlation_id,
        "headers": dict(message.headers),
    }
    return orjson.dumps(envelope).decode(), message.body


def _unpacked(name: str, body: bytes) -> Message:
    return replace(Message(exchange="", routing_key="", body=body), **orjson.loads(name))
