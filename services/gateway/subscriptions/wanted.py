"""What a subscriber asks for, and which events that means."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from shared.messages.events import EVENTS

MOST_BINDINGS = 500
_PATTERN = re.compile(r"([a-z0-9_]+|\*|#)(\.([a-z0-9_]+|\*|#))*")


class NotWanted(ValueError):
    """Nobody can be told what was asked for; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Patterns of event types, and for each field of `match` the values that are wanted.

    An event is wanted that has one of the types and, in every field of `match`, one of its values.
    """

    types: tuple[str, ...]
    match: Mapping[str, tuple[str, ...]]

    @classmethod
    def parse(cls, types: Iterable[str], match: Mapping[str, Iterable[str]]) -> "Wanted":
        """Return it in one form, whatever the order it was asked in; raise `NotWanted`."""
        wanted = cls(
            types=tuple(sorted(set(types))),
            match={name: tuple(sorted(set(values))) for name, values in sorted(match.items())},
        )
        for pattern in wanted.types:
            if not _PATTERN.fullmatch(pattern) or not expand([pattern]):
                known = ", ".join(sorted(EVENTS))
                raise NotWanted(f"types: {pattern!r} is no event; known are: {known}")
        combinations = math.prod(map(len, wanted._fields().values()))
        if wanted.match and combinations > MOST_BINDINGS:
            raise NotWanted(
                f"match: makes {combinations} combinations of types and values; {MOST_BINDINGS} "
                "are possible: ask for fewer, or make several subscriptions"
            )
        return wanted

    def headers(self) -> list[dict[str, str]]:
        """Return which headers an event must have all of; any one of the list will do."""
        fields = self._fields()
        return [dict(zip(fields, values, strict=True)) for values in product(*fields.values())]

    def covers(self, headers: Mapping[str, Any]) -> bool:
        """Tell whether an event with these headers is wanted."""
        return any(covers(pattern, str(headers.get("type"))) for pattern in self.types) and all(
            headers.get(name) in values for name, values in self.match.items()
        )

    def _fields(self) -> dict[str, tuple[str, ...]]:
        if "#" in self.types:
            return dict(self.match)
        return {**self.match, "type": expand(self.types)}


def expand(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the types of the catalogue that some pattern covers."""
    wanted = tuple(patterns)
    return tuple(kind for kind in sorted(EVENTS) if any(covers(each, kind) for each in wanted))


def covers(pattern: str, kind: str) -> bool:
    """Tell whether a pattern covers a type, as a topic exchange sees it.

    `*` stands for one word, `#` for any number of them, none included.
    """
    return _covers(pattern.split("."), kind.split("."))


def _covers(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_covers(pattern[1:], words[begin:]) for begin in range(len(words) + 1))
    return bool(words) and pattern[0] in {"*", words[0]} and _covers(pattern[1:], words[1:])
