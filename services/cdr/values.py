"""A record's values, read into columns: what is there and cannot be used is marked. Pure.

A value may be text or a number, whatever its column is: JSON that went through other hands has
numbers where the switch writes text, and the other way. Columns without an own mark keep what they
get; a mark is the column's name.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.messages.events import microseconds, moment
from shared.telephony.records import text_of

LONGEST = 256
_LARGEST = 2**31 - 1
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_OLDEST = timedelta(days=3653)
_NEWEST = timedelta(days=1)


class Values:
    """One record's variables."""

    def __init__(self, variables: Any, received_at: datetime) -> None:
        self._variables: Mapping[str, Any] = variables if isinstance(variables, dict) else {}
        self._earliest = microseconds(received_at - _OLDEST)
        self._latest = microseconds(received_at + _NEWEST)
        self.marks: set[str] = set()

    def said(self, name: str) -> str:
        """Return a variable as text that decides something and becomes no column; "" for none."""
        return text_of(self._variables.get(name)) or ""

    def text(self, column: str, *names: str, longest: int = LONGEST) -> str | None:
        """Return the first of some variables that is there."""
        for name in names:
            value = self._variables.get(name)
            text = text_of(value)
            if text is not None:
                return self.cut(column, text, longest)
            if value:
                self.marks.add(column)
        return None

    def cut(self, column: str, text: str, longest: int = LONGEST) -> str:
        """Return text as far as the column, and its index, holds it."""
        if len(text) > longest:
            self.marks.add(column)
        return text[:longest]

    def whole(self, column: str, *values: Any, least: int = 0, most: int = _LARGEST) -> int | None:
        """Return the first of some values that is there, a whole number."""
        number = self._number(column, values)
        if number is None:
            return None
        if not least <= number <= most:
            self.marks.add(column)
            return None
        return int(number)

    def real(self, column: str, *values: Any, most: float) -> float | None:
        """Return the first of some values that is there, a number from 0 on."""
        number = self._number(column, values)
        if number is not None and not 0 <= number <= most:
            self.marks.add(column)
            return None
        return number

    def value(self, name: str) -> Any:
        """Return a variable as it is."""
        return self._variables.get(name)

    def time(self, column: str, *events: str) -> int | None:
        """Return when the first of some things happened that did, in microseconds."""
        for event in events:
            for name, scale in ((f"{event}_uepoch", 1), (f"{event}_epoch", 1_000_000)):
                stamp = self.stamp(column, self._variables.get(name), scale)
                if stamp is not None:
                    return stamp
        return None

    def stamp(self, column: str, value: Any, scale: int = 1) -> int | None:
        """Return a time in microseconds; None for what did not happen, which is 0.

        A time that is far from now is no time: clocks begin in 1970, and some end in 2036.
        """
        stamp = self._number(column, [value])
        if not stamp:
            return None
        if self._earliest <= stamp * scale <= self._latest:
            return int(stamp * scale)
        self.marks.add(column)
        return None

    def _number(self, column: str, values: Any) -> float | int | None:
        for value in values:
            if value is None or value == "":
                continue
            if isinstance(value, int | float) and not isinstance(value, bool):
                if math.isfinite(value):
                    return value
            elif isinstance(value, str) and _NUMBER.fullmatch(value):
                return float(value) if "." in value else int(value)
            self.marks.add(column)
        return None


def at(stamp: int | None) -> datetime | None:
    """Return the time that a stamp stands for."""
    return None if stamp is None else moment(stamp)


def span(start: int | None, end: int | None) -> int | None:
    """Return how many milliseconds lie between two stamps, as a column holds them."""
    return None if start is None or end is None else min(max(0, end - start) // 1000, _LARGEST)
