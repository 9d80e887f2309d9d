"""Figures and the table that they end in. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_HEAD = ("what", "measured", "beside it, in the same run", "compared", "goal", "")
_DIGITS_FROM = ((100, 0), (10, 1), (0, 2))


@dataclass(frozen=True, slots=True)
class Row:
    """One measure: what came out, what it is held against, and whether the goal is met."""

    what: str
    measured: str
    beside: str = ""
    compared: str = ""
    goal: str = ""
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as the table shows it."""
        verdict = {True: "met", False: "**not met**", None: ""}[self.met]
        return (self.what, self.measured, self.beside, self.compared, self.goal, verdict)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that is not exceeded by this share (0 to 1) of the values."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def spread(values: Sequence[float], unit: str = "") -> str:
    """Return the median and, of several values, the least and the greatest."""
    middle = f"{number(median(values))}{unit}"
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values))} to {number(max(values))})"


def number(value: float) -> str:
    """Return the value with about three digits that mean something."""
    digits = next((digits for least, digits in _DIGITS_FROM if abs(value) >= least), 2)
    return f"{value:,.{digits}f}"


def render(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown."""
    return markdown(_HEAD, [row.cells for row in rows])


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    every = [head, ["---" for _ in head], *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in every)
