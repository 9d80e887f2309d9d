"""Messages on disk, for as long as the broker is away: in order, and safe once `append` returns."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class SpoolUnwritable(Exception):
    """The disk did not do its work: a message is not safe, or not forgotten."""


class Spool:
    """A queue in one SQLite file. Any thread may use it."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
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
        with self._used() as database, _transaction(database):
            database.executemany("INSERT INTO spool (name, body) VALUES (?, ?)", messages)

    def oldest(self, limit: int, *, after: int = 0) -> Sequence[tuple[int, str, bytes]]:
        """Return the oldest messages behind a place: their place, name and body."""
        with self._used() as database:
            return database.execute(
                "SELECT id, name, body FROM spool WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
            ).fetchall()

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

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        """Give the database to one thread at a time."""
        try:
            with self._lock:
                yield self._database
        except sqlite3.Error as error:
            raise SpoolUnwritable(str(error)) from error


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN")
    try:
        yield
    except BaseException:
        if database.in_transaction:  # a disk that is full has ended it already
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
