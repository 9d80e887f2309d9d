"""What came of collecting, in numbers and in plain words. Pure."""

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

_MOST_NAMED = 20


class Stays(StrEnum):
    """Why a file stays."""

    HALF = "not whole yet; the switch may still write it"
    UNREADABLE = "no record, and old: look into it, nobody else will"
    WAITING = "sent on, and not stored yet; taken next time"
    UNTRIED = "not tried, since collecting ended early"
    OPEN = "all stored; the switch may still write into it, so have it rotated"
    ELSEWHERE = "another collector has it"
    UNTOLD = "lines that need --switch, and CSV --columns too"
    REFUSED = "cannot be taken"


@dataclass(slots=True)
class Tally:
    """Counts of one run. Only the first files of each reason are named, so it stays small."""

    looked_at: int = 0
    stored: int = 0
    known: int = 0
    ended: int = 0
    left_alone: int = 0
    bad_lines: int = 0
    stay: Counter[Stays] = field(default_factory=Counter)
    named: dict[Stays, list[str]] = field(default_factory=dict)
    halted: str | None = None

    def stays(self, reason: Stays, path: Path, why: str = "") -> None:
        """Count a file that stays."""
        self.stay[reason] += 1
        names = self.named.setdefault(reason, [])
        if len(names) < _MOST_NAMED:
            names.append(f"{shown(path)}: {why}" if why else shown(path))

    def after(self, earlier: "Tally") -> "Tally":
        """Return this tally, of the last look, with what was done at an earlier one."""
        return replace(
            self,
            stored=self.stored + earlier.stored,
            known=self.known + earlier.known,
            ended=self.ended + earlier.ended,
        )

    @property
    def left(self) -> int:
        """How many files stay."""
        return self.stay.total()

    def words(self) -> str:
        """Return the whole of it for people."""
        lines = [
            f"{_count(self.stored, 'record')} stored, {self.known} more had been stored before; "
            f"{_count(self.ended, 'file')} ended."
        ]
        if self.halted:
            lines.append(f"Ended early: {self.halted}.")
        if self.bad_lines:
            lines.append(f"{_count(self.bad_lines, 'line')} could not be read.")
        if self.left_alone:
            lines.append(
                f"{self.left_alone} other names left alone (links, subdirectories, other files)."
            )
        if not self.left:
            lines.append("Nothing stays.")
        for reason, number in sorted(self.stay.items()):
            lines.append(f"{_count(number, 'file')} stay{'s' * (number == 1)}: {reason}.")
            names = self.named.get(reason, [])
            lines += [f"  {name}" for name in names]
            if number > len(names):
                lines.append(f"  and {number - len(names)} more")
        return "\n".join(lines)


def shown(path: Path) -> str:
    """Return a path as it can be printed anywhere: names of files are any bytes."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
