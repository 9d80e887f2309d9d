"""Calls that were dialled and left no trace on their switch, found in the table `commands`.

The dialer died between its claim and the switch, or the call failed while nobody listened: there is
neither a channel nor a record, and nobody else would ever end it.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Engine

from services.events import store
from services.events.store import Dialled
from services.events.teller import Teller
from shared.database.engine import reaching
from shared.dependency import DependencyAway
from shared.messages.events import microseconds, moment

_POLL_SECONDS = 2.0
# By then the switch has shown a channel, or said why there is none: before that it looks up where
# the agent's phone is, which takes as long as its lookups may.
_AGE = timedelta(seconds=30)
_NO_ANSWER = "dialled, and the switch showed nothing of it"

log = structlog.get_logger(__name__)


class Traces:
    """Looks for them, while we speak for their switch. The database may be away."""

    def __init__(self, engine: Engine, speakers: Mapping[str, Callable[[], Teller | None]]) -> None:
        self._engine = engine
        self._speakers = speakers
        self._seen_to: dict[str, datetime] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)

    def start(self) -> None:
        """Begin to look; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        is_away = False
        while not self._stopping.wait(_POLL_SECONDS):
            for name, speaker in self._speakers.items():
                teller = speaker()
                if teller is None:
                    self._seen_to.pop(name, None)
                    continue
                try:
                    self._look(name, teller)
                    is_away = False
                except DependencyAway as error:
                    if not is_away:
                        log.warning("commands cannot be looked through", error=str(error))
                    is_away = True
                except Exception:
                    log.exception("commands not looked through", switch=name)

    def _look(self, name: str, teller: Teller) -> None:
        until = datetime.now(UTC) - _AGE
        since = self._seen_to.get(name) or moment(teller.remembers_since)
        while since < until:
            with reaching():
                found = store.dialled(self._engine, name, since, until)
            for each in found:
                if not teller.knows(each.call_id):
                    self._tell(teller, each)
            since = found[-1].at if found else until
        self._seen_to[name] = since

    def _tell(self, teller: Teller, dialled: Dialled) -> None:
        variables = {
            "crm_uuid": dialled.data.get("crm_uuid"),
            "product_code": dialled.data.get("product_code"),
            "agent_extension": dialled.data.get("extension"),
            "customer_number": dialled.data.get("customer_number"),
        }
        told = {name: value for name, value in variables.items() if isinstance(value, str)}
        refused = (dialled.answer or "").startswith("-ERR")
        words = (dialled.answer or "").removeprefix("-ERR").split()
        cause = words[0] if refused and words and words[0].isupper() else None
        reason = "the switch refused it" if refused else _NO_ANSWER
        teller.left_no_trace(dialled.call_id, told, cause, microseconds(dialled.at), reason)
