"""The life of every call on one switch: the switch's events in, business events out.

Pure: no clock, no broker, no switch. What a newcomer looks for are the tables at the end. The same
event twice tells nothing new; those of different legs may come in any order.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.events.book import Book
from services.events.calls import Call, Leg
from services.events.controls import CONTROLS, Controls
from services.events.doubts import Doubts
from services.events.legs import Legs
from services.events.narrator import Narrator
from services.events.observed import Observed
from services.events.phones import Phones
from services.events.queues import Queues
from services.events.recall import Recall, Told
from shared.messages.events import Event

_GRACE = 10_000_000


class SwitchLife:
    """All calls of one switch, its queues and agents, and who is registered there."""

    def __init__(self, switch: str, *, grace_us: int = _GRACE) -> None:
        self._narrator = Narrator(switch)
        self._book = Book(self._narrator)
        self._queues = Queues(self._book, self._narrator)
        self._controls = Controls(self._book, self._narrator)
        self._legs = Legs(self._book, self._narrator, self._queues, self._controls)
        self._doubts = Doubts(self._book, self._legs, self._narrator, grace_us)
        self._recall = Recall(self._book, self._queues, self._doubts)
        self._phones = Phones(self._narrator.source)
        self._heard_at = 0  # on the switch's own clock
        self._now = 0

    # -- what is heard -----------------------------------------------------------------------

    def observe(self, headers: Mapping[str, Any]) -> list[Event]:
        """Return what an event of the switch means; most mean nothing."""
        event = Observed(headers)
        core = event.core
        if core is not None and not self._doubts.knows_core(core):
            self._doubts.core_seen(core, self._now, self._heard_at)
        self._heard_at = max(self._heard_at, event.stamp)
        name = event.name
        of_leg = _OF_LEGS.get(name)
        if of_leg is not None:
            found = self._book.look_up(event)
            if found is not None:
                if found[1].doubtful:
                    self._doubts.heard(*found)
                of_leg(self, *found, event)
        elif name in _OTHERS:
            _OTHERS[name](self, event)
        return self._narrator.drain()

    def record(self, headers: Mapping[str, Any], now: int) -> list[Event]:
        """Return what a record (CDR) of a leg proves; most prove nothing new."""
        self._doubts.record(Observed(headers), now)
        return self._narrator.drain()

    def is_settled(self, leg_id: str) -> bool:
        """Tell whether the record of this leg is not needed any more."""
        return self._doubts.is_settled(leg_id)

    def tick(self, now: int) -> list[Event]:
        """Return what is concluded because its time has come. `now` is our own clock's."""
        self._now = now
        if self._doubts.is_busy:
            self._doubts.tick(now)
        return self._narrator.drain()

    # -- the link, and what is asked for when it stands again ----------------------------------

    def link_broke(self) -> None:
        """Note that something may happen on the switch without being heard."""
        self._doubts.link_broke(self._heard_at)
        self._phones.doubt()

    def core(self, core_uuid: str, now: int) -> list[Event]:
        """Take in which run of the switch this is."""
        self._doubts.core_seen(core_uuid, now, self._heard_at)
        return self._narrator.drain()

    def channels(
        self, rows: Iterable[Mapping[str, Any]], calls: Iterable[Mapping[str, Any]], now: int
    ) -> list[str]:
        """Compare with `show channels` and `show calls`; return the legs to be looked at closer.

        What it tells comes with `drain`; what the closer look (`uuid_dump`) shows is observed.
        """
        return self._doubts.listed(rows, calls, now)

    def drain(self) -> list[Event]:
        """Return what was told since the last time."""
        return self._narrator.drain()

    def agents(self, rows: list[dict[str, str]], at: int) -> list[Event]:
        """Return what the switch's list of agents shows that was not heard."""
        self._queues.compare(rows, Observed({"Event-Date-Timestamp": str(self._heard_at or at)}))
        return self._narrator.drain()

    def are_phones_in_doubt(self) -> bool:
        """Tell, once, that the switch's list of phones is wanted."""
        return self._phones.are_in_doubt()

    def registrations(self, rows: Iterable[Mapping[str, Any]], at: int) -> list[Event]:
        """Return what the switch's list of phones shows that was not heard.

        It is told as of the switch's last event, as its events behind the list are later ones; as
        of `at` where there was none.
        """
        return self._phones.compare(rows, self._heard_at or at)

    # -- what was told before -----------------------------------------------------------------

    @property
    def live(self) -> int:
        """How many calls have been told of and not ended."""
        return len(self._book.calls)

    @property
    def legs(self) -> int:
        """How many legs live, as far as is known."""
        calls = self._book.calls.values()
        return sum(not leg.ended for call in calls for leg in call.legs.values())

    @property
    def oldest(self) -> int | None:
        """When the oldest call that has not ended began; None where there is none."""
        return min((call.created_at for call in self._book.calls.values()), default=None)

    def knows(self, call_id: str) -> bool:
        """Tell whether a call is under way, or is remembered as ended."""
        return call_id in self._book.calls or self._book.is_over(call_id)

    def recall(self, told: Told) -> None:
        """Take in what was told before, by us or by another."""
        self._heard_at = max(self._heard_at, told.at)
        if told.type in {"user.registered", "user.unregistered"}:
            self._phones.recall(told.type, told.data)
        else:
            self._recall.recall(told)

    def phone_was_registered(self, extension: str, domain: str) -> None:
        """Take in who was registered before; the switch's list may show that it is no more."""
        self._phones.recall("user.registered", {"extension": extension, "domain": domain})

    def remember_since(self, at: int) -> None:
        """Note that calls which ended before this are not known any more."""
        self._book.remembers_since = max(self._book.remembers_since, at)

    @property
    def remembers_since(self) -> int:
        """Calls that ended later than this are known, if they were told."""
        return self._book.remembers_since

    def left_no_trace(
        self, call_id: str, variables: dict[str, str], cause: str | None, at: int, reason: str
    ) -> list[Event]:
        """Return the life of a call that was commanded and of which the switch showed nothing."""
        if not self.knows(call_id):
            more = {"synthetic": True, "synthetic_reason": reason}
            self._legs.never_placed(call_id, variables, cause, at, **more)
        return self._narrator.drain()

    # -- what the tables name -----------------------------------------------------------------

    def _seen(self, call: Call, leg: Leg, event: Observed) -> None:
        self._legs.seen(call, leg, event)
        self._queues.catch_up(call, leg, event)

    def _bridged(self, call: Call, leg: Leg, event: Observed) -> None:
        self._legs.bridged(call, leg, event)

    def _parted(self, call: Call, leg: Leg, event: Observed) -> None:
        self._legs.parted(call, leg, event)

    def _hung_up(self, call: Call, leg: Leg, event: Observed) -> None:
        self._legs.hung_up(call, leg, event)

    def _gone(self, call: Call, leg: Leg, event: Observed) -> None:
        self._legs.gone(call, leg, event)

    def _controlled(self, call: Call, leg: Leg, event: Observed) -> None:
        self._legs.seen(call, leg, event)
        CONTROLS[event.name](self._controls, call, leg, event)

    def _pressed(self, event: Observed) -> None:
        self._controls.pressed(event)

    def _queued(self, event: Observed) -> None:
        self._queues.observe(event)

    def _job_done(self, event: Observed) -> None:
        self._legs.job_done(event)

    def _phone_registered(self, event: Observed) -> None:
        self._narrator.add(self._phones.registered(event))

    def _phone_gone(self, event: Observed) -> None:
        self._narrator.add(self._phones.gone(event))


# What each event of a leg means. The first of a leg begins the leg, and its call.
_OF_LEGS: Mapping[str, Callable[[SwitchLife, Call, Leg, Observed], None]] = {
    "CHANNEL_CREATE": SwitchLife._seen,
    "CHANNEL_PROGRESS": SwitchLife._seen,
    "CHANNEL_PROGRESS_MEDIA": SwitchLife._seen,
    "CHANNEL_ANSWER": SwitchLife._seen,
    "CALL_UPDATE": SwitchLife._seen,  # the first to show a transfer
    "CHANNEL_DATA": SwitchLife._seen,  # the answer to our own uuid_dump
    "CHANNEL_BRIDGE": SwitchLife._bridged,
    "CHANNEL_UNBRIDGE": SwitchLife._parted,
    **dict.fromkeys(CONTROLS, SwitchLife._controlled),
    "CHANNEL_HANGUP": SwitchLife._hung_up,
    "CHANNEL_HANGUP_COMPLETE": SwitchLife._gone,
    "CHANNEL_DESTROY": SwitchLife._gone,
}

# What all others mean.
_OTHERS: Mapping[str, Callable[[SwitchLife, Observed], None]] = {
    "BACKGROUND_JOB": SwitchLife._job_done,
    "DTMF": SwitchLife._pressed,
    "callcenter::info": SwitchLife._queued,
    "sofia::register": SwitchLife._phone_registered,
    "sofia::unregister": SwitchLife._phone_gone,
    "sofia::expire": SwitchLife._phone_gone,
}

# HEARTBEAT is listened to for the silence where one is missing.
SUBSCRIPTION = (
    *(name for name in (*_OF_LEGS, *_OTHERS) if "::" not in name and name != "CHANNEL_DATA"),
    "HEARTBEAT",
    "CUSTOM",
    *(name for name in _OTHERS if "::" in name),
)
