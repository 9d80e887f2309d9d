"""One switch, heard and told: its events go in, business events go to the broker.

The reader never waits for the broker: what is told is handed over and confirmed in its own time.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import structlog
from prometheus_client import Counter

from services.events.life import SwitchLife
from shared.broker import topology
from shared.broker.message import LONGEST_SHORT, Message, Unsendable
from shared.messages.events import CONTENT_TYPE, Event, headers

_TOLD = Counter("voice_events_told", "Business events given to the broker", ["type"])
_HEARD = Counter("voice_events_heard", "Events heard from a switch", ["switch"])
_LOST = Counter("voice_events_lost", "Business events that some queue never took", ["type"])
_MISSED = Counter("voice_events_missed", "Events of a switch that were a fault of ours", ["switch"])

_TRIES = 8
_LONGEST_PAUSE = 30.0
_WORTH_A_LINE = {"call.created", "call.ended"}

log = structlog.get_logger(__name__)


class Teller:
    """Speaks for one switch."""

    def __init__(self, switch: str, publish: Callable[[Message], "Future[None]"]) -> None:
        self._switch = switch
        self._publish = publish
        self._life = SwitchLife(switch)
        self._heard = _HEARD.labels(switch)

    def hear(self, headers: Mapping[str, Any]) -> None:
        """Tell what an event of the switch means."""
        self._heard.inc()
        try:
            self._tell(self._life.observe(headers))
        except Exception:
            # One event that we do not understand must not make us deaf to all others.
            _MISSED.labels(self._switch).inc()
            log.exception("event not understood", name=headers.get("Event-Name"))

    def switch_up(self) -> None:
        """Tell that the switch is heard again."""
        self._tell([self._link_event("switch.up")])

    def are_phones_in_doubt(self) -> bool:
        """Tell, once, that the switch's list of phones is wanted."""
        return self._life.are_phones_in_doubt()

    def registrations(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Tell who is registered, or is not any more, without having been heard."""
        self._tell(self._life.registrations(rows, time.time_ns() // 1000))

    def switch_down(self, reason: str) -> None:
        """Tell that the switch is not heard any more."""
        self._life.link_broke()
        self._tell([self._link_event("switch.down", reason=reason)])

    def _link_event(self, kind: str, **data: Any) -> Event:
        at = time.time_ns() // 1000
        return Event(
            type=kind,
            source=f"/switch/{self._switch}",
            subject=self._switch,
            at=at,
            fact=str(at),
            data={"switch": self._switch, **data},
        )

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            _TOLD.labels(event.type).inc()
            if event.type in _WORTH_A_LINE:
                log.info(event.type, call_id=event.subject, outcome=event.data.get("outcome"))
            self._send(
                Message(
                    exchange=topology.EVENTS,
                    routing_key=event.type,
                    body=event.encode(),
                    type=event.type,
                    message_id=str(event.id),
                    content_type=CONTENT_TYPE,
                    correlation_id=_short(event.subject),
                    headers=headers(event),
                )
            )

    def _send(self, message: Message, tries: int = 1) -> None:
        self._publish(message).add_done_callback(partial(self._sent, message, tries))

    def _sent(self, message: Message, tries: int, confirmed: "Future[None]") -> None:
        # The broker keeps what it could not take while it is away. This is a broker that is there
        # and says no, because a queue somewhere is full or without its leader; all others have the
        # event already, so it is asked again with growing patience, and not for ever.
        error = confirmed.exception()
        if error is None:
            return
        if isinstance(error, Unsendable) or tries == _TRIES:
            _LOST.labels(message.type).inc()
            log.error("event not taken", type=message.type, id=message.message_id, error=str(error))
            return
        log.warning("event not taken yet", type=message.type, tries=tries, error=str(error))
        timer = threading.Timer(min(2**tries, _LONGEST_PAUSE), self._send, [message, tries + 1])
        timer.daemon = True
        timer.start()


def _short(text: str) -> str | None:
    """Return the text where AMQP can carry it as a property."""
    return text if len(text.encode()) <= LONGEST_SHORT else None
