"""Whether each posted record is kept once and told once, and was answered in time. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.table import percentile
from faults.bodies import Record
from faults.check import Violation
from faults.posting import OK, Answer

_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Kept:
    """What the database has: the legs of each table, and how many records each call counts."""

    rows: Sequence[str] = ()  # of cdrs
    legs: Sequence[str] = ()  # of cdr_legs
    calls: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What the journal tells of records: the ids by leg, and how many events came again."""

    ids: Mapping[str, Collection[str]] = field(default_factory=dict)
    again: int = 0


@dataclass(frozen=True, slots=True)
class Answers:
    """The figures of the answers; seconds are of those that were answered at all."""

    posts: int
    taken: int
    slowest: float
    of_hundred: float  # 99 were not slower


NONE = Answers(0, 0, 0.0, 0.0)


def told(events: Iterable[Mapping[str, Any]]) -> Told:
    """Return what the events of a journal tell of records."""
    ids: dict[str, set[str]] = {}
    again = 0
    for event in events:
        if event["type"] != "cdr.stored":
            continue
        known = ids.setdefault(event["data"]["leg_id"], set())
        again += event["id"] in known
        known.add(event["id"])
    return Told(ids, again)


def figures(answers: Sequence[Answer]) -> Answers:
    """Return the figures of what was answered."""
    seconds = [answer.seconds for answer in answers if answer.status is not None]
    return Answers(
        posts=len(answers),
        taken=sum(answer.status == OK for answer in answers),
        slowest=max(seconds, default=0.0),
        of_hundred=percentile(seconds, 0.99) if seconds else 0.0,
    )


def check(records: Sequence[Record], kept: Kept, found: Told) -> list[Violation]:
    """Return what is not as it must be once everything that was posted is stored and told."""
    posted = {record.leg_id for record in records}
    violations = _once("cdrs", kept.rows, posted) + _once("cdr_legs", kept.legs, posted)
    for call_id, count in Counter(record.call_id for record in records).items():
        has = kept.calls.get(call_id)
        if has is None:
            violations.append(Violation(call_id, "the call has no row in calls"))
        elif has != count:
            violations.append(Violation(call_id, f"calls counts {has} records of {count}"))
    for leg_id in posted:
        ids = found.ids.get(leg_id, ())
        if len(ids) != 1:
            what = "told by several ids" if ids else "not told"
            violations.append(Violation(leg_id, f"the record is {what}"))
    violations += [
        Violation(leg_id, "a record is told that nobody posted")
        for leg_id in found.ids.keys() - posted
    ]
    return violations


def check_answers(answers: Iterable[Answer], *, bound: float) -> list[Violation]:
    """Return the answers that a switch must not get: too late, or neither 200 nor 503."""
    violations = []
    for answer in answers:
        if answer.status is None:
            continue  # There was nobody to answer: the record is in a file.
        if answer.status not in (OK, _UNAVAILABLE):
            violations.append(Violation(answer.leg_id, f"the post was answered {answer.status}"))
        if answer.seconds > bound:
            what = f"an answer took longer than {bound * 1000:g} ms: {answer.seconds * 1000:.0f} ms"
            violations.append(Violation(answer.leg_id, what))
    return violations


def _once(table: str, legs: Sequence[str], posted: Collection[str]) -> list[Violation]:
    counts = Counter(legs)
    lacking = [Violation(leg_id, f"no row in {table}") for leg_id in posted if not counts[leg_id]]
    more = [
        Violation(leg_id, f"several rows in {table}") for leg_id in counts if counts[leg_id] > 1
    ]
    strange = [
        Violation(leg_id, f"a row in {table} of what nobody posted")
        for leg_id in counts.keys() - set(posted)
    ]
    return lacking + more + strange
