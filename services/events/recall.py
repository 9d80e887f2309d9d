"""Calls taken back out of the journal: business events in, the state that they left behind.

Applied to what is known already it changes nothing, so one who follows the journal of another may
hear the switch as well.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.events.book import Book
from services.events.calls import Call, Figures, Leg, Offer, Pairing, Stay
from services.events.doubts import LOST, Doubts
from services.events.queues import Queues
from shared.messages.events import microseconds
from shared.telephony.words import Direction, Role, word_of


@dataclass(frozen=True, slots=True)
class Told:
    """A business event, as the journal keeps it."""

    id: str
    type: str
    source: str
    subject: str
    at: int
    sequence: int | None
    data: Mapping[str, Any]

    @classmethod
    def of(cls, envelope: Mapping[str, Any]) -> "Told":
        """Return what an envelope says; raise `KeyError`, `TypeError`, `ValueError`."""
        sequence = envelope.get("sequence")
        return cls(
            id=str(UUID(str(envelope["id"]))),
            type=str(envelope["type"]),
            source=str(envelope["source"]),
            subject=str(envelope["subject"]),
            at=microseconds(datetime.fromisoformat(envelope["time"])),
            sequence=None if sequence is None else int(sequence),
            data=dict(envelope["data"]),
        )


class Recall:
    """Puts back into the book what the journal says of it."""

    def __init__(self, book: Book, queues: Queues, doubts: Doubts) -> None:
        self._book = book
        self._queues = queues
        self._doubts = doubts

    def recall(self, told: Told) -> None:
        """Take in one event of the journal."""
        if told.type in {"agent.status", "agent.state"}:
            name = told.type.removeprefix("agent.")
            self._queues.agents.setdefault(told.subject, {})[name] = str(told.data.get(name))
            return
        if (
            told.sequence is None
            or told.type == "call.corrected"
            or self._book.is_over(told.subject)
        ):
            return
        call = self._book.calls.get(told.subject) or self._begin(told)
        leg_id = str(told.data.get("leg_id"))
        if told.type in _OF_LEGS:
            leg = call.legs.get(leg_id)
            if leg is None:
                leg = self._join(call, leg_id, told)
            _OF_LEGS[told.type](self, call, leg, told)
        elif told.type in _OF_CALLS:
            _OF_CALLS[told.type](self, call, told)

    def _begin(self, told: Told) -> Call:
        call = Call(
            told.subject,
            told.at,
            word_of(Direction, told.data.get("direction"), Direction.CLICK_TO_CALL),
            told.data.get("crm_uuid"),
            told.data.get("product_code"),
        )
        self._book.enter(call)
        return call

    def _join(self, call: Call, leg_id: str, told: Told) -> Leg:
        leg = Leg(
            leg_id,
            str(told.data.get("leg")),
            word_of(Role, told.data.get("role"), Role.AGENT),
            told.data.get("address"),
            told.at,
            doubtful=True,
        )
        self._book.enter_leg(call, leg)
        return leg

    def _rang(self, _call: Call, leg: Leg, told: Told) -> None:
        leg.ringing_at = leg.ringing_at or told.at

    def _answered(self, _call: Call, leg: Leg, told: Told) -> None:
        leg.answered_at = leg.answered_at or told.at

    def _ended(self, call: Call, leg: Leg, told: Told) -> None:
        if leg.ended:
            return
        leg.ended, leg.doubtful = True, False
        leg.hung_up_at = told.at
        leg.hangup_cause = told.data.get("hangup_cause")
        leg.far_end = bool(told.data.get("far_end"))
        # Only a leg that went without a word has no cause.
        leg.proven = leg.hangup_cause is not None or "synthetic" not in told.data
        leg.lost = told.data.get("synthetic_reason") == LOST
        call.part(leg, told.at)
        self._doubts.note_unproven(call, leg)

    def _held(self, _call: Call, leg: Leg, told: Told) -> None:
        leg.held = told.type == "call.held"

    def _recording(self, _call: Call, leg: Leg, told: Told) -> None:
        path = str(told.data.get("path"))
        if told.type == "recording.started" and path not in leg.recordings:
            leg.recordings.append(path)
        elif told.type == "recording.stopped" and path in leg.recordings:
            leg.recordings.remove(path)

    def _transferred(self, call: Call, leg: Leg, told: Told) -> None:
        call.part(leg, told.at)

    def _established(self, call: Call, told: Told) -> None:
        pair = frozenset((str(told.data.get("a_leg_id")), str(told.data.get("b_leg_id"))))
        for pairing in call.pairings:
            if pairing.legs == pair and pairing.established_at in {None, told.at}:
                pairing.established_at = told.at
                return
        for leg_id in pair:
            # The journal does not say when a pairing ended; at the latest, when the next began.
            if leg_id in call.legs:
                call.part(call.legs[leg_id], told.at)
        call.pairings.append(Pairing(pair, told.at, established_at=told.at))

    def _recovered(self, call: Call, told: Told) -> None:
        call.recovered_in = str(told.data.get("core_uuid"))

    def _joined(self, call: Call, told: Told) -> None:
        member_id = str(told.data.get("member_id"))
        if call.stay(member_id) is None:
            first = next(iter(call.legs), "")
            call.stays.append(Stay(member_id, str(told.data.get("queue")), first, told.at))

    def _left(self, call: Call, told: Told) -> None:
        stay = call.stay(str(told.data.get("member_id")))
        if stay is not None and stay.left_at is None:
            stay.left_at, stay.reason = told.at, str(told.data.get("reason"))

    def _offered(self, call: Call, told: Told) -> None:
        stay = call.stay(str(told.data.get("member_id")))
        agent = str(told.data.get("agent"))
        if stay is None:
            return
        offer = stay.offer(agent)
        if offer is None:
            offer = Offer(agent, f"{stay.member_id}/{agent}/{told.at}", told.at)
            stay.offers.append(offer)
        offer.answered |= told.type == "agent.answered"
        offer.over |= told.type == "agent.missed"

    def _over(self, call: Call, told: Told) -> None:
        names = Figures.__annotations__
        call.told = Figures(**{name: told.data.get(name) for name in names})  # type: ignore[typeddict-item]
        call.ended_at = told.at
        self._book.close(call, told.at)


_OF_LEGS: Mapping[str, Callable[[Recall, Call, Leg, Told], None]] = {
    "leg.created": lambda *_: None,
    "leg.ringing": Recall._rang,
    "leg.answered": Recall._answered,
    "leg.ended": Recall._ended,
    "call.held": Recall._held,
    "call.resumed": Recall._held,
    "call.transferred": Recall._transferred,
    "recording.started": Recall._recording,
    "recording.stopped": Recall._recording,
}
_OF_CALLS: Mapping[str, Callable[[Recall, Call, Told], None]] = {
    "call.established": Recall._established,
    "call.recovered": Recall._recovered,
    "queue.joined": Recall._joined,
    "queue.left": Recall._left,
    "agent.offered": Recall._offered,
    "agent.answered": Recall._offered,
    "agent.missed": Recall._offered,
    "call.ended": Recall._over,
}
