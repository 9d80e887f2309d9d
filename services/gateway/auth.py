"""Who may come in, and with which rights."""

import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable
from hashlib import sha256

from services.gateway.rights import ADMINISTRATOR, Client
from shared.dependency import DependencyAway

# The contract of the CRMs has room for 32 characters. What begins otherwise is none of ours, and
# is refused without a question to the database.
_BEGIN = "vt_"
_LENGTH = 32
_TOKEN = re.compile(rf"{_BEGIN}[A-Za-z0-9_-]{{{_LENGTH - len(_BEGIN)}}}", re.ASCII)

_REMEMBERED_SECONDS = 5.0
_MOST_REMEMBERED = 4096


def new_token() -> str:
    """Return a token that nobody can guess: 174 random bits."""
    return (_BEGIN + secrets.token_urlsafe(_LENGTH))[:_LENGTH]


def digest_of(token: str) -> bytes:
    """Return what is kept of a token."""
    return sha256(token.encode("utf-8", "replace")).digest()


class Tokens:
    """The tokens that open the gateway: the administrator's, and those that `find` knows.

    What `find` says of a digest is believed for a few seconds, so that a token which another
    gateway revoked opens nothing any more within them.
    """

    def __init__(
        self,
        administrator: str,
        find: Callable[[bytes], Client | None],
        *,
        seconds: float = _REMEMBERED_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._administrator = digest_of(administrator)
        self._find = find
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._remembered: dict[bytes, tuple[float, Client | None]] = {}

    def client_of(self, token: object) -> Client | None:
        """Return who comes with a token, None where it opens nothing.

        Raise `DependencyAway` where nobody can say; the administrator's is always known.
        """
        given = token if isinstance(token, str) else ""
        digest = digest_of(given)
        if hmac.compare_digest(digest, self._administrator):
            return ADMINISTRATOR
        if not _TOKEN.fullmatch(given):
            return None
        now = self._clock()
        until, client = self._remembered.get(digest, (now, None))
        if now < until:
            return client
        client = self._find(digest)
        with self._lock:
            # Whoever guesses fills it in vain: the true ones are asked for anew, that is all.
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[digest] = (now + self._seconds, client)
        return client

    def still_opens(self, token: str, client: Client) -> bool:
        """Tell whether a token is what it was. Where nobody can say, nobody can have revoked it."""
        try:
            return self.client_of(token) == client
        except DependencyAway:
            return True

    def forget(self) -> None:
        """Ask for every token anew, because one was made or revoked here."""
        with self._lock:
            self._remembered.clear()
