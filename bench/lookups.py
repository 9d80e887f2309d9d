"""How fast phones are looked up when all of them register at once."""

import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_hex
from statistics import median
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

from bench.stacks import directory
from bench.table import Row, number, percentile, spread
from bench.waiting import BenchError, until
from deploy.local.instances import Postgres, Rabbit, start_all
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import ROOT
from deploy.local.stack import migrate
from services.directory.handlers import Users
from services.directory.settings import DirectorySettings
from shared.broker.connection import Broker
from shared.database.engine import open_engine
from shared.messages.commands import CreateUsers, Ordered
from shared.messages.users import NewUser
from shared.vault import Vault
from tests import recordings

USERS = 10_000
GOAL_OF_CONSTANT = 0.6
GOAL_MS = 20.0
DOMAIN = "test.local"
_AT_ONCE = 16
_PACED_SECONDS = 10
_READY_SECONDS = 60
_FIRST = 10_000_000


CONSTANT = "<document/>" + " " * 1200  # as long as a user's


@dataclass(slots=True)
class Contender:
    """A program that answers lookups, and its figures so far."""

    name: str
    command: Sequence[str]
    port: int = field(default_factory=free_port)
    rates: list[float] = field(default_factory=list)

    @property
    def bind(self) -> str:
        """Where it listens."""
        return f"{LOOPBACK}:{self.port}"


def run(rounds: int) -> list[Row]:
    """Measure, telling each round as it is done."""
    print(f"lookups: {rounds} rounds of a storm of {USERS:,} registrations, {_AT_ONCE} at once")
    product = Contender("the directory", ["services.directory"])
    constant = Contender("constant answer", ["bench.peers.lookup", "constant"])
    uncached = Contender("without its memory", ["bench.peers.lookup", "uncached"])
    contenders = [product, constant, uncached]
    with directory() as made, servers(made) as environment:
        _create_users(environment)
        requests = _requests(environment)
        late = []
        for rank in range(rounds):
            turn = rank % len(contenders)
            for contender in contenders[turn:] + contenders[:turn]:
                with started(contender, environment, made / "contender.log"):
                    _storm(contender.port, requests)  # as a service that has run for a while
                    rate = len(requests) / _storm(contender.port, requests)
                    contender.rates.append(rate)
                    said = f"  round {rank + 1}: {contender.name}: {number(rate)} lookups/s"
                    if contender is product:
                        late.append(_paced(contender.port, requests, rate / 2))
                        said += f"; at half of that p99 {number(percentile(late[-1], 0.99))} ms"
                    print(said)
    return _rows(product, constant, uncached, late)


@contextmanager
def servers(made: Path) -> Iterator[dict[str, str]]:
    """Give the environment of a directory, with all that it needs."""
    rabbit, postgres = Rabbit(made / "rabbitmq"), Postgres(made / "postgresql")
    try:
        start_all([rabbit, postgres])
        migrate(postgres.url)
        environment = {
            "VOICE_AMQP_URL": rabbit.url,
            "VOICE_DATABASE_URL": postgres.url,
            "VOICE_DOMAIN": DOMAIN,
            "VOICE_SWITCH_USER": "switch",
            "VOICE_SWITCH_PASSWORD": token_hex(16),
            "VOICE_PASSWORD_KEYS": f"bench={token_hex(32)}",
        }
        yield environment
    finally:
        rabbit.remove()
        postgres.remove()


@contextmanager
def users(environment: Mapping[str, str]) -> Iterator[Users]:
    """Give what creates users."""
    given = {name.removeprefix("VOICE_").lower(): value for name, value in environment.items()}
    settings = DirectorySettings.model_validate(given)
    broker = Broker(environment["VOICE_AMQP_URL"], name="bench")
    broker.start()
    if not broker.wait_connected(_READY_SECONDS):
        raise BenchError("RabbitMQ is not there")
    engine = open_engine(environment["VOICE_DATABASE_URL"])
    yield Users(engine, DOMAIN, Vault(settings.keys), broker.publish)
    engine.dispose()
    broker.stop()


def _create_users(environment: Mapping[str, str]) -> None:
    extensions = (NewUser(extension=f"{_FIRST + number}") for number in range(USERS))
    with users(environment) as handlers:
        handlers.create_many(Ordered(uuid4(), CreateUsers(users=tuple(extensions))))


def _requests(environment: Mapping[str, str]) -> list[bytes]:
    """Return the lookup of each user's registration."""
    return [request(environment, f"{_FIRST + rank}") for rank in range(USERS)]


def request(environment: Mapping[str, str], user: str) -> bytes:
    """Return the lookup of a registration, as a real switch posted one."""
    (recorded, *_) = recordings.posts("s14", "directory")
    form = dict(parse_qsl(recorded["body"]))
    credentials = f"{environment['VOICE_SWITCH_USER']}:{environment['VOICE_SWITCH_PASSWORD']}"
    head = (
        "POST /directory HTTP/1.1\r\nHost: directory\r\nUser-Agent: freeswitch-xml/1.0\r\n"
        f"Authorization: Basic {base64.b64encode(credentials.encode()).decode()}\r\n"
        "Accept: */*\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    )
    said = {name: user for name, value in form.items() if value == "1001"}
    body = urlencode(form | said)
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@contextmanager
def started(
    contender: Contender, environment: Mapping[str, str], log: Path, *, constant: str = CONSTANT
) -> Iterator[None]:
    """Have a contender serve; `constant` is what the one of this name answers."""
    ours = {"VOICE_DIRECTORY_BIND": contender.bind, "BENCH_DOCUMENT": constant}
    bind = [contender.bind] if len(contender.command) > 1 else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *contender.command, *bind],
            cwd=ROOT,
            env={**os.environ, **environment, **ours},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        ready = partial(_is_ready, contender.port)
        until(ready, f"{contender.name} answers", seconds=_READY_SECONDS, pause=0.1)
        yield
    except BenchError as error:
        tail = log.read_text(errors="replace")[-1500:]
        raise BenchError(f"{error}; the end of the log of {contender.name}:\n{tail}") from error
    finally:
        process.terminate()
        process.wait(15)


def _is_ready(port: int) -> bool:
    try:
        return b" 200 " in ask(port, b"GET /readyz HTTP/1.1\r\nHost: directory\r\n\r\n")[:20]
    except OSError:
        return False


def ask(port: int, request: bytes) -> bytes:
    """Return the answer, on a connection of its own as mod_xml_curl makes one for each lookup."""
    with socket.create_connection((LOOPBACK, port), timeout=10) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(request)
        answer = b""
        while True:
            head, blank, body = answer.partition(b"\r\n\r\n")
            if blank:
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                if len(body) >= int(length):
                    return answer
            data = link.recv(65536)
            if not data:
                raise BenchError(f"an answer was cut off: {answer[:200]!r}")
            answer += data


def _lookup(port: int, request: bytes) -> None:
    answer = ask(port, request)
    if b" 200 " not in answer[:20] or b"<document" not in answer:
        raise BenchError(f"a lookup was answered {answer[:300]!r}")


def _storm(port: int, requests: Sequence[bytes]) -> float:
    """Return the seconds that all these lookups take."""
    began = time.perf_counter()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(partial(_lookup, port), requests):
            pass
    return time.perf_counter() - began


def _paced(port: int, requests: Sequence[bytes], rate: float) -> list[float]:
    """Return how late each answer came, in milliseconds, at so many lookups a second."""
    began = time.perf_counter() + 0.1

    def at_its_time(rank: int) -> float:
        due = began + rank / rate
        time.sleep(max(0, due - time.perf_counter()))
        _lookup(port, requests[rank % len(requests)])
        return (time.perf_counter() - due) * 1000

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(at_its_time, range(int(rate * _PACED_SECONDS))))


def _rows(
    product: Contender, constant: Contender, uncached: Contender, late: list[list[float]]
) -> list[Row]:
    ratios = [mine / limit for mine, limit in zip(product.rates, constant.rates, strict=True)]
    faster = [mine / slow for mine, slow in zip(product.rates, uncached.rates, strict=True)]
    p99 = [percentile(one, 0.99) for one in late]
    rate = f"{spread(product.rates)}/s"
    return [
        Row(
            what=f"REGISTER lookups a second, a storm of {USERS:,}",
            measured=rate,
            beside=f"a constant answer on the same server: {spread(constant.rates)}/s",
            compared=f"{spread(ratios)} x",
            goal=f"at least {GOAL_OF_CONSTANT} x",
            met=median(ratios) >= GOAL_OF_CONSTANT,
        ),
        Row(
            what=f"REGISTER lookups a second, a storm of {USERS:,}",
            measured=rate,
            beside=f"the same without memory of users: {spread(uncached.rates)}/s",
            compared=f"{spread(faster)} x",
        ),
        Row(
            what="a lookup at half of that rate, p99",
            measured=spread(p99, " ms"),
            beside=f"p50 {spread([percentile(one, 0.5) for one in late], ' ms')}",
            goal=f"under {GOAL_MS:g} ms",
            met=median(p99) < GOAL_MS,
        ),
    ]
