"""Messages on disk, for as long as the broker is away: in order, and safe once `append` returns.

To reach the disk is what takes time. So what comes while others are on their way there goes with
the next turn, all of it together.
"""

import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


class SpoolUnwritable(Exception):
    """The disk did not do its work: a message is not safe, or not forgotten."""


@dataclass(slots=True, eq=False)
class _Kept:
    """Messages that somebody waits for, and why they are not safe; None once they are."""

    messages: Sequence[tuple[str, bytes]]
    was_tried: bool = False
    error: Exception | None = field(default_factory=lambda: SpoolUnwritable("it was not tried"))


class Spool:
    """A queue in one SQLite file. Any thread may use it."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._coming: list[_Kept] = []
        self._coming_lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            # Each commit reaches the disk itself before it returns.
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS spool"
                " (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB NOT NULL)"
            )
        except (OSError, sqlite3.Error) as error:
            raise SpoolUnwritable(f"{path}: {error}") from error

    def append(self, name: str, body: bytes) -> None:
        """Keep a message; raise `SpoolUnwritable` where it could not be kept."""
        self.extend([(name, body)])

    def extend(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Keep messages, all or none; raise `SpoolUnwritable` where they could not be kept."""
        mine = _Kept(messages)
        with self._coming_lock:
            self._coming.append(mine)
        with self._lock:
            if not mine.was_tried:  # nobody took them along
                with self._coming_lock:
                    together, self._coming = self._coming, []
                self._keep(together)
        if isinstance(mine.error, sqlite3.Error):
            raise SpoolUnwritable(str(mine.error)) from mine.error
        if mine.error is not None:
            raise mine.error

    def oldest(
        self, limit: int, *, after: int = 0, most_bytes: int = sys.maxsize
    ) -> Sequence[tuple[int, str, bytes]]:
        """Return the oldest messages behind a place: their place, name and body.

        So many that their bodies are no longer than `most_bytes` together, and at least one.
        """
        rows: list[tuple[int, str, bytes]] = []
        size = 0
        with self._used() as database:
            for row in database.execute(
                "SELECT id, name, body FROM spool WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
            ):
                size += len(row[2])
                if rows and size > most_bytes:
                    break
                rows.append(row)
        return rows

    @property
    def last_place(self) -> int:
        """The place of the newest message; 0 where there is none."""
        with self._used() as database:
            return int(database.execute("SELECT coalesce(max(id), 0) FROM spool").fetchone()[0])

    def remove(self, *places: int) -> None:
        """Forget messages that are safe elsewhere."""
        with self._used() as database, _transaction(database):
            database.executemany("DELETE FROM spool WHERE id = ?", [(place,) for place in places])

    def __len__(self) -> int:
        with self._used() as database:
            return int(database.execute("SELECT count(*) FROM spool").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _keep(self, together: Sequence[_Kept]) -> None:
        for kept in together:
            kept.was_tried = True
        if self._error_of(together) is None or len(together) == 1:
            return
        for kept in together:  # of one that is too large for the disk, the others know nothing
            self._error_of([kept])

    def _error_of(self, together: Sequence[_Kept]) -> Exception | None:
        """Try to keep messages in one transaction; return, and note, what prevented it."""
        error: Exception | None = None
        try:
            self._insert([message for kept in together for message in kept.messages])
        except Exception as caught:  # whoever waits for them raises it
            error = caught
        for kept in together:
            kept.error = error
        return error

    def _insert(self, messages: Sequence[tuple[str, bytes]]) -> None:
        with _transaction(self._database) as database:
            database.executemany("INSERT INTO spool (name, body) VALUES (?, ?)", messages)

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        """Give the database to one thread at a time."""
        try:
            with self._lock:
                yield self._database
        except sqlite3.Error as error:
            raise SpoolUnwritable(str(error)) from error


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    database.execute("BEGIN")
    try:
        yield database
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # a disk that is full has ended it already
            database.execute("ROLLBACK")
        raise
