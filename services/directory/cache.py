"""Users as they were read last: what a storm of registrations is answered from."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, ParamSpec, TypeVar

from services.directory.users import KnownUser
from shared.dependency import DependencyAway

_FRESH_SECONDS = 60.0
MOST_USERS = 100_000
_MOST_DOCUMENTS = 4  # of one user: one for each pair of names by which the domain is asked

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class Entry:
    """A user, and the answers that were made of it."""

    user: KnownUser
    read_at: float
    documents: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def keep(self, key: tuple[str, str], document: bytes) -> None:
        """Have an answer given again."""
        if len(self.documents) < _MOST_DOCUMENTS:
            self.documents[key] = document


class UserCache:
    """Every user that was asked for, for as long as nobody says that it changed.

    After a minute a user is read again, in case that a change was told while nobody listened. While
    the database is away a user is as it was read last. Users who are not there are not remembered:
    a user exists the moment it is made.
    """

    def __init__(
        self,
        read: Callable[[str, str], KnownUser | None],
        *,
        size: int = MOST_USERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._changes = 0
        self._entries: dict[tuple[str, str], Entry] = {}

    def find(self, domain: str, extension: str) -> Entry | None:
        """Return the user, None where there is none.

        Raise `DependencyAway` where the database is needed and cannot be asked.
        """
        key = (domain, extension)
        known = self._entries.get(key)
        if known is not None and self._clock() - known.read_at < _FRESH_SECONDS:
            return known
        changes = self._changes
        try:
            user = self._read(domain, extension)
        except DependencyAway:
            if known is None:
                raise
            return known
        entry = self._anew(known, user, self._clock()) if user is not None else None
        with self._lock:
            # What was read before a change is not kept after it.
            if changes == self._changes:
                self._put(key, entry)
        return entry

    def warm(self, read: Callable[[], Iterable[KnownUser] | None]) -> int:
        """Read all users, if there is room for all; return how many are known now.

        Who is known already keeps the answers that were made, where nothing changed.
        """
        changes, read_at = self._changes, self._clock()
        found = read()
        users = {(user.domain, user.extension): user for user in found or ()}
        with self._lock:
            if found is not None and changes == self._changes and len(users) <= self._size:
                self._entries = {
                    key: self._anew(self._entries.get(key), user, read_at)
                    for key, user in users.items()
                }
            return len(self._entries)

    @staticmethod
    def _anew(known: Entry | None, user: KnownUser, read_at: float) -> Entry:
        documents = known.documents if known is not None and known.user == user else {}
        return Entry(user, read_at, documents)

    def forget(self, domain: str, extension: str) -> None:
        """Ask anew for this user: it changed."""
        with self._lock:
            self._changes += 1
            self._entries.pop((domain, extension), None)

    def clear(self) -> None:
        """Ask anew for everybody: changes may have been missed."""
        with self._lock:
            self._changes += 1
            # Still good while the database is away, and for nothing else.
            for entry in self._entries.values():
                entry.read_at = float("-inf")

    def _put(self, key: tuple[str, str], entry: Entry | None) -> None:
        self._entries.pop(key, None)
        if entry is not None:
            if len(self._entries) >= self._size:
                self._entries.pop(next(iter(self._entries)))
            self._entries[key] = entry


class Impatient(Generic[P, T]):
    """Asks the database, and waits for a bounded time only.

    A database that hangs says nothing, not even that it is away; a switch that waits for us answers
    no phone meanwhile. After one question that nobody answered, the next ones are refused at once
    for a moment.
    """

    def __init__(
        self,
        ask: Callable[P, T],
        *,
        seconds: float = 1.5,
        rest_seconds: float = 1.0,
        threads: int = 16,
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._rest_seconds = rest_seconds
        self._silent_until = float("-inf")
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the answer; raise `DependencyAway` where none came in time."""
        if time.monotonic() < self._silent_until:
            raise DependencyAway("the database does not answer")
        future = self._pool.submit(self._ask, *args, **kwargs)
        try:
            return future.result(self._seconds)
        except TimeoutError:
            future.cancel()
            self._silent_until = time.monotonic() + self._rest_seconds
            raise DependencyAway(f"the database did not answer in {self._seconds} s") from None
