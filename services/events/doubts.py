"""What is concluded about legs that went without a word: nobody listened, or the switch died.

A leg is doubtful from the moment the link breaks until it is heard or listed again. One that is not
there any more is given a while for its record (CDR) to tell how it ended; one whose switch has
died, for the switch to take it up again. Then its end is told, marked as concluded.

Deadlines are on our own clock; what is told is told on the switch's.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.events.book import Book
from services.events.calls import Call, Leg
from services.events.legs import Legs
from services.events.narrator import Narrator
from services.events.observed import Observed

GONE = "not in show channels"
NEVER_HEARD = "only the leg that it was bridged with was heard"
LOST = "the switch was restarted and did not take it up again"
_MOST_UNPROVEN = 20_000
_TOGETHER = 2_000_000
_OVER = {"HANGUP"}
_ANSWERED = {"ACTIVE", "HELD", "UNHELD", "RING_WAIT"}
_RINGING = {"RINGING", "EARLY"}


@dataclass(slots=True)
class _Record:
    """A record of a leg that is not known to have ended."""

    event: Observed
    due: int


class Doubts:
    """Compares what was told with what the switch, and its records, say."""

    def __init__(self, book: Book, legs: Legs, narrator: Narrator, grace_us: int) -> None:
        self._book = book
        self._legs = legs
        self._narrator = narrator
        self._grace = grace_us
        self._core: str | None = None
        self._broke_at = 0  # on the switch's clock
        self._leaving: dict[str, tuple[int, str]] = {}  # legs, when they are given up, and why
        self._records: dict[str, _Record] = {}
        self._absent: set[str] = set()  # legs that were not in the last list
        self._unproven: OrderedDict[str, Call] = OrderedDict()
        self._patience: dict[str, int] = {}  # unfinished calls, and until when

    @property
    def is_busy(self) -> bool:
        """Whether something waits for its time."""
        return bool(self._leaving or self._records or self._book.unfinished or self._patience)

    def link_broke(self, heard_at: int) -> None:
        """Doubt everything. `heard_at` is the switch's time when it was heard last."""
        self._broke_at = heard_at
        for call in self._book.calls.values():
            for leg in call.legs.values():
                leg.doubtful = not leg.ended

    def core_seen(self, core: str, now: int, heard_at: int) -> None:
        """Note the run of the switch: with another one, every leg is gone that does not return."""
        if core == self._core:
            return
        if self._core is not None:
            self.link_broke(self._broke_at or heard_at)
            for call in self._book.calls.values():
                for leg_id, leg in call.legs.items():
                    if not leg.ended:
                        self._leaving[leg_id] = (now + self._grace, LOST)
        self._core = core

    def knows_core(self, core: str) -> bool:
        """Tell whether this is the run of the switch that is known; cheap."""
        return core == self._core

    def heard(self, call: Call, leg: Leg) -> None:
        """Note that a doubtful leg lives; tell so where its switch had died."""
        leg.doubtful = False
        _, why = self._leaving.pop(leg.leg_id, (0, GONE))
        if why is LOST and call.recovered_in != self._core:
            call.recovered_in = self._core
            at = max(self._broke_at, leg.answered_at or leg.created_at)
            self._narrator.tell(
                call, "call.recovered", at, fact=str(self._core), core_uuid=self._core
            )

    def listed(
        self, rows: Iterable[Mapping[str, Any]], calls: Iterable[Mapping[str, Any]], now: int
    ) -> list[str]:
        """Compare with `show channels` and `show calls`; return the legs that want a closer look.

        Those are the ones that are not known, and the ones that have come further unseen. The lists
        are a moment behind the events: a leg that is not doubtful is missed only when it was not
        there the last time either.
        """
        states = {
            str(row.get("uuid")): str(row.get("callstate"))
            for row in rows
            if row.get("callstate") not in _OVER
        }
        known = {pairing.legs for call in self._book.calls.values() for pairing in call.standing()}
        pairs = {frozenset((str(row.get("uuid")), str(row.get("b_uuid")))) for row in calls}
        paired = {leg_id for pair in pairs - known for leg_id in pair}
        absent = set()
        closer = [leg_id for leg_id in states if not self._is_known(leg_id)]
        for call in list(self._book.calls.values()):
            for leg_id, leg in call.legs.items():
                if leg.ended:
                    continue
                if leg_id not in states:
                    absent.add(leg_id)
                    if leg.doubtful or leg_id in self._absent:
                        self._leaving.setdefault(leg_id, (now + self._grace, GONE))
                elif leg.doubtful:
                    self.heard(call, leg)
                    further = leg_id in paired or _is_further(leg, states[leg_id])
                    if further or any(call.open_stays()):
                        closer.append(leg_id)
        self._absent = absent
        # Told of by a process that ended before it told the rest.
        orphans = (call for call in self._book.calls.values() if call.is_over)
        self._book.unfinished |= {call.call_id: call for call in orphans}
        return closer

    def _is_known(self, leg_id: str) -> bool:
        return self._book.is_over(leg_id) or self._book.find(leg_id) is not None

    def record(self, event: Observed, now: int) -> None:
        """Take in a record: a proof that its leg is over.

        It comes before the last event of its leg. So what it says of a leg that is heard is left to
        that event, for a while; and what it says of a leg of which nobody knows is told after that
        while, unless the leg was known and forgotten.
        """
        leg_id = event.leg_id
        if leg_id is None:
            return
        unproven = self._unproven.pop(leg_id, None)
        if unproven is not None:
            self._legs.proved(unproven, unproven.legs[leg_id], event)
            return
        if self._book.is_over(leg_id):
            return
        found = self._book.find(leg_id)
        if found is None or not found[1].ended:
            # Of a leg that is heard, its last event is waited for. Of one in doubt, only records of
            # the call's other legs: told alone, it might be taken for the call's last.
            is_doubtful = found is not None and found[1].doubtful
            patience = min(_TOGETHER, self._grace) if is_doubtful else self._grace
            self._records[leg_id] = _Record(event, now + patience)

    def tick(self, now: int) -> None:
        """Conclude what has waited long enough."""
        due = [
            leg_id
            for leg_id, (when, _) in self._leaving.items()
            if when <= now and leg_id not in self._records
        ]
        for leg_id in due:
            _, why = self._leaving.pop(leg_id)
            found = self._book.find(leg_id)
            if found is not None and not found[1].ended:
                found[1].lost = why is LOST
                self._legs.vanished(*found, self._broke_at, why)
                self.note_unproven(*found)
        if any(record.due <= now for record in self._records.values()):
            self._settle_records(now)
        if self._book.unfinished or self._patience:
            self._finish(now)

    def _finish(self, now: int) -> None:
        """End the calls that somebody else must have been in, once that one is known, or no more.

        A record that has come already is not left to wait for the leg's last event.
        """
        unfinished = self._book.unfinished
        self._patience = {
            call_id: self._patience.get(call_id, now + self._grace) for call_id in unfinished
        }
        for call_id, call in list(unfinished.items()):
            awaited = self._book.awaited(call)
            records = [
                record.event
                for leg_id, record in self._records.items()
                if leg_id in awaited or record.event.variable("call_id") == call_id
            ]
            if records:
                self._tell_unheard(records)
            elif self._patience[call_id] <= now or (call.legs and not awaited):
                for leg_id, pairing in awaited.items():
                    leg = self._legs.never_heard(call, leg_id, pairing, NEVER_HEARD)
                    self.note_unproven(call, leg)
                if call_id in unfinished:
                    self._legs.finish(call)

    def is_settled(self, leg_id: str) -> bool:
        """Tell whether a leg's record is not needed any more."""
        return leg_id not in self._records

    def note_unproven(self, call: Call, leg: Leg) -> None:
        """Remember a leg whose end was concluded, for its record."""
        if leg.proven:
            return
        self._unproven[leg.leg_id] = call
        while len(self._unproven) > _MOST_UNPROVEN:
            self._unproven.popitem(last=False)

    def _settle(self, call: Call, leg: Leg, event: Observed) -> None:
        leg.doubtful = False
        self._leaving.pop(leg.leg_id, None)
        self._legs.gone(call, leg, event)

    def _settle_records(self, now: int) -> None:
        """Tell what records say of which no event came: whole calls, or the last of one."""
        for leg_id in list(self._records):
            found = self._book.find(leg_id)
            if self._book.is_over(leg_id) or (found is not None and found[1].ended):
                del self._records[leg_id]
        for records in _by_call(self._records.values()):
            if all(record.due <= now for record in records):
                self._tell_unheard([record.event for record in records])

    def _tell_unheard(self, events: list[Observed]) -> None:
        """Tell the legs of one call from their records: first all that began, then all that ended.

        The other way round the call would be over with the first of them.
        """
        found = []
        for event in sorted(events, key=lambda event: event.time(_CREATED) or 0):
            self._records.pop(event.leg_id or "", None)
            ended_at = event.time("Caller-Channel-Hangup-Time") or event.stamp
            known = self._book.find(event.leg_id)
            if known is None and ended_at <= self._book.remembers_since:
                continue  # it may have been told, and forgotten since
            looked_up = known or self._book.look_up(event)
            if looked_up is not None:
                self._legs.seen(*looked_up, event)
                found.append((looked_up, event))
        for (call, leg), event in sorted(
            found, key=lambda each: each[1].time("Caller-Channel-Hangup-Time") or 0
        ):
            self._settle(call, leg, event)


_CREATED = "Caller-Channel-Created-Time"


def _by_call(records: Iterable[_Record]) -> list[list[_Record]]:
    """Return the records of each call together: those that name one another, or one call."""
    calls: dict[str, tuple[set[str], list[_Record]]] = {}
    for record in records:
        event = record.event
        names = {event.leg_id or "", event.variable("call_id") or "", *event.partners} - {""}
        found = {id(calls[name]): calls[name] for name in names if name in calls}
        call = (names.union(*(own for own, _ in found.values())), [record])
        for _, others in found.values():
            call[1].extend(others)
        calls |= dict.fromkeys(call[0], call)
    return [records for _, records in {id(call): call for call in calls.values()}.values()]


def _is_further(leg: Leg, state: str) -> bool:
    """Tell whether the switch has a leg in a state that was not told."""
    if leg.answered_at is None and state in _ANSWERED:
        return True
    return leg.ringing_at is None and leg.answered_at is None and state in _RINGING
