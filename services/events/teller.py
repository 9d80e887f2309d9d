"""One switch, heard and told: its events go in, business events come out, told or kept.

Of several processes that hear one switch, one speaks. The others keep what they would have said
until the journal shows that it was said, so that each can go on where the speaker stopped.
"""

import threading
from collections import Counter as Tally
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
import structlog
from prometheus_client import Counter, Gauge

from services.events.ledger import Ledger
from services.events.life import SwitchLife
from services.events.recall import Told
from shared.broker.events import message_of
from shared.broker.message import Message
from shared.messages.events import Event, now

_TOLD = Counter("voice_events_told", "Business events given to the broker", ["type"])
_CONCLUDED = Counter("voice_events_synthetic", "Business events that were concluded", ["type"])
_HEARD = Counter("voice_events_heard", "Events heard from a switch", ["switch"])
_MISSED = Counter("voice_events_missed", "Events of a switch that were a fault of ours", ["switch"])
_LIVE = Gauge("voice_calls_live", "Calls told of and not ended", ["switch"])

_WORTH_A_LINE = {"call.ended", "call.corrected"}
_MOST_UNSAID = 200_000

log = structlog.get_logger(__name__)


class Teller:
    """Hears one switch, and speaks for it when it is its turn. Any thread may call it."""

    def __init__(self, switch: str, life: SwitchLife, send: Callable[[Message], None]) -> None:
        self.switch = switch
        self._life = life
        self._send = send
        self._ledger = Ledger()
        self._lock = threading.Lock()
        self._speaks = False
        self._unsaid: OrderedDict[str, Event] = OrderedDict()
        self._link: tuple[str, dict[str, Any]] | None = None
        self._counted: Tally[str] = Tally()  # since the last tick: told, by type
        self._heard = 0  # since the last tick
        self._live = _LIVE.labels(switch)

    @property
    def speaks(self) -> bool:
        """Whether what is heard is told."""
        return self._speaks

    # -- the switch ---------------------------------------------------------------------------

    def hear(self, headers: Mapping[str, Any]) -> None:
        """Tell what an event of the switch means."""
        try:
            with self._lock:
                self._heard += 1
                self._tell(self._life.observe(headers))
        except Exception:
            # One event that we do not understand must not make us deaf to all others.
            _MISSED.labels(self.switch).inc()
            log.exception("event not understood", name=headers.get("Event-Name"))

    def switch_up(self, core_uuid: str | None) -> None:
        """Tell that the switch is heard again, and which run of it."""
        with self._lock:
            if core_uuid is not None:
                self._tell(self._life.core(core_uuid, now()))
            self._link_is("switch.up", core_uuid=core_uuid)

    def switch_down(self, reason: str) -> None:
        """Tell that the switch is not heard any more."""
        with self._lock:
            self._life.link_broke()
            self._link_is("switch.down", reason=reason)

    def channels(
        self, rows: Sequence[Mapping[str, Any]], calls: Sequence[Mapping[str, Any]]
    ) -> list[str]:
        """Compare with the switch's lists; return the legs whose `uuid_dump` is wanted."""
        with self._lock:
            closer = self._life.channels(rows, calls, now())
            self._tell(self._life.drain())
        return closer

    def agents(self, rows: list[dict[str, str]]) -> None:
        """Tell what agents became without having been heard."""
        with self._lock:
            self._tell(self._life.agents(rows, now()))

    def are_phones_in_doubt(self) -> bool:
        """Tell, once, that the switch's list of phones is wanted."""
        return self._life.are_phones_in_doubt()

    def registrations(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Tell who is registered, or is not any more, without having been heard."""
        with self._lock:
            self._tell(self._life.registrations(rows, now()))

    # -- what else is known -------------------------------------------------------------------

    def record(self, headers: Mapping[str, Any]) -> None:
        """Tell what a record of a leg proves."""
        with self._lock:
            self._tell(self._life.record(headers, now()))

    def needs_record(self, leg_id: str) -> bool:
        """Tell whether the record of a leg may still be needed."""
        with self._lock:
            return not self._life.is_settled(leg_id)

    def knows(self, name: str) -> bool:
        """Tell whether a call or a leg is under way, or is remembered as ended."""
        with self._lock:
            return self._life.knows(name)

    def left_no_trace(
        self, call_id: str, variables: dict[str, str], cause: str | None, at: int, reason: str
    ) -> None:
        """Tell of a call that was commanded and of which the switch showed nothing."""
        with self._lock:
            self._tell(self._life.left_no_trace(call_id, variables, cause, at, reason))

    def tick(self) -> None:
        """Tell what is concluded because its time has come."""
        with self._lock:
            self._tell(self._life.tick(now()))
            self._count()

    def _count(self) -> None:
        """Bring the metrics up to date: at each event it would take longer than much else."""
        self._live.set(self._life.live)
        _HEARD.labels(self.switch).inc(self._heard)
        self._heard = 0
        for kind, count in self._counted.items():
            _TOLD.labels(kind).inc(count)
        self._counted.clear()

    @property
    def legs(self) -> int:
        """How many legs live, as far as is known."""
        with self._lock:
            return self._life.legs

    @property
    def oldest(self) -> int | None:
        """When the oldest call under way began, in microseconds; None where there is none."""
        with self._lock:
            return self._life.oldest

    @property
    def remembers_since(self) -> int:
        """Calls that ended later than this are known, if they were told."""
        return self._life.remembers_since

    def remember_since(self, at: int) -> None:
        """Note that what was told before this is not known."""
        self._life.remember_since(at)

    # -- the journal, and our turn to speak ---------------------------------------------------

    def recall(self, told: Told) -> None:
        """Take in what was told, by us before or by whoever speaks now."""
        with self._lock:
            self._ledger.note(told.id, told.subject, told.type, told.sequence)
            self._unsaid.pop(told.id, None)
            self._life.recall(told)

    def speak(self, left: Iterable[tuple[Told, Message]]) -> None:
        """Begin to tell, first what nobody has told yet.

        `left` is what an earlier process had told when it ended and the broker did not have.
        """
        with self._lock:
            self._speaks = True
            for told, message in left:
                self._tell_again(told, message)
            unsaid, self._unsaid = self._unsaid, OrderedDict()
            self._tell(unsaid.values())
            if self._link is not None:
                self._link_is(self._link[0], **self._link[1])

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            if self._speaks:
                self._say(event)
            elif not self._ledger.was_told(event.id, event.subject):
                self._unsaid[event.id] = event
                if len(self._unsaid) > _MOST_UNSAID:
                    self._unsaid.popitem(last=False)

    def _say(self, event: Event) -> None:
        body = self._ledger.encode(event)
        if body is None:
            return
        self._counted[event.type] += 1
        if "synthetic" in event.data:
            _CONCLUDED.labels(event.type).inc()
        if event.type in _WORTH_A_LINE:
            log.info(event.type, call_id=event.subject, outcome=event.data.get("outcome"))
        self._send(message_of(event, body))

    def _tell_again(self, told: Told, message: Message) -> None:
        if self._ledger.was_told(told.id, told.subject):
            return
        self._life.recall(told)
        if told.sequence is None:
            self._ledger.note(told.id, told.subject, told.type, None)
            self._send(message)
            return
        # Another may have spoken meanwhile: the number is given anew.
        sequence = self._ledger.renumber(told.id, told.subject, told.type)
        body = orjson.dumps({**orjson.loads(message.body), "sequence": str(sequence)})
        self._send(replace(message, body=body))

    def _link_is(self, kind: str, **data: Any) -> None:
        self._link = (kind, data)
        if not self._speaks:
            return
        at = now()
        self._say(
            Event(
                type=kind,
                source=f"/switch/{self.switch}",
                subject=self.switch,
                at=at,
                fact=str(at),
                data={"switch": self.switch, **data},
            )
        )
