"""Takes what a switch wrote to its disk, and ends each file once all its records are stored.

Several may do so at once: a file is locked by who has it. Killed anywhere, nothing is lost and
nothing is stored twice; a record may be sent on twice.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from services.cdr import lines, spilled
from services.cdr.claims import Busy, Claim, Gone, LeftAlone, Look, NotOurs, Writers
from services.cdr.sending import Halted, Sending
from services.cdr.spilled import Key, Kind, Record
from services.cdr.tally import Stays, Tally
from shared.telephony.records import NotARecord

LARGEST = 16 << 20
_AT_ONCE = 200  # files that are open at a time
_MOST_BYTES = 32 << 20
_SETTLED_SECONDS = 60.0
_ASIDE_SECONDS = 0.5  # who was about to open a file has done so by then


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be said about collecting.

    `switch` and `columns` are for lines, which name neither. A file without a record counts as
    `HALF` until it is `unreadable_minutes` old.
    """

    directories: Sequence[Path]
    keep: Path | None = None
    switch: str | None = None
    columns: Sequence[str] = ()
    unreadable_minutes: float = 10.0


class Collector:
    """Looks through directories, as often as `collect` is called."""

    def __init__(
        self,
        choices: Choices,
        sending: Sending,
        *,
        stopping: threading.Event,
        progress: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        self._choices = choices
        self._sending = sending
        self._stopping = stopping
        self._progress = progress
        self._tally = Tally()
        # Files of lines that stay though all is stored: they are not read again until they change.
        self._done: dict[Path, Look] = {}

    def collect(self) -> Tally:
        """Look through all directories once, and return what came of it."""
        self._tally = Tally()
        for directory in self._choices.directories:
            batch = _Batch()
            try:
                for path in _names(directory):
                    self._take(path, batch)
                self._settle(batch)
            except OSError as error:
                self._tally.stays(Stays.REFUSED, directory, _plain(error))
            finally:
                batch.close()
        self._done = {path: look for path, look in self._done.items() if path.exists()}
        return self._tally

    def _take(self, path: Path, batch: "_Batch") -> None:
        kind = spilled.kind_of(path.name)
        if kind is None:
            self._tally.left_alone += 1
            return
        self._tally.looked_at += 1
        if self._stopping.is_set() or self._tally.halted:
            self._tally.stays(Stays.UNTRIED, path)
            return
        try:
            claim = Claim(path)
        except NotOurs as why:
            self._refuse(path, why)
            return
        if kind is Kind.RECORD:
            self._read(claim, batch)
            if batch.is_full:
                self._settle(batch)
        else:
            with claim:
                self._take_lines(claim, kind)
        self._progress(self._tally)

    def _refuse(self, path: Path, why: NotOurs) -> None:
        if isinstance(why, LeftAlone):
            self._tally.left_alone += 1
        elif isinstance(why, Busy):
            self._tally.stays(Stays.ELSEWHERE, path)
        elif not isinstance(why, Gone):
            self._tally.stays(Stays.REFUSED, path, str(why))

    # -- files of one record ---------------------------------------------------------------------

    def _read(self, claim: Claim, batch: "_Batch") -> None:
        try:
            if claim.size > LARGEST:
                why = f"{claim.size} bytes are more than {LARGEST}"
                self._tally.stays(Stays.REFUSED, claim.path, why)
                claim.close()
                return
            body = claim.file.read(LARGEST + 1)
            record = spilled.whole(body, leg_id=spilled.leg_of(claim.path.name))
        except NotARecord as error:
            self._not_a_record(claim, str(error))
            claim.close()
        except OSError as error:
            self._tally.stays(Stays.REFUSED, claim.path, _plain(error))
            claim.close()
        else:
            batch.add(claim, record)

    def _not_a_record(self, claim: Claim, why: str) -> None:
        is_old = time.time() - claim.changed_at > self._choices.unreadable_minutes * 60
        self._tally.stays(Stays.UNREADABLE if is_old else Stays.HALF, claim.path, why)

    def _settle(self, batch: "_Batch") -> None:
        """Have a batch stored, and end the files of what is."""
        stored = self._store([record for _, record in batch.files])
        for claim, record in batch.files:
            if record.key not in stored:
                self._tally.stays(Stays.WAITING, claim.path)
            elif claim.is_unchanged():
                self._end(claim)
            else:
                self._tally.stays(Stays.HALF, claim.path)
        batch.close()

    def _store(self, records: Sequence[Record]) -> set[Key]:
        if not records or self._tally.halted:
            return set()
        stored: set[Key] = set()
        try:
            stored = self._sending.known(records)
            self._tally.known += len(stored)
            now = self._sending.store([each for each in records if each.key not in stored])
        except Halted as why:
            self._tally.halted = str(why)
            return stored
        self._tally.stored += len(now)
        return stored | now

    def _end(self, claim: Claim) -> None:
        try:
            claim.end(self._choices.keep)
        except OSError as error:
            self._tally.stays(Stays.REFUSED, claim.path, f"cannot be ended: {_plain(error)}")
        else:
            self._tally.ended += 1

    # -- files of lines --------------------------------------------------------------------------

    def _take_lines(self, claim: Claim, kind: Kind) -> None:
        if not self._choices.switch or (kind.needs_columns and not self._choices.columns):
            self._tally.stays(Stays.UNTOLD, claim.path)
            return
        if self._done.get(claim.path) != claim.look and not self._are_stored(claim, kind):
            return
        self._done[claim.path] = claim.look
        if self._is_left(claim):
            self._end(claim)
            self._done.pop(claim.path, None)
        else:
            self._tally.stays(Stays.OPEN, claim.path)

    def _are_stored(self, claim: Claim, kind: Kind) -> bool:
        """Have all lines stored; count the file where some are not."""
        parts = iter(lambda: claim.file.readline(lines.LONGEST + 1), b"")
        found = lines.read(
            parts, kind, columns=self._choices.columns, switch=self._choices.switch or ""
        )
        waits, half, bad = False, "", ""
        try:
            for some in _in_batches(found, _AT_ONCE):
                records = [each for each in some if isinstance(each, Record)]
                stored = self._store(records)
                waits |= any(record.key not in stored for record in records)
                for each in some:
                    if isinstance(each, Record):
                        continue
                    why = f"line {each.line}: {each.reason}"
                    half, bad = (why, bad) if each.is_half else (half, bad or why)
                    self._tally.bad_lines += not each.is_half
                self._progress(self._tally)
                if self._tally.halted or self._stopping.is_set():
                    waits = True
                    break
        except OSError as error:
            self._tally.stays(Stays.REFUSED, claim.path, _plain(error))
            return False
        if waits:
            self._tally.stays(Stays.WAITING, claim.path)
        elif bad or half:
            self._not_a_record(claim, bad or half)
        return not (waits or bad or half)

    def _is_left(self, claim: Claim) -> bool:
        """Tell whether nobody will write into the file any more, under the name it then has.

        A switch keeps the file open for as long as it runs: what it writes into one that was
        removed is lost. So the file must have rested, and be one that was rotated, or else one
        that the kernel says nobody has open; that is put aside first.
        """
        if not claim.is_unchanged() or time.time() - claim.changed_at < _SETTLED_SECONDS:
            return False
        if not spilled.is_rotated(claim.path.name):
            aside = claim.put_aside()
            if aside is None:
                return False
            self._done.pop(claim.path, None)
            claim.path = aside
            self._done[aside] = claim.look
            self._stopping.wait(_ASIDE_SECONDS)
        return claim.writers() is not Writers.SOME and claim.is_unchanged()


class _Batch:
    """Files of one record each that are open, with their records."""

    def __init__(self) -> None:
        self.files: list[tuple[Claim, Record]] = []
        self._bytes = 0

    def add(self, claim: Claim, record: Record) -> None:
        self.files.append((claim, record))
        self._bytes += len(record.body)

    @property
    def is_full(self) -> bool:
        return len(self.files) >= _AT_ONCE or self._bytes >= _MOST_BYTES

    def close(self) -> None:
        for claim, _ in self.files:
            claim.close()
        self.files.clear()
        self._bytes = 0


def _names(directory: Path) -> Iterator[Path]:
    with os.scandir(directory) as entries:
        for entry in entries:
            yield Path(entry.path)


def _in_batches(
    found: Iterable[Record | lines.NoRecord], size: int
) -> Iterator[list[Record | lines.NoRecord]]:
    it = iter(found)
    while batch := list(islice(it, size)):
        yield batch


def _plain(error: OSError) -> str:
    return error.strerror or type(error).__name__
