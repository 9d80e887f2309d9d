"""What a switch is asked when its link stands, so that nothing done meanwhile stays untold."""

from collections import deque
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
import structlog

from services.events.listener import Listener, decode
from services.events.teller import Teller
from shared.switch.frames import BadFrame

_CORE = "global_getvar core_uuid"
_CHANNELS = "show channels as json"
_CALLS = "show calls as json"
_PHONES = "show registrations as json"
_AGENTS = "callcenter_config agent list"
_AT_ONCE = 20  # so that the answers never wait for the questions
_BEATS = 3

log = structlog.get_logger(__name__)


class Comparison:
    """Asks one switch, and has the teller compare. All in the listener's thread."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._listener: Listener | None = None
        self._channels: list[dict[str, Any]] | None = None
        self._closer: deque[str] = deque()
        self._asking = 0
        self._odd_beats = 0

    def by(self, listener: Listener) -> None:
        """Ask by this listener's link."""
        self._listener = listener

    def link_up(self) -> None:
        """Ask for everything: anything may have happened."""
        self._closer.clear()
        self._asking = self._odd_beats = 0
        self._ask(_CORE, lambda body: self._teller.switch_up(_uuid(body)))
        self._ask_channels()
        self._ask(_AGENTS, lambda body: self._teller.agents(table(body)))
        self._ask_phones()

    def hear(self, headers: Mapping[str, Any]) -> None:
        """Take in an event of the switch, and ask where it makes us doubt."""
        self._teller.hear(headers)
        if self._teller.are_phones_in_doubt():
            self._ask_phones()
        if headers.get("Event-Name") == "HEARTBEAT":
            self._beat(str(headers.get("Session-Count")))

    def _beat(self, sessions: str) -> None:
        """Compare now and then where the switch has more or fewer legs than were told of.

        It may lose events for us without a word, when we were slow. One beat shows nothing: legs
        come and go.
        """
        self._odd_beats = 0 if sessions == str(self._teller.legs) else self._odd_beats + 1
        if self._odd_beats >= _BEATS:
            self._odd_beats = 0
            self._ask_channels()

    def _ask_channels(self) -> None:
        self._ask(_CHANNELS, self._listed)
        self._ask(_CALLS, self._compare)

    def _ask_phones(self) -> None:
        def answered(body: bytes) -> None:
            found = rows(body)
            if found is not None:
                self._teller.registrations(found)

        self._ask(_PHONES, answered)

    def _listed(self, body: bytes) -> None:
        self._channels = rows(body)

    def _compare(self, body: bytes) -> None:
        if self._channels is not None:
            self._closer += self._teller.channels(self._channels, rows(body) or [])
            self._look_closer()

    def _look_closer(self) -> None:
        while self._closer and self._asking < _AT_ONCE:
            self._asking += 1
            self._ask(f"uuid_dump {self._closer.popleft()} json", self._dumped)

    def _dumped(self, body: bytes) -> None:
        self._asking -= 1
        # It may be gone by now: `-ERR No such channel!`. Then its record tells the rest.
        if body.startswith(b"{"):
            try:
                self._teller.hear(decode(body))
            except BadFrame as error:
                log.warning("no channel data", error=str(error))
        self._look_closer()

    def _ask(self, command: str, answered: Any) -> None:
        if self._listener is not None:
            self._listener.ask(command, answered)


def rows(body: bytes) -> list[dict[str, Any]] | None:
    """Return the rows of a list as JSON; FreeSWITCH leaves `rows` out where there are none."""
    try:
        found = orjson.loads(body).get("rows", [])
    except (orjson.JSONDecodeError, AttributeError):
        # `-ERR`, as where the switch's own database is away: it says nothing about anything.
        log.warning("no list", said=body[:60].decode("utf-8", "replace"))
        return None
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else None


def table(body: bytes) -> list[dict[str, str]]:
    """Return the rows of a list of mod_callcenter's: names, rows, `+OK`, parted by `|`."""
    lines = body.decode("utf-8", "replace").splitlines()
    names, *others = [line.split("|") for line in lines if "|" in line] or [[]]
    return [dict(zip(names, line, strict=False)) for line in others]


def _uuid(body: bytes) -> str | None:
    try:
        return str(UUID(body.decode("utf-8", "replace").strip()))
    except ValueError:
        return None
