"""Records as a real switch posted them, as many as wanted, each of a leg of its own."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from uuid import uuid4

import orjson

from tests.recordings import names, posts

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Recorded = list[tuple[str, str, str]]  # of one call: leg, call, body


@dataclass(frozen=True, slots=True)
class Record:
    """What a switch posts of one leg."""

    leg_id: str
    call_id: str
    body: bytes


def records(count: int) -> list[Record]:
    """Return so many records of whole calls (the last may miss legs), no id there twice."""
    return list(islice(_made(), count))


def renamed(call: Recorded) -> list[Record]:
    """Return the records of one call as those of another one: what was one id is one again."""
    new: dict[str, str] = {}

    def rename(text: str) -> str:
        return _UUID.sub(lambda found: new.setdefault(found[0], str(uuid4())), text)

    return [
        Record(rename(leg_id), rename(call_id), rename(body).encode())
        for leg_id, call_id, body in call
    ]


def _made() -> Iterator[Record]:
    for call in cycle(_recorded()):
        yield from renamed(call)


def _recorded() -> list[Recorded]:
    """Return the calls of the recordings all of whose records name their call."""
    calls: list[Recorded] = []
    for scenario in names():
        bodies = [str(post["body"]) for post in posts(scenario, "cdr")]
        ids = [orjson.loads(body)["variables"] for body in bodies]
        if bodies and all("call_id" in each for each in ids):
            calls.append(
                [(one["uuid"], one["call_id"], body) for one, body in zip(ids, bodies, strict=True)]
            )
    return calls
