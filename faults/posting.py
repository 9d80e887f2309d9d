"""A switch that posts records, several at once, and keeps in files what was not taken."""

import base64
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from deploy.local.settings import port_of
from faults.bodies import Record

OK = 200

_CLIENTS = 16
_TIMEOUT_SECONDS = 5.0  # as in freeswitch/autoload_configs/json_cdr.conf.xml


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one post. `status` is None where there was no answer in time."""

    leg_id: str
    status: int | None
    seconds: float


class Switch:
    """Posts records by so many clients at once; those not taken are in `spill`, as files.

    As mod_json_cdr does it, but for the second attempt: the file comes of the first failure.
    """

    def __init__(self, settings: Mapping[str, str], spill: Path) -> None:
        self._port = port_of(settings["VOICE_CDR_BIND"])
        access = f"{settings['VOICE_SWITCH_USER']}:{settings['VOICE_SWITCH_PASSWORD']}"
        self._headers = {
            "User-Agent": "freeswitch-json/1.0",
            "Accept": "*/*",
            "Content-Type": "application/json",
            "Authorization": f"Basic {base64.b64encode(access.encode()).decode()}",
        }
        self.spill = spill
        spill.mkdir(exist_ok=True)
        self.answers: list[Answer] = []  # of all posts so far
        self._lock = threading.Lock()
        self._due = 0.0

    def post(
        self, records: Sequence[Record], *, a_second: float, enough: int | None = None
    ) -> None:
        """Post records, not more than so many a second; return when none is under way.

        Stop after so many refusals as are `enough`, if that is given.
        """
        self._due = time.monotonic()
        waiting = iter(records)

        def client() -> None:
            while (record := self._next(waiting, 1 / a_second)) is not None:
                answer = self._post(record)
                with self._lock:
                    self.answers.append(answer)
                if enough is not None and self._refused() >= enough:
                    return

        with ThreadPoolExecutor(_CLIENTS, thread_name_prefix="posting") as pool:
            for done in [pool.submit(client) for _ in range(_CLIENTS)]:
                done.result()

    @property
    def files(self) -> list[Path]:
        """What is in the spill and not yet collected."""
        return sorted(self.spill.iterdir())

    def _next(self, waiting: Iterator[Record], pause: float) -> Record | None:
        """Return the next record when its time has come; what was late is not caught up with."""
        with self._lock:
            record = next(waiting, None)
            self._due = max(self._due + pause, time.monotonic())
            due = self._due
        if record is not None:
            threading.Event().wait(max(0.0, due - time.monotonic()))
        return record

    def _refused(self) -> int:
        with self._lock:
            return sum(answer.status != OK for answer in self.answers)

    def _post(self, record: Record) -> Answer:
        before = time.monotonic()
        status: int | None = None
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT_SECONDS)
        try:
            path = f"/cdr?uuid={record.leg_id}"
            connection.request("POST", path, record.body, self._headers)
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, HTTPException):
            pass  # refused, cut off, or not in time
        finally:
            connection.close()
        seconds = time.monotonic() - before
        if status != OK:
            (self.spill / f"{record.leg_id}.cdr.json").write_bytes(record.body + b"\n")
        return Answer(record.leg_id, status, seconds)
