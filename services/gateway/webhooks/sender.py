"""One POST of one event, to an address that is permitted, within ten seconds."""

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any

from services.gateway.webhooks.address import NotPermitted, Permitted, split
from services.gateway.webhooks.signature import signed
from shared.messages.events import CONTENT_TYPE

_STEP_SECONDS = 5.0
_TOTAL_SECONDS = 10.0
_LONGEST_ANSWER = 1024  # bytes; of what a receiver says nothing is needed but the status

_AGENT = "voice-api webhooks"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the receiver's status, or why there is none."""

    status: int | None
    error: str | None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has the event."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004


class Sender:
    """Sends; knows where it may."""

    def __init__(self, permitted: Permitted, *, total_seconds: float = _TOTAL_SECONDS) -> None:
        self._permitted = permitted
        self._total_seconds = total_seconds
        self._tls = ssl.create_default_context()

    def check(self, url: str) -> None:
        """Raise `NotPermitted` where nothing may be sent to a URL, as its name leads today."""
        _, host, port = split(url)
        self._addresses(host, port)

    def send(self, url: str, secret: str, message_id: str, at: int, body: bytes) -> Outcome:
        """POST an event, signed; follow no redirection."""
        try:
            parts, host, port = split(url)
            connection = self._connection(parts.scheme, host, port)
        except NotPermitted as error:
            return Outcome(None, str(error))
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": _AGENT,
            "Connection": "close",
            **signed(secret, message_id, at, body),
        }
        links: list[socket.socket] = []
        # http.client's own limit counts from byte to byte: a receiver that drips would never end.
        connection._create_connection = partial(self._connect, links)  # type: ignore[attr-defined]
        limit = threading.Timer(self._total_seconds, _cut, [links])
        limit.daemon = True
        limit.start()
        try:
            connection.request("POST", target, body, headers)
            answer = connection.getresponse()
            said = answer.read(_LONGEST_ANSWER)
        except (OSError, HTTPException, NotPermitted, ValueError) as error:
            return Outcome(None, f"{type(error).__name__}: {error}".replace("\0", "")[:500])
        finally:
            limit.cancel()
            connection.close()
            for link in links:
                link.close()
        outcome = Outcome(answer.status, None)
        if outcome.is_delivered:
            return outcome
        return Outcome(answer.status, said.decode("utf-8", "replace").replace("\0", "")[:500])

    def _connection(self, scheme: str, host: str, port: int) -> HTTPConnection:
        if scheme == "https":
            return HTTPSConnection(host, port, timeout=_STEP_SECONDS, context=self._tls)
        return HTTPConnection(host, port, timeout=_STEP_SECONDS)

    def _connect(
        self, links: list[socket.socket], place: tuple[str, int], timeout: float, *_: Any
    ) -> socket.socket:
        """Connect to an address that was checked: a name may lead elsewhere the next time."""
        failure: OSError = OSError(f"{place[0]} has no address")
        for address in self._addresses(*place):
            try:
                link = socket.create_connection((address, place[1]), timeout)
            except OSError as error:
                failure = error
                continue
            # A second handle on the same connection: TLS takes the first one away.
            links.append(link.dup())
            self._permitted.check(link.getpeername()[0])
            return link
        raise failure

    def _addresses(self, host: str, port: int) -> list[str]:
        """Return where a name leads; raise `NotPermitted` where one address of it is not."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NotPermitted(f"{host!r} has no address: {error}") from None
        addresses = [str(place[0]) for *_, place in found]
        for address in addresses:
            self._permitted.check(address)
        return addresses


def _cut(links: list[socket.socket]) -> None:
    for link in links:
        with suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)
