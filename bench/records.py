"""Records as a real switch posted them, each of a leg that nobody else has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from bench.storm import post
from tests import recordings

_SCENARIO = "s01"  # an answered call
_LEGS = ("b1eb1eb1-0000-4000-8000-000000000001", "c0ffee00-0000-4000-8000-000000000001")
_CRM = "c0ffee00000000000000000000000001"


@dataclass(frozen=True, slots=True)
class Record:
    """What a switch posts at the end of a leg."""

    leg_id: str
    body: bytes

    def request(self, environment: Mapping[str, str]) -> bytes:
        """Return the whole post."""
        return post(
            f"/cdr?uuid={self.leg_id}",
            self.body,
            kind="application/json",
            agent="freeswitch-json/1.0",
            environment=environment,
        )


def records(calls: int) -> Sequence[Record]:
    """Return the records of so many new calls, two of each, in the order in which they came."""
    recorded = [(one["path"], one["body"]) for one in recordings.posts(_SCENARIO, "cdr")]
    made = []
    for _ in range(calls):
        fresh = {leg: str(uuid4()) for leg in _LEGS} | {_CRM: uuid4().hex}
        for path, body in recorded:
            leg = path.partition("uuid=")[2]
            for old, new in fresh.items():
                body = body.replace(old, new)  # noqa: PLW2901
            made.append(Record(fresh[leg], body.encode()))
    return made
