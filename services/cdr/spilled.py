"""What a switch wrote to its disk instead of delivering it: which files, and the records in them.

Pure. mod_json_cdr, mod_format_cdr and mod_xml_cdr write one record a file; mod_cdr_csv and
mod_cdr_pg_csv append lines, whose columns only their configuration knows.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias

import orjson

from services.cdr.record import key_of
from shared.telephony.records import NotARecord, load

Key: TypeAlias = tuple[str, str]  # the switch and the leg: what a record is unique by

_DATE = r"\.\d{4}(?:-\d\d){5}"  # what FreeSWITCH appends to a file that it rotates
_IN_A_PROFILE = (
    "username",
    "dialplan",
    "caller_id_name",
    "ani",
    "caller_id_number",
    "network_addr",
    "rdnis",
    "destination_number",
    "source",
    "context",
    "chan_name",
)


class Kind(Enum):
    """How records stand in a file."""

    RECORD = auto()  # one, in any encoding
    LINES = auto()  # mod_cdr_csv's: text by a template
    VALUES = auto()  # mod_cdr_pg_csv's `cdr-spool.csv`: the values of an INSERT
    STATEMENTS = auto()  # mod_cdr_pg_csv's `cdr-spool.sql`: whole INSERTs

    @property
    def needs_columns(self) -> bool:
        """Whether the file does not say which value is which."""
        return self in (Kind.LINES, Kind.VALUES)


_KINDS = (
    (re.compile(r".+\.cdr\.(?:json|xml)", re.DOTALL), Kind.RECORD),
    (re.compile(rf"cdr-spool\.csv(?:{_DATE})?"), Kind.VALUES),
    (re.compile(rf"cdr-spool\.sql(?:{_DATE})?"), Kind.STATEMENTS),
    (re.compile(rf".+\.csv(?:{_DATE})?", re.DOTALL), Kind.LINES),
)


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it can be sent on, and what it is known by once it is stored."""

    switch: str
    leg_id: str
    body: bytes

    @property
    def key(self) -> Key:
        """What `cdr_legs` has of it."""
        return self.switch, self.leg_id


def kind_of(name: str) -> Kind | None:
    """Return how records stand in a file of this name; None for a file that holds none."""
    return next((kind for pattern, kind in _KINDS if pattern.fullmatch(name)), None)


def is_rotated(name: str) -> bool:
    """Tell whether the switch has put the file aside, and never opens it again."""
    return re.search(rf"{_DATE}\Z", name) is not None


def leg_of(name: str) -> str:
    """Return the leg that a file of one record is named after."""
    leg = re.sub(r"\.cdr\.(?:json|xml)\Z", "", name).removeprefix("a_")
    # A name is bytes; those that are no text cannot be sent.
    return leg.encode("utf-8", "replace").decode()


def whole(body: bytes, *, leg_id: str) -> Record:
    """Return the one record of a file; raise `NotARecord` for what is none, or half of one.

    `leg_id` is what the file is named after, for a record that does not name its leg.
    """
    body = body.rstrip(b"\r\n")  # the file has one more than the post had
    return _record(load(body), body, leg_id)


def of_values(names: Sequence[str], values: Sequence[str | None], *, switch: str) -> Record:
    """Return values with their names as a record in mod_json_cdr's shape; empty ones are absent.

    Raise `NotARecord` where they do not fit together, or name no leg.
    """
    if len(names) != len(values):
        raise NotARecord(f"it has {len(values)} values and there are {len(names)} columns")
    variables = {
        name: value.replace("\0", "\ufffd")
        for name, value in zip(names, values, strict=True)
        if value and name
    }
    raw: dict[str, Any] = {"switchname": switch, "variables": variables}
    profile = {name: variables[name] for name in _IN_A_PROFILE if name in variables}
    if profile:
        raw["callflow"] = [{"caller_profile": profile}]
    return _record(raw, orjson.dumps(raw), "")


def first_of_each(records: Sequence[Record]) -> Iterator[Record]:
    """Return the records without those of a leg that came before."""
    seen: set[Key] = set()
    for record in records:
        if record.key not in seen:
            seen.add(record.key)
            yield record


def _record(raw: Mapping[str, Any], body: bytes, leg_id: str) -> Record:
    return Record(*key_of(raw, leg_id=leg_id), body)
