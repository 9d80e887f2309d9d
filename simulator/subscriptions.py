"""Which events a link asked for, and which its filters let through."""

from __future__ import annotations

import re

from simulator.event_names import EVENT_NAMES
from simulator.events import Event

_FORMATS = ("plain", "json", "xml")


class Subscription:
    """The events that one link has asked for."""

    def __init__(self) -> None:
        self.kind = "plain"
        self.names: set[str] = set()
        self.subclasses: set[str] = set()
        self.everything = False
        self.listening = False
        self.filters: list[tuple[str, str]] = []

    def subscribe(self, text: str) -> str:
        """Add what `event <format> <names>` asks for, and give the reply."""
        words = text.split()
        if words and words[0].lower() in _FORMATS:
            # The change of format sticks even where no name follows.
            self.kind = words.pop(0).lower()
        names, subclasses, everything = _read_names(words)
        if not (names or subclasses or everything):
            return "-ERR no keywords supplied"
        self.names |= names
        self.subclasses |= subclasses
        self.everything = self.everything or everything
        self.listening = True
        return f"+OK event listener enabled {self.kind}"

    def nix(self, text: str) -> str:
        """Take away what `nixevent` names."""
        names, subclasses, everything = _read_names(text.split())
        if everything:
            self.everything = False
            self.names.clear()
        elif self.everything:
            self.everything = False
            self.names |= EVENT_NAMES
        self.names -= names
        self.subclasses -= subclasses
        return "+OK events nixed"

    def stop(self) -> str:
        """Take away everything, as `noevents` does."""
        if not self.listening:
            return "-ERR not listening for events"
        self.names.clear()
        self.subclasses.clear()
        self.everything = self.listening = False
        return "+OK no longer listening for events"

    def filter(self, text: str) -> str:
        """Add or delete a filter, and give the reply."""
        words = text.split(" ", 1)
        action = words[0].lower()
        if action in {"add", "delete"}:
            header, _, value = (words[1] if len(words) > 1 else "").strip().partition(" ")
        else:
            header, _, value = text.partition(" ")
        if action == "delete" and header:
            self.filters = [] if header.lower() == "all" else self._without(header, value)
            return f"+OK filter deleted. [{header}][{value}]"
        if not header or not value:
            return "-ERR invalid syntax"
        self.filters.append((header, value))
        return f"+OK filter added. [{header}]=[{value}]"

    def _without(self, header: str, value: str) -> list[tuple[str, str]]:
        return [
            (name, wanted)
            for name, wanted in self.filters
            if name.lower() != header.lower() or (value and wanted != value)
        ]

    def wants(self, name: str, subclass: str = "") -> bool:
        """Say whether such an event was asked for, filters aside."""
        if self.everything:
            return True
        if name == "CUSTOM":
            return subclass in self.subclasses
        return name in self.names

    def lets_through(self, event: Event) -> bool:
        """Say whether the filters let this event through."""
        if not self.filters:
            return True
        passed = False
        for header, value in self.filters:
            found = event.get(header)
            if found is None:
                continue
            # A leading + or blank is a sign and not part of the value, so is a minus.
            negative = value[0] == "-"
            wanted = value[1:] if value[0] in "+- " else value
            if not _matches(found, wanted):
                continue
            if negative:
                return False
            passed = True
        return passed


def _matches(found: str, wanted: str) -> bool:
    if wanted.startswith("/"):
        return re.search(wanted.strip("/"), found) is not None
    return found.lower() == wanted.lower()


def _read_names(words: list[str]) -> tuple[set[str], set[str], bool]:
    names: set[str] = set()
    for position, word in enumerate(words):
        name = word.upper().removeprefix("SWITCH_EVENT_")
        if name == "CUSTOM":
            return names, set(words[position + 1 :]), False
        if name == "ALL":
            return names, set(), True
        if name in EVENT_NAMES:
            names.add(name)
    return names, set(), False
