"""Customers' numbers, hidden from those who may not see them. Pure.

Of a number the last three characters stay, of one of up to six characters nothing: whoever works
with a customer knows the call again, and nobody can call the number back. Ids stay as they are.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN = 3
_SHORT = 6
_NUMBERS = ("from", "to", "number")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def masked(number: str) -> str:
    """Return a number with all but its end hidden."""
    shown = number[-_SHOWN:] if len(number) > _SHORT else ""
    return "*" * (len(number) - len(shown)) + shown


def masked_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record without the customer's number, wherever it stands in it."""
    known = {record["number"]} if record.get("number") else set()
    return _hidden(record, known)


def masked_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event, as the journal has it, without the customer's number in its data."""
    data = event.get("data")
    return {**event, "data": masked_data(data) if isinstance(data, dict) else None}


def masked_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an event says without the customer's number."""
    return _hidden(data, _numbers_of(data))


def masked_timeline(
    number: str | None, timeline: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what the events of one call say without the number of it that any of them names."""
    numbers = {number} if number else set()
    extensions = set()
    for data in timeline:
        numbers |= _numbers_of(data)
        extensions |= {data.get("extension"), data.get("address") if _is_inside(data) else None}
    return [_hidden(data, numbers - extensions) for data in timeline]


def _numbers_of(data: Mapping[str, Any]) -> set[str]:
    """Return what an event calls customers' numbers.

    `from`, `to` and `number` but for the agent's extension, and the address of every leg that is
    not an agent's or a supervisor's.
    """
    named = [data.get(name) for name in _NUMBERS]
    if not _is_inside(data):
        named.append(data.get("address"))
    return {
        text
        for text in named
        if isinstance(text, str)
        and text
        and text != data.get("extension")
        and not _UUID.fullmatch(text)
    }


def _is_inside(data: Mapping[str, Any]) -> bool:
    return data.get("role") in ("agent", "supervisor")


def _hidden(said: Mapping[str, Any], numbers: set[str]) -> dict[str, Any]:
    # A path or an address may hold it as well; a short one is found in too much.
    within = {number.lstrip("+") for number in numbers if len(number) > _SHORT}
    return {name: _without(name, value, numbers, within) for name, value in said.items()}


def _without(name: str, value: Any, numbers: set[str], within: set[str]) -> Any:
    match value:
        case dict():
            return {key: _without(key, each, numbers, within) for key, each in value.items()}
        case list():
            return [_without(name, each, numbers, within) for each in value]
        case str() if name.endswith(("_id", "_uuid", "_ids", "_at", "extension")):
            return value
        case str() if value in numbers:
            return masked(value)
        case str():
            for number in sorted(within, key=len, reverse=True):
                value = value.replace(number, masked(number))
            return value
    return value
