"""Programs that answer posts, and the posts: as many as go, or at their time."""

import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.waiting import BenchError, until
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import ROOT

AT_ONCE = 16
PACED_SECONDS = 10
READY_SECONDS = 60


@dataclass(slots=True)
class Contender:
    """A program that answers posts, and its figures so far.

    `command` is what Python runs; `{bind}` in it stands for where to listen.
    """

    name: str
    command: Sequence[str]
    port: int = field(default_factory=free_port)
    rates: list[float] = field(default_factory=list)

    @property
    def bind(self) -> str:
        """Where it listens."""
        return f"{LOOPBACK}:{self.port}"

    @contextmanager
    def serving(self, environment: Mapping[str, str], log: Path) -> Iterator[None]:
        """Have it serve, with this environment added to ours."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *(part.format(bind=self.bind) for part in self.command)],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            ready = partial(_is_ready, self.port)
            until(ready, f"{self.name} answers", seconds=READY_SECONDS, pause=0.1)
            yield
        except BenchError as error:
            tail = log.read_text(errors="replace")[-1500:]
            raise BenchError(f"{error}; the end of the log of {self.name}:\n{tail}") from error
        finally:
            process.terminate()
            process.wait(15)


def _is_ready(port: int) -> bool:
    try:
        return b" 200 " in ask(port, b"GET /readyz HTTP/1.1\r\nHost: bench\r\n\r\n")[:20]
    except (OSError, BenchError):
        return False


def post(path: str, body: bytes, *, kind: str, agent: str, environment: Mapping[str, str]) -> bytes:
    """Return a switch's post, with the credentials that the environment names."""
    credentials = f"{environment['VOICE_SWITCH_USER']}:{environment['VOICE_SWITCH_PASSWORD']}"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nUser-Agent: {agent}\r\n"
        f"Authorization: Basic {base64.b64encode(credentials.encode()).decode()}\r\n"
        f"Accept: */*\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def ask(port: int, request: bytes) -> bytes:
    """Return the answer, on a connection of its own: a switch makes one for each post."""
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


def storm(do: Callable[[bytes], None], requests: Sequence[bytes]) -> float:
    """Return how many of these requests are done a second, so many at once."""
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(do, requests):
            pass
    return len(requests) / (time.perf_counter() - began)


def paced(
    do: Callable[[bytes], None], requests: Sequence[bytes], rate: float, *, at_once: int = AT_ONCE
) -> list[float]:
    """Return how late each was done after it was due, in milliseconds, at so many a second."""
    began = time.perf_counter() + 0.1

    def at_its_time(rank: int) -> float:
        due = began + rank / rate
        time.sleep(max(0, due - time.perf_counter()))
        do(requests[rank])
        return (time.perf_counter() - due) * 1000

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(at_its_time, range(len(requests))))
