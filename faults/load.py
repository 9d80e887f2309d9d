"""Calls of every kind, so many in flight at a time, whatever is broken meanwhile."""

import contextlib
import heapq
import random
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException

import orjson

from bench.crm import Crm
from faults.stage import Stage
from faults.truth import Truth
from shared.switch.handshake import SwitchAway, connect

EXTENSIONS = tuple(str(extension) for extension in range(1200, 1230))
BUSY, SILENT, AWAY = "1486", "1408", "1404"

_REAL_AGENTS = 4  # each of them has to register
_CLICKS = 16  # at once
_TURN_SECONDS = 0.025
_PROMISED_SECONDS = 30.0  # by then a call that was promised is dialled, or it waits for a fault
_LONGEST_CALL = 14.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of call: who is called, and whether it is hung up by way of the switch."""

    number: str
    agent: str = ""
    hung_up: bool = False


# What calls come to, and how many of a hundred: the simulated phones go by their last digits.
_MIX: tuple[tuple[Kind, int], ...] = (
    *((Kind(f"1380013890{seconds}"), 11) for seconds in (4, 6, 7, 8, 9)),
    (Kind("13800138000", hung_up=True), 15),
    (Kind("13800138486"), 8),
    (Kind("13800138603"), 5),
    (Kind("13800138408"), 4),
    (Kind("13800138404"), 3),
    (Kind("13800138904", agent=BUSY), 4),
    (Kind("13800138904", agent=SILENT), 3),
    (Kind("13800138904", agent=AWAY), 3),
)

_KINDS = [kind for kind, _ in _MIX]
_WEIGHTS = [weight for _, weight in _MIX]


class Load:
    """Keeps so many calls in flight from `start` on until `stop`, as the switch counts them."""

    def __init__(self, stage: Stage, *, calls: int) -> None:
        self._settings = stage.settings
        self._switch = stage.switch
        self._calls = calls
        self._agents = EXTENSIONS if stage.real is None else EXTENSIONS[:_REAL_AGENTS]
        self._password = None if stage.real is None else stage.real.password
        self._truth_file = stage.truth_file
        self._read = 0
        self.truth = Truth()
        self.accepted: dict[str, float] = {}  # when
        self.refused: Counter[str] = Counter()
        self._random = random.Random(0)  # noqa: S311  (no secret)
        self._to_hang_up: list[tuple[float, str]] = []
        self._clicking: set[Future[None]] = set()
        self._crms = threading.local()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="load")

    def prepare(self) -> None:
        """Make the agents, their phones with the password where there is one."""
        crm = Crm(self._settings)
        for extension in (*self.present, AWAY):
            crm.create_user(extension, self._password)
        crm.close()

    @property
    def present(self) -> tuple[str, ...]:
        """The agents whose phones are there."""
        return (*self._agents, BUSY, SILENT)

    def start(self) -> None:
        """Begin to call."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further call; those that are up stay."""
        self._stopping.set()
        self._thread.join(30)

    def look(self) -> Truth:
        """Return what the switch has noted by now."""
        with self._lock:
            if self._truth_file.exists():
                with self._truth_file.open("rb") as file:
                    file.seek(self._read)
                    text = file.read()
                # A line that is being written is read next time.
                whole = text[: text.rfind(b"\n") + 1]
                self._read += len(whole)
                self.truth.take(map(orjson.loads, whole.splitlines()))
            return self.truth

    def are_calls_over(self) -> bool:
        """Tell whether no call is up; one that stays on longer than any should is hung up."""
        oldest = (time.time() - _LONGEST_CALL) * 1e6
        alive = self.look().alive
        for fate in alive:
            if fate.begun_at < oldest:
                self._hang_up(fate.call_id)
        self._hang_up_what_is_due()
        return not alive

    def _run(self) -> None:
        with ThreadPoolExecutor(_CLICKS) as pool:
            while not self._stopping.wait(_TURN_SECONDS):
                self._clicking = {click for click in self._clicking if not click.done()}
                if len(self._clicking) < _CLICKS and self._in_flight() < self._calls:
                    self._clicking.add(pool.submit(self._click, self._choose()))
                self._hang_up_what_is_due()

    def _in_flight(self) -> int:
        truth = self.look()
        lately = time.monotonic() - _PROMISED_SECONDS
        promised = sum(
            call_id not in truth.fates and at > lately
            for call_id, at in list(self.accepted.items())
        )
        return len(truth.alive) + promised + len(self._clicking)

    def _choose(self) -> Kind:
        (kind,) = self._random.choices(_KINDS, _WEIGHTS)
        return kind

    def _click(self, kind: Kind) -> None:
        """Ask for one call, as a CRM that waits for the switch or as one that does not."""
        agent = kind.agent or self._random.choice(self._agents)
        crm = self._crm()
        ask = self._random.choice((crm.click, crm.order))
        try:
            answer = ask(agent, kind.number)
            call_id, said = answer.call_id, str(answer.status)
        except (OSError, HTTPException) as error:
            call_id, said = None, type(error).__name__
            crm.close()
        if call_id is None:
            self.refused[said] += 1
            self._stopping.wait(0.2)  # A person, too, takes a moment before the next click.
            return
        self.accepted[call_id] = time.monotonic()
        if kind.hung_up:
            due = time.monotonic() + self._random.uniform(2, 10)
            heapq.heappush(self._to_hang_up, (due, call_id))

    def _crm(self) -> Crm:
        if not hasattr(self._crms, "crm"):
            self._crms.crm = Crm(self._settings)
        crm: Crm = self._crms.crm
        return crm

    def _hang_up_what_is_due(self) -> None:
        while self._to_hang_up and self._to_hang_up[0][0] < time.monotonic():
            _, call_id = heapq.heappop(self._to_hang_up)
            self._hang_up(call_id)

    def _hang_up(self, call_id: str) -> None:
        """Hang a call up, if the switch has it; what stays on is hung up in the end."""
        with contextlib.suppress(SwitchAway, OSError), connect(self._switch, timeout=1) as link:
            link.sendall(f"api uuid_kill {call_id}\n\n".encode())
            link.recv(4096)
