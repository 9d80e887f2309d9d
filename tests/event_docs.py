"""The parts of docs/events.md that are made: of the catalogue, and of what recorded calls tell.

`python -m tests.event_docs` writes them anew.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from services.events.ledger import Ledger
from shared.messages.event_data import CallData
from shared.messages.events import EVENTS, Event
from shared.messages.shapes import shape_of
from tests import recordings
from tests.telling import told

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "events.md"

_CATALOGUE = "catalogue"
_NARROW, _WIDE = 3, 10
# What a line of a timeline shows of an event's data, in this order, and what stands before it.
_SHOWN = {
    "leg": "",
    "role": "",
    "direction": "",
    "from": "from ",
    "to": "to ",
    "kind": "",
    "digit": "",
    "extension": "extension ",
    "status": "",
    "state": "",
    "reason": "",
    "outcome": "",
    "failed_leg": "at leg ",
    "hangup_cause": "",
    "hung_up_by": "by ",
}


def names() -> list[str]:
    """Return the names of all parts: the catalogue, and a timeline for each recorded scenario."""
    return [_CATALOGUE, *recordings.names()]


def made(name: str) -> str:
    """Return a part as it has to be."""
    return _catalogue() if name == _CATALOGUE else _timeline(name)


def written(name: str) -> str:
    """Return a part as the document has it; raise `KeyError` where it has none."""
    found = re.search(_place(name), DOCUMENT.read_text(), re.S)
    if found is None:
        raise KeyError(f"{DOCUMENT.name} has no part {name}")
    return found[2]


def write() -> None:
    """Write all parts anew, each where it stands; a timeline that is new comes last."""
    text = DOCUMENT.read_text()
    for name in names():
        if not re.search(_place(name), text, re.S):
            text += f"\n<!-- made: {name} -->\n<!-- end: {name} -->\n"
        text = re.sub(_place(name), partial(_with, made(name)), text, flags=re.S)
    DOCUMENT.write_text(text)


def _with(part: str, found: re.Match[str]) -> str:
    return found[1] + part + found[3]


def _place(name: str) -> str:
    return rf"(<!-- made: {name} -->\n)(.*?)(<!-- end: {name} -->\n)"


# -- the catalogue ------------------------------------------------------------------------------


def _catalogue() -> str:
    lines = ["| type | when |", "|---|---|"]
    lines += [f"| `{kind}` | {data.__doc__} |" for kind, data in EVENTS.items()]
    of_calls = shape_of(CallData)
    lines += ["", "### Every event of a call", *_table(of_calls), ""]
    for kind, data in EVENTS.items():
        shape = shape_of(data)
        common = of_calls["properties"] if issubclass(data, CallData) else {}
        fields = shape["properties"].items()
        own = {name: said for name, said in fields if common.get(name) != said}
        lines += [f"### {kind}", *_table({**shape, "properties": own}), ""]
    return "\n".join(lines)


def _table(shape: dict[str, Any]) -> Iterator[str]:
    fields = shape["properties"]
    if not fields:
        yield "Nothing besides."
        return
    yield "| field | holds | meaning |"
    yield "|---|---|---|"
    required = shape.get("required", [])
    for name, said in sorted(fields.items(), key=lambda field: field[0] not in required):
        absent = "" if name in required else ", or absent"
        yield f"| `{name}` | {_holds(said)}{absent} | {said['description']} |"


def _holds(said: dict[str, Any]) -> str:
    if "anyOf" in said:
        return " or ".join(map(_holds, said["anyOf"]))
    if "const" in said:
        return f"`{said['const']}`".lower()
    if "enum" in said:
        return ", ".join(f"`{word}`" for word in said["enum"])
    if said["type"] == "array":
        return f"list of {_holds(said['items'])}"
    return {"string": "text", "boolean": "true or false"}.get(said["type"], str(said["type"]))


# -- the timelines ------------------------------------------------------------------------------


def _timeline(scenario: str) -> str:
    rank, _, title = scenario.partition("_")
    events = tell(scenario)
    calls = list(dict.fromkeys(event.subject for event in events if event.of_call))
    lines = [_line(event, number, calls) for event, number in _numbered(events)]
    return "\n".join([f"### {rank}: {title.replace('_', ' ')}", "```", *lines, "```", ""])


def tell(scenario: str) -> list[Event]:
    """Return what the service tells of a recording."""
    return told(recordings.events(scenario))


def _numbered(events: list[Event]) -> Iterator[tuple[Event, str]]:
    ledger = Ledger()
    for event in events:
        body = ledger.encode(event)
        if body is not None:
            yield event, orjson.loads(body).get("sequence", "")


def _line(event: Event, number: str, calls: list[str]) -> str:
    data = event.data
    place, width = number, _NARROW
    if len(calls) > 1:
        width = _WIDE
        place = f"call {calls.index(event.subject) + 1}: {place:>2}" if place else ""
    said = [
        f"{before}{data[name]}"
        for name, before in _SHOWN.items()
        if data.get(name) is not None and (name != "direction" or event.type == "call.created")
    ]
    if data.get("early_media"):
        said.append("early media")
    if data.get("synthetic"):
        said.append(f"(synthetic: {data['synthetic_reason']})")
    return f"{place:>{width}} {event.type:<17} {', '.join(said)}".rstrip()


if __name__ == "__main__":
    write()
