"""Records (CDRs) that may know better than what was seen: the queue `events.cdr`.

One process takes a record out of the queue, and another may speak for the record's switch: then it
is passed on to a queue of that switch's own.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import structlog

from services.events.records import as_event
from services.events.teller import Teller
from shared.broker.connection import Broker
from shared.broker.message import Delivery, Message
from shared.telephony.records import NotARecord

QUEUE = "events.cdr"
_PREFETCH = 2000
_POLL_SECONDS = 0.2
_LONGEST_HOLD = 120.0

log = structlog.get_logger(__name__)


def queue_of(switch: str) -> str:
    """Return the name of the queue for the records of one switch."""
    return f"{QUEUE}.{switch}"


@dataclass(frozen=True, slots=True)
class _Held:
    leg_id: str
    teller: Teller
    delivery: Delivery
    since: float


class Records:
    """Hands each record to who speaks for its switch, and acks it once it is not needed."""

    def __init__(self, broker: Broker, speakers: Mapping[str, Callable[[], Teller | None]]) -> None:
        self._broker = broker
        self._speakers = speakers
        self._deliveries: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._held: list[_Held] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)
        self._all = broker.consume(QUEUE, self._deliveries.put, prefetch=_PREFETCH)
        self._own = {
            name: broker.consume(queue_of(name), self._deliveries.put, prefetch=_PREFETCH)
            for name in speakers
        }
        self._taking: dict[str, bool] = {}

    def start(self) -> None:
        """Begin to take records; return at once."""
        self._take_in_turn()
        self._thread.start()

    def stop(self) -> None:
        """Take no more; what is not acked is delivered again."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        due = 0.0
        while not self._stopping.is_set():
            if time.monotonic() >= due:
                self._take_in_turn()
                self._let_go()
                due = time.monotonic() + _POLL_SECONDS
            try:
                self._hand_on(self._deliveries.get(timeout=_POLL_SECONDS))
            except queue.Empty:
                continue

    def _take_in_turn(self) -> None:
        """Take records while we speak: who stands by could do nothing with them."""
        speaking = {name: speaker() is not None for name, speaker in self._speakers.items()}
        wanted = {**speaking, "": any(speaking.values())}
        for name, subscription in (*self._own.items(), ("", self._all)):
            if self._taking.get(name, True) != wanted[name]:
                self._taking[name] = wanted[name]
                (subscription.resume if wanted[name] else subscription.pause)()

    def _hand_on(self, delivery: Delivery) -> None:
        try:
            switch, headers = as_event(delivery.body)
        except NotARecord as error:
            # The writer of records buries it; here it says nothing about any call.
            log.warning("no record", error=str(error))
            delivery.ack()
            return
        leg_id = headers.get("Unique-ID", "")
        teller = self._speaker_of(leg_id, switch)
        if teller is not None:
            try:
                teller.record(headers)
            except Exception:
                log.exception("record not understood", leg_id=leg_id)
            self._held.append(_Held(leg_id, teller, delivery, time.monotonic()))
        elif delivery.queue == QUEUE:
            self._pass_on(switch, delivery)
        else:
            delivery.reject()

    def _speaker_of(self, leg_id: str, switch: str) -> Teller | None:
        tellers = {name: speaker() for name, speaker in self._speakers.items()}
        for teller in tellers.values():
            if teller is not None and teller.knows(leg_id):
                return teller
        if switch in tellers:
            return tellers[switch]
        # A switch that names itself otherwise than we do, where there is no doubt which it is.
        return next(iter(tellers.values())) if len(tellers) == 1 else None

    def _pass_on(self, switch: str, delivery: Delivery) -> None:
        message = Message(
            exchange="",
            routing_key=queue_of(switch),
            body=delivery.body,
            type=delivery.type,
            headers=delivery.headers,
        )

        def sent(confirmed: "Future[None]") -> None:
            if confirmed.exception() is not None:
                log.warning("record of a switch that nobody hears", switch=switch)
            delivery.ack()

        self._broker.publish(message).add_done_callback(sent)

    def _let_go(self) -> None:
        """Ack what is not needed any more: its leg's end was told."""
        now = time.monotonic()
        kept = []
        for held in self._held:
            if held.teller.needs_record(held.leg_id) and now - held.since < _LONGEST_HOLD:
                kept.append(held)
            else:
                held.delivery.ack()
        self._held = kept
