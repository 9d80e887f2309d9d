"""What a dialled phone does, told by the last three digits of its number."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REFUSALS = frozenset({"404", "480", "486", "603"})
# Longer numbers are customers' and go out through a trunk.
_LONGEST_EXTENSION = 5


@dataclass(frozen=True, slots=True)
class Script:
    """One phone's behaviour after it gets an INVITE."""

    early_media: bool = False
    refuses_with: int | None = None
    never_answers: bool = False
    hangs_up_after_seconds: float | None = None


def script_of(number: str) -> Script:
    """Give the behaviour of the phone with this number."""
    ending = re.sub(r"\D", "", number)[-3:]
    if ending in _REFUSALS:
        return Script(refuses_with=int(ending))
    if ending == "408":
        return Script(never_answers=True)
    if ending == "183":
        return Script(early_media=True)
    if re.fullmatch(r"90[1-9]", ending):
        return Script(hangs_up_after_seconds=float(ending[2]))
    return Script()


def is_extension(number: str) -> bool:
    """Say whether this is an agent's extension rather than a customer's number."""
    return len(number) <= _LONGEST_EXTENSION


def is_registered(extension: str) -> bool:
    """Say whether the extension's phone is on the network at all."""
    return not extension.endswith("404")
