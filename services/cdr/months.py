"""Which months of records are kept in a table of their own. Pure.

A month's partition is named after it: `cdrs_2026_11`, by UTC.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_AHEAD = 2
_YEARS_BACK = 10
_NAME = re.compile(r"cdrs_([0-9]{4})_(0[1-9]|1[0-2])", re.ASCII)
_DECEMBER = 12


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month."""

    year: int
    month: int

    @classmethod
    def of(cls, at: datetime) -> "Month":
        """Return the month of a time."""
        at = at.astimezone(UTC)
        return cls(at.year, at.month)

    @property
    def table(self) -> str:
        """The partition's name."""
        return f"cdrs_{self.year:04}_{self.month:02}"

    @property
    def start(self) -> datetime:
        """When it begins."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def next(self) -> "Month":
        """The month that follows."""
        is_last = self.month == _DECEMBER
        return Month(self.year + is_last, 1 if is_last else self.month + 1)


def existing(tables: Iterable[str]) -> set[Month]:
    """Return the months that tables are partitions of; others are left out."""
    return {
        Month(int(found[1]), int(found[2])) for name in tables if (found := _NAME.fullmatch(name))
    }


def ahead(now: datetime) -> list[Month]:
    """Return the months that must be there before they are needed."""
    months = [Month.of(now)]
    for _ in range(_AHEAD):
        months.append(months[-1].next)
    return months


def needed(times: Iterable[datetime], now: datetime) -> list[Month]:
    """Return the months that records of these times belong into, the oldest first.

    Clocks can be wrong by decades: what is older than ten years, or in a future for which no month
    is made, stays in the default partition.
    """
    latest = ahead(now)[-1]
    oldest = Month(latest.year - _YEARS_BACK, latest.month)
    return sorted(month for month in {Month.of(at) for at in times} if oldest <= month <= latest)


def expired(months: Iterable[Month], *, now: datetime, keep_days: int) -> list[Month]:
    """Return the months of which nothing is to be kept, the oldest first."""
    limit = now - timedelta(days=keep_days)
    return sorted(month for month in months if month.next.start <= limit)
