"""Knows all users before they are asked for."""

import threading
from collections.abc import Callable, Sequence

import structlog

from services.directory.cache import UserCache
from services.directory.users import KnownUser
from shared.dependency import until_back

log = structlog.get_logger(__name__)


class Warming:
    """Reads all users into the cache: at the start, and whenever changes may have been missed.

    A storm of registrations is what follows a restart, and it should not meet the database user by
    user.
    """

    def __init__(self, cache: UserCache, read: Callable[[], Sequence[KnownUser] | None]) -> None:
        self._cache = cache
        self._read = read
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warming", daemon=True)

    def start(self) -> None:
        """Begin; return at once."""
        self._wanted.set()
        self._thread.start()

    def stop(self) -> None:
        """End when what is being read is read."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join(timeout=5)

    def again(self) -> None:
        """Doubt everything that is known, and read it anew."""
        self._cache.clear()
        self._wanted.set()

    def _run(self) -> None:
        trying = until_back(self._stopping)
        while self._wanted.wait() and not self._stopping.is_set():
            self._wanted.clear()
            try:
                users = trying(self._cache.warm, self._read)
                log.info("users read", users=users)
            except Exception:
                # Without it each user is read when it is asked for.
                log.exception("users not read ahead")
