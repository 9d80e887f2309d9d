"""Whether what was told of calls is whole, told once and true. Pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faults.truth import Fate
from shared.telephony.words import Outcome

Event = Mapping[str, Any]

# Ids, numbers, and what stands in a bracket or behind a colon.
_PARTICULARS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4,}){4}|\d+(, \d+)*(, …)?|: .*| \([^)]*\)$")
_CONTENT = ("type", "subject", "sequence", "data")


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, and of which call."""

    call_id: str
    what: str


@dataclass(slots=True)
class Journal:
    """The journal as read from its beginning: each event once, and what came again."""

    events: int = 0
    again: int = 0  # an id that was there before, with the same content
    lives: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    violations: list[Violation] = field(default_factory=list)

    @property
    def synthetic(self) -> int:
        """How many events were concluded instead of seen."""
        return sum(is_synthetic(event) for life in self.lives.values() for event in life)

    @property
    def corrected(self) -> int:
        """How many corrections there are."""
        return sum(_types(life)["call.corrected"] for life in self.lives.values())


def read(events: Iterable[Event]) -> Journal:
    """Return what a subscriber knows who reads everything and drops the ids that he has seen."""
    journal = Journal()
    seen: dict[str, Event] = {}
    for event in events:
        before = seen.get(event["id"])
        if before is None:
            seen[event["id"]] = event
            journal.events += 1
            if "sequence" in event:
                journal.lives[event["subject"]].append(event)
        elif differing := [name for name in _CONTENT if before.get(name) != event.get(name)]:
            what = f"the id {event['id']} ({event['type']}) has two contents: {_two(before, event)}"
            what += f" ({', '.join(differing)})"
            journal.violations.append(Violation(str(event.get("subject")), what))
        else:
            journal.again += 1
    return journal


def check(
    journal: Journal,
    fates: Mapping[str, Fate],
    *,
    accepted: Collection[str],
    commands: Collection[str],
) -> list[Violation]:
    """Return every broken promise.

    `accepted` are the calls that somebody was promised, `commands` those that the dialer began.
    """
    found = list(journal.violations)
    for call_id in sorted(journal.lives.keys() | fates.keys() | set(accepted) | set(commands)):
        life, fate = journal.lives.get(call_id, []), fates.get(call_id)
        whats = [*_shape(life), *_legs(life, fate)]
        if life and fate is None and call_id not in commands:
            whats.append("was told, and nobody dialled it")
        if fate is not None and fate.dialled > 1:
            whats.append(f"was dialled {fate.dialled} times")
        if _types(life)["call.ended"] == 1:
            whats += _outcome(life, fate)
        found += [Violation(call_id, what) for what in whats]
    return found


def ended(events: Iterable[Event]) -> set[str]:
    """Return the calls whose end was told."""
    return {event["subject"] for event in events if event["type"] == "call.ended"}


def is_synthetic(event: Event) -> bool:
    """Tell whether the event was concluded instead of seen."""
    return bool(event["data"].get("synthetic"))


def kinds(violations: Iterable[Violation]) -> list[tuple[str, int]]:
    """Return what was broken, without the particulars, and how often; the most frequent first."""
    named = (_PARTICULARS.sub("…", violation.what) for violation in violations)
    return Counter(named).most_common()


def timeline(life: Sequence[Event], fate: Fate | None) -> list[str]:
    """Return a call's life in lines for people, with what the switch noted of it."""
    lines = [
        f"{event['sequence']:>3} {event['time'][11:26]} {event['type']}"
        f"{' (synthetic)' if is_synthetic(event) else ''} {_said(event)}".rstrip()
        for event in life
    ]
    if fate is None:
        return [*lines, "    the switch noted nothing of it"]
    if fate.refused is not None:
        return [*lines, f"    the switch refused it: {fate.refused}"]
    state = "over" if fate.over else "ending when the switch died" if fate.story else "lost"
    legs = fate.story["legs"] if fate.story else []
    causes = ", ".join(f"{leg['cause']} by {leg['by']}" for leg in legs)
    return [*lines, f"    the switch had {len(fate.legs)} legs; {state} {causes}".rstrip()]


def missing_records(fates: Iterable[Fate], kept: Collection[str]) -> list[Violation]:
    """Return the legs that are gone for good and have no CDR, and the CDRs of no leg."""
    fates = list(fates)
    wanted = {leg: fate.call_id for fate in fates for leg in fate.finished_legs}
    known = {leg for fate in fates for leg in fate.legs}
    lost = [Violation(wanted[leg], f"leg {leg} has no CDR") for leg in wanted.keys() - set(kept)]
    invented = [Violation(leg, "a CDR of no leg of the switch's") for leg in set(kept) - known]
    return sorted([*lost, *invented], key=lambda violation: violation.call_id)


def _shape(life: Sequence[Event]) -> list[str]:
    """Say what is wrong with a life by itself."""
    types = _types(life)
    if not life:
        return ["was never told of"]
    found = [
        f"has {types[kind]} {kind}" for kind in ("call.created", "call.ended") if types[kind] != 1
    ]
    if life[0]["type"] != "call.created":
        found.append(f"begins with {life[0]['type']}")
    last = [event["type"] for event in life if event["type"] != "call.corrected"][-1:]
    if types["call.ended"] and last != ["call.ended"]:
        found.append(f"goes on with {last[0] if last else 'nothing'} after call.ended")
    numbers = [int(event["sequence"]) for event in life]
    if numbers != list(range(1, len(life) + 1)):
        found.append(_numbering(numbers))
    return found


def _numbering(numbers: Sequence[int]) -> str:
    counted = Counter(numbers)
    if repeated := sorted(number for number, count in counted.items() if count > 1):
        return f"has several events numbered {_listed(repeated)}"
    if gaps := sorted(set(range(1, max(numbers) + 1)) - counted.keys()):
        return f"has no event numbered {_listed(gaps)}"
    return f"is told in the order {_listed(numbers)}"


def _legs(life: Sequence[Event], fate: Fate | None) -> list[str]:
    """Say which legs were not told once each, from their beginning to their end."""
    found = []
    facts: dict[str, list[str]] = defaultdict(list)
    for event in life:
        if event["type"].startswith("leg."):
            facts[event["data"]["leg_id"]].append(event["type"].removeprefix("leg."))
    for leg, told in facts.items():
        for fact in ("created", "ended"):
            if told.count(fact) != 1:
                found.append(f"leg {leg} was {fact} {told.count(fact)} times")
        if told[0] != "created":
            found.append(f"leg {leg} begins with leg.{told[0]}")
        if "ended" in told and told[-1] != "ended":
            found.append(f"leg {leg} goes on with leg.{told[-1]} after its end")
        if fate is not None and leg not in fate.legs:
            found.append(f"leg {leg} is none of the switch's")
    return found


def _outcome(life: Sequence[Event], fate: Fate | None) -> list[str]:
    """Say whether the outcome, as it was corrected last, is wrong."""
    (end,) = [event for event in life if event["type"] == "call.ended"]
    told = end["data"].get("outcome")
    for event in life:
        if event["type"] == "call.corrected":
            told = event["data"].get("outcome", told)
    if fate is None:
        # It was begun by the dialer and never reached a switch.
        right = frozenset({Outcome.FAILED, Outcome.LOST})
    else:
        right = fate.outcomes(is_synthetic=is_synthetic(end))
    if told in right:
        return []
    return [f"ended as {told}; true is {' or '.join(sorted(right))}"]


def _types(life: Sequence[Event]) -> Counter[str]:
    return Counter(event["type"] for event in life)


def _said(event: Event) -> str:
    names = ("leg", "leg_id", "hangup_cause", "outcome", "synthetic_reason")
    data = event["data"]
    return " ".join(f"{name}={data[name]}" for name in names if data.get(name) is not None)


def _two(one: Event, other: Event) -> str:
    return " / ".join(
        f"{event.get('sequence')} {event['type']} {_said(event)}" for event in (one, other)
    )


def _listed(numbers: Sequence[int]) -> str:
    text = ", ".join(map(str, numbers[:10]))
    return text if len(numbers) <= 10 else f"{text}, …"  # noqa: PLR2004
