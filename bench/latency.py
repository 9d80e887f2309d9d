"""How much later a CRM is answered than somebody who asks the switch itself."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from bench.crm import Crm
from bench.stacks import product
from bench.table import Row, number, percentile, spread
from bench.waiting import BenchError
from deploy.local.stack import Stack
from services.dialer.plan import Dialling, click_to_call
from shared.messages.commands import OriginateCall
from shared.switch.address import parse_switches
from shared.switch.handshake import connect

PAIRS = 100
GOAL_MS = 10.0
_BUSY = "1486"  # the simulated phone with this ending refuses at once
_NUMBER = "13800138901"
_REST_SECONDS = 0.25  # by then its events are told, and its CDR is in PostgreSQL
_WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Round:
    """The times of one round's pairs, in milliseconds."""

    bare: tuple[float, ...]
    http: tuple[float, ...]

    def added(self, share: float) -> float:
        """Return how much later HTTP answers, at this percentile."""
        return percentile(self.http, share) - percentile(self.bare, share)


def run(rounds: int) -> list[Row]:
    """Measure, telling each round as it is done."""
    print(f"latency: {rounds} rounds of {PAIRS} pairs: bare bgapi, then POST /web/click-on-call/")
    with product() as stack:
        measured = _measure(stack, rounds)
    return [_row(measured, 0.5, GOAL_MS), _row(measured, 0.99, None)]


def _measure(stack: Stack, rounds: int) -> list[Round]:
    settings = stack.settings
    (address,) = parse_switches(settings["VOICE_SWITCHES"])
    crm = Crm(settings)
    crm.create_user(_BUSY)
    dialling = Dialling(
        agent_dial="user/{extension}@{domain}",
        domain=settings["VOICE_DOMAIN"],
        trunks={"carrier": "sofia/gateway/carrier/{number}"},
        agent_ring_seconds=30,
        customer_ring_seconds=60,
    )
    measured = []
    with connect(address, timeout=5) as link:
        link.settimeout(10)
        for _ in range(_WARM_UP):
            _pair(link, crm, dialling)
        for rank in range(1, rounds + 1):
            pairs = [_pair(link, crm, dialling) for _ in range(PAIRS)]
            measured.append(Round(*(tuple(column) for column in zip(*pairs, strict=True))))
            print(f"  round {rank}: {_story(measured[-1])}")
    crm.close()
    return measured


def _pair(link: socket.socket, crm: Crm, dialling: Dialling) -> tuple[float, float]:
    call_id = uuid4()
    command = OriginateCall(
        extension=_BUSY, customer_number=_NUMBER, crm_uuid=uuid4().hex, product_code="C68"
    )
    arguments = click_to_call(call_id, command, dialling)
    order = f"bgapi originate {arguments}\nJob-UUID: {call_id}\n\n".encode()
    bare = _timed(lambda: _bgapi(link, order))
    http = _timed(lambda: _click(crm))
    return bare, http


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    took = time.perf_counter() - began
    time.sleep(_REST_SECONDS)
    return took * 1000


def _bgapi(link: socket.socket, order: bytes) -> None:
    link.sendall(order)
    reply = b""
    while not reply.endswith(b"\n\n"):
        if not (data := link.recv(4096)):
            raise BenchError("the switch closed the link")
        reply += data
    if b"+OK" not in reply:
        raise BenchError(f"bgapi: {reply!r}")


def _click(crm: Crm) -> None:
    answer = crm.click(_BUSY, _NUMBER)
    if answer.call_id is None:
        raise BenchError(f"the click was answered {answer.status}: {answer.text}")


def _story(measured: Round) -> str:
    said = []
    for share in (0.5, 0.99):
        bare, http = percentile(measured.bare, share), percentile(measured.http, share)
        said.append(
            f"p{share * 100:g}: bare {number(bare)} ms, HTTP {number(http)} ms, "
            f"added {number(http - bare)} ms"
        )
    return "; ".join(said)


def _row(measured: list[Round], share: float, goal: float | None) -> Row:
    added = [one.added(share) for one in measured]
    bare = spread([percentile(one.bare, share) for one in measured], " ms")
    return Row(
        what=f"HTTP answer to a click-to-call, p{share * 100:g}",
        measured=spread([percentile(one.http, share) for one in measured], " ms"),
        beside=f"bare `bgapi` reply: {bare}",
        compared=f"{spread(added, ' ms')} added",
        goal="" if goal is None else f"at most {goal:g} ms added",
        met=None if goal is None else percentile(added, 0.5) <= goal,
    )
