"""What became of a call, by its legs' records. Pure; their order does not matter.

The words and rules are those of the events service, which judges by what it saw, so that both can
be held against each other.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.cdr.bridges import Leg, leg_of
from shared.messages.events import moment
from shared.telephony.causes import is_clearing, outcome_of
from shared.telephony.words import Direction, Outcome

_LARGEST = 2**31 - 1
_LONGEST_CAUSE = 64
_TWO = 2
_DIRECTIONS = {direction.value for direction in Direction}
# Whoever knows it first, in the order of joining; the queue and the agent are the last ones.
_FIRST = (
    "switch",
    "crm_uuid",
    "product_code",
    "extension",
    "number",
    "campaign",
)


@dataclass(frozen=True, slots=True)
class _Pairing:
    """Two legs that heard each other."""

    legs: frozenset[str]
    established_at: int
    ended_at: int


def judge(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the records of one call, as columns, say of it, as columns of `calls`.

    Of a leg that is there twice, one is taken. There must be at least one record.
    """
    by_leg = {(record["switch"], record["leg_id"]): record for record in records}
    known = sorted(
        ((leg_of(record), record) for record in by_leg.values()),
        key=lambda each: _joined(*each),
    )
    legs = [leg for leg, _ in known]
    ordered = [record for _, record in known]
    pairings = _pairings(legs)
    started = min((leg.started_at for leg in legs if leg.started_at is not None), default=None)
    ended = max((leg.ended_at for leg in legs if leg.ended_at is not None), default=None)
    answered = pairings[0].established_at if pairings else None
    outcome, cause = _outcome(legs, pairings)
    talk = sum(pairing.ended_at - pairing.established_at for pairing in pairings)
    return {
        "at": min(record["at"] for record in ordered),
        "records": len(ordered),
        **{name: _first(ordered, name) for name in _FIRST},
        "direction": next((r["direction"] for r in ordered if r["direction"] in _DIRECTIONS), None),
        "queue": _first([*_members(ordered, legs), *reversed(ordered)], "queue"),
        "agent": _first(_talked(ordered, pairings), "agent"),
        "recorded_outcome": outcome.value,
        "recorded_cause": cause and cause[:_LONGEST_CAUSE],
        "recorded_started_at": None if started is None else moment(started),
        "recorded_answered_at": None if answered is None else moment(answered),
        "recorded_ended_at": None if ended is None else moment(ended),
        "recorded_ring_ms": _ms(started, answered or ended),
        "recorded_talk_ms": min(talk // 1000, _LARGEST),
    }


def _joined(leg: Leg, record: Mapping[str, Any]) -> tuple[Any, ...]:
    # Legs that were taken up again were all made at once, so the second is told by being it.
    is_unknown = leg.started_at is None
    return (is_unknown, leg.started_at or 0, leg.is_second, leg.leg_id, record["switch"])


def _outcome(legs: Sequence[Leg], pairings: Sequence[_Pairing]) -> tuple[Outcome, str | None]:
    members = [leg for leg in legs if leg.waited]
    counting = members or list(legs)
    if pairings:
        # The two who talked last: whoever left before was replaced.
        counting = [leg for leg in legs if leg.leg_id in pairings[-1].legs]
    first_gone = min(counting, key=lambda leg: leg.ended_at or 0)
    if pairings or any(leg.served for leg in members):
        return Outcome.ANSWERED, first_gone.hangup_cause
    if members:
        return Outcome.ABANDONED, first_gone.hangup_cause
    cause = _failure(legs)
    outcome = outcome_of(cause)
    answered = sum(leg.answered_at is not None for leg in legs)
    if outcome is Outcome.CANCELLED and answered >= _TWO:
        # Both sides took the call and never heard each other: nobody's wish.
        outcome = Outcome.FAILED
    return outcome, cause


def _failure(legs: Sequence[Leg]) -> str | None:
    """Return the cause of the leg for which the call failed."""
    unanswered = [leg for leg in legs if leg.answered_at is None]
    if legs[0].answered_at is None or not unanswered:
        return legs[0].hangup_cause
    return unanswered[-1].hangup_cause


def _pairings(legs: Sequence[Leg]) -> list[_Pairing]:
    """Return who heard whom, the first pairing first. Each leg tells of it; both must agree."""
    known = {leg.leg_id: leg for leg in legs}
    told: dict[frozenset[str], dict[str, list[tuple[int, int]]]] = defaultdict(dict)
    for leg in legs:
        for partner, start, end in leg.bridges:
            if partner != leg.leg_id:
                sides = told[frozenset((leg.leg_id, partner))]
                sides.setdefault(leg.leg_id, []).append((start, end))
    found = [
        _Pairing(pair, max(start, answered), end)
        for pair, sides in told.items()
        if (answered := _answered([known[leg_id] for leg_id in pair if leg_id in known]))
        for start, end in _agreed(list(sides.values()))
        if max(start, answered) <= end
    ]
    return sorted(found, key=lambda each: (each.established_at, each.ended_at, sorted(each.legs)))


def _answered(legs: Sequence[Leg]) -> int | None:
    """Return when the last one of a pairing had answered; None where one did not.

    One whose record is not there must have: had it not, its own cause would have ended both.
    """
    answers = [leg.answered_at for leg in legs if leg.answered_at is not None]
    if len(answers) < len(legs) or (len(legs) < _TWO and not is_clearing(legs[0].hangup_cause)):
        return None
    return max(answers)


def _agreed(sides: Sequence[list[tuple[int, int]]]) -> list[tuple[int, int]]:
    """Return from when to when two legs were bridged, by one of them or by both."""
    if len(sides) < _TWO:
        return sides[0]
    one, other = sides
    both = [
        (max(start, begin), min(end, finish))
        for start, end in one
        for begin, finish in other
        if max(start, begin) <= min(end, finish)
    ]
    alone = [
        span
        for spans, others in ((one, other), (other, one))
        for span in spans
        if not any(max(span[0], begin) <= min(span[1], finish) for begin, finish in others)
    ]
    return both + alone


def _members(records: Sequence[Mapping[str, Any]], legs: Sequence[Leg]) -> list[Mapping[str, Any]]:
    return [record for record, leg in zip(records, legs, strict=True) if leg.waited]


def _talked(
    records: Sequence[Mapping[str, Any]], pairings: Sequence[_Pairing]
) -> list[Mapping[str, Any]]:
    """Return the records of those who talked, the last ones first: no other agent took the call."""
    return [
        record
        for pairing in reversed(pairings)
        for record in records
        if record["leg_id"] in pairing.legs
    ]


def _first(records: Iterable[Mapping[str, Any]], name: str) -> Any:
    return next((record[name] for record in records if record[name] is not None), None)


def _ms(start: int | None, end: int | None) -> int | None:
    if start is None or end is None:
        return None
    return min(max(0, end - start) // 1000, _LARGEST)
