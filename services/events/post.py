"""One switch's post: its state is taken from the journal, its events are heard, and told in turn.

Every process that is to speak for a switch goes through the same steps. It reads the journal up to
now, listens to the switch, and asks for its turn; until it has it, it follows what the speaker
tells. Then it makes sure that it has read all of that, and speaks.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

import orjson
import structlog

from services.events.comparison import Comparison
from services.events.life import SUBSCRIPTION, SwitchLife
from services.events.listener import Listener
from services.events.outbox import Outbox
from services.events.recall import Told
from services.events.teller import Teller
from shared.broker import last_value, topology
from shared.broker.connection import Broker
from shared.broker.events import message_of
from shared.broker.message import BrokerAway, BrokerRefused, Delivery, Message
from shared.messages.events import Event, moment, now
from shared.switch.address import SwitchAddress

_PROBE = "journal.probe"
_PREFETCH = 1000
_SECOND = 1_000_000
_POLL_SECONDS = 0.25
_ANSWER_SECONDS = 5.0
_MARK_SECONDS = 10.0
_REMEMBER = 15 * 60 * _SECOND
# Of the clocks of the switch, the broker and us.
_CLOCKS_DIFFER = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class Interrupted(Exception):
    """The step cannot be finished; all begins again."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What a post uses that is not the broker's or the switch's."""

    phones: Callable[[str], list[tuple[str, str]]]
    """Who was registered on a switch, as the database has it; empty where it is away."""
    grace_seconds: float


class Post:
    """Hears and speaks for one switch, for as long as it is not stopped."""

    def __init__(
        self, address: SwitchAddress, broker: Broker, outbox: Outbox, beside: Beside
    ) -> None:
        self._address = address
        self._broker = broker
        self._outbox = outbox
        self._beside = beside
        self._journal: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._has_turn = threading.Event()
        self._stopping = threading.Event()
        self._teller: Teller | None = None
        self._listener: Listener | None = None
        self._thread = threading.Thread(target=self._run, name=f"post-{address.name}", daemon=True)
        broker.take_turn(
            f"events.speaker.{address.name}",
            on_taken=self._has_turn.set,
            on_refused=self._has_turn.clear,
        )

    @property
    def name(self) -> str:
        """The switch's name."""
        return self._address.name

    def is_heard(self) -> bool:
        """Whether the switch is heard, by the speaker or by one who can take over."""
        return self._listener is not None and self._listener.up

    def speaker(self) -> Teller | None:
        """Who tells what the switch says; None while another process does."""
        teller = self._teller
        return teller if teller is not None and teller.speaks else None

    def start(self) -> None:
        """Begin; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Hear no more."""
        self._stopping.set()
        self._thread.join(timeout=8)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._serve()
            except Interrupted as error:
                log.warning("post begins anew", switch=self.name, why=str(error))
                self._stopping.wait(1)
            except Exception:
                log.exception("post failed; it begins anew", switch=self.name)
                self._stopping.wait(1)

    def _serve(self) -> None:
        while not self._broker.wait_connected(_POLL_SECONDS):
            if self._stopping.is_set():
                return
        self._outbox.hold()
        self._journal = queue.SimpleQueue()
        life = SwitchLife(self.name, grace_us=round(self._beside.grace_seconds * _SECOND))
        teller = Teller(self.name, life, self._outbox.send)
        had_turn = self._has_turn.is_set()
        with ExitStack() as ending:
            offset = self._where_to_begin(teller)
            following = self._broker.follow(
                topology.JOURNAL, offset, self._journal.put, prefetch=_PREFETCH
            )
            ending.callback(self._broker.abandon, following)
            self._take_state(teller, life)
            self._listen(teller)
            ending.callback(self._leave)
            if not had_turn:
                self._stand_by(teller)
                self._follow_to_now(teller)
            # Who speaks need not hear itself: what it tells would come back, all of it.
            self._broker.abandon(following)
            self._speak(teller)

    def _take_state(self, teller: Teller, life: SwitchLife) -> None:
        began = time.monotonic()
        read = self._follow_to_now(teller)
        for extension, domain in self._beside.phones(self.name):
            life.phone_was_registered(extension, domain)
        seconds = round(time.monotonic() - began, 3)
        log.info("state taken", switch=self.name, events=read, live=life.live, seconds=seconds)

    def _leave(self) -> None:
        listener, self._listener, self._teller = self._listener, None, None
        if listener is not None:
            listener.stop()

    # -- the steps ----------------------------------------------------------------------------

    def _where_to_begin(self, teller: Teller) -> str | datetime:
        """Return where in the journal all calls that may still be open begin."""
        try:
            kept = last_value.last(self._broker, self._mark).result(_ANSWER_SECONDS)
        except (BrokerAway, BrokerRefused, TimeoutError) as error:
            raise Interrupted(f"the broker: {error!r}") from error
        try:
            since = int(orjson.loads(kept[0])) if kept else None
        except (ValueError, TypeError):
            since = None
        if since is None:
            return "first"
        teller.remember_since(since)
        return moment(since) - _CLOCKS_DIFFER

    def _follow_to_now(self, teller: Teller) -> int:
        """Take in the journal up to a message of our own; return how many events that were."""
        probe = self._probe()
        sent = self._broker.publish(probe)
        count = 0
        try:
            while True:
                delivery = self._next()
                if delivery is None:
                    continue
                if delivery.message_id == probe.message_id:
                    return count
                count += self._recall(teller, delivery)
        finally:
            sent.cancel()

    def _probe(self) -> Message:
        """Return a message for the journal alone; an event like all others for who reads it."""
        event = Event(
            type=_PROBE,
            source="/service/events",
            subject=self.name,
            at=now(),
            fact=str(uuid4()),
            data={"switch": self.name},
        )
        return replace(message_of(event), exchange="", routing_key=topology.JOURNAL)

    def _next(self) -> Delivery | None:
        try:
            return self._journal.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            if self._stopping.is_set():
                raise Interrupted("it is to stop") from None
            return None

    def _recall(self, teller: Teller, delivery: Delivery) -> bool:
        """Take in one message of the journal; tell whether it was of this switch."""
        try:
            envelope = orjson.loads(delivery.body)
            if not isinstance(envelope, dict):
                return False
            if envelope.get("source") != f"/switch/{self.name}":
                return False
            told = Told.of(envelope)
        except (KeyError, TypeError, ValueError) as error:
            log.warning("not understood in the journal", error=repr(error))
            return False
        if not teller.remembers_since:
            teller.remember_since(told.at)
        teller.recall(told)
        return True

    def _listen(self, teller: Teller) -> None:
        if not teller.remembers_since:
            teller.remember_since(now())
        comparison = Comparison(teller)
        listener = Listener(
            self._address,
            SUBSCRIPTION,
            on_event=comparison.hear,
            on_up=comparison.link_up,
            on_down=teller.switch_down,
            may_listen=lambda: not self._outbox.is_full,
        )
        comparison.by(listener)
        self._teller, self._listener = teller, listener
        listener.start()

    def _stand_by(self, teller: Teller) -> None:
        """Follow the speaker until it is our turn."""
        log.info("standing by", switch=self.name)
        while not self._has_turn.is_set():
            delivery = self._next()
            if delivery is not None:
                self._recall(teller, delivery)
            teller.tick()

    def _speak(self, teller: Teller) -> None:
        # Once more: who spoke until now may have left something in the same place.
        self._outbox.hold()
        left = self._outbox.left()
        teller.speak([(Told.of(orjson.loads(message.body)), message) for _, message in left])
        self._outbox.forget([place for place, _ in left])
        log.info("speaking", switch=self.name, left=len(left))
        marked = 0.0
        while not self._stopping.wait(_POLL_SECONDS):
            teller.tick()
            if not self._has_turn.is_set():
                raise Interrupted("another process speaks for it now")
            if time.monotonic() - marked > _MARK_SECONDS and self._broker.connected:
                marked = time.monotonic()
                self._set_mark(teller)

    @property
    def _mark(self) -> str:
        return f"events.mark.{self.name}"

    def _set_mark(self, teller: Teller) -> None:
        """Keep where the journal has to be read from; not while events of before wait for it."""
        if not self._outbox.is_empty:
            return
        recent = now() - _REMEMBER
        since = max(teller.remembers_since, min(recent, teller.oldest or recent))
        last_value.keep(self._broker, self._mark, orjson.dumps(since))
