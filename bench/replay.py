"""A switch that only talks: it sends a stream as fast as it is read, from a process of its own."""

import contextlib
import multiprocessing
import secrets
import socket
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Self

from bench.stream import json_frame, plain_frame, stream
from bench.waiting import BenchError
from deploy.local.ports import LOOPBACK
from shared.switch.address import SwitchAddress

_CHUNK = 1 << 18
_SUBSCRIBE_SECONDS = 60
_ENCODERS = {"json": json_frame, "plain": plain_frame}


class Replay:
    """One stream for one reader. It is sent when `go` says so, not before."""

    def __init__(self, calls: int) -> None:
        self._calls = calls
        spawn = multiprocessing.get_context("spawn")
        self._ours, self._theirs = spawn.Pipe()
        self._password = secrets.token_hex(8)
        self._process = spawn.Process(
            target=_serve, args=(self._theirs, self._password, calls), daemon=True
        )

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._process.terminate()
        self._process.join(10)

    def address(self) -> SwitchAddress:
        """Return where it listens."""
        return SwitchAddress("fs1", LOOPBACK, int(self._told("where it listens")), self._password)

    def wait_subscribed(self) -> int:
        """Wait until the reader has subscribed; return how many events it will get."""
        return int(self._told("a subscription"))

    def go(self) -> float:
        """Have the stream sent; return when that began, on the machine's monotonic clock."""
        self._ours.send("go")
        return float(self._told("the first frame"))

    def _told(self, what: str) -> float:
        try:
            if self._ours.poll(_SUBSCRIBE_SECONDS):
                return float(self._ours.recv())
        except EOFError:
            raise BenchError(f"the replay ended before {what}") from None
        raise BenchError(f"the replay: no {what} within {_SUBSCRIBE_SECONDS} s")


def _serve(parent: Connection, password: str, calls: int) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        parent.send(server.getsockname()[1])
        link, _ = server.accept()
    # A reader that has had enough is none of our business.
    with link, contextlib.suppress(ConnectionError):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(b"Content-Type: auth/request\n\n")
        for command in _commands(link):
            verb, *words = command.split()
            if verb == "event":
                _send_stream(parent, link, words, calls)
            elif verb == "api":
                link.sendall(b"Content-Type: api/response\nContent-Length: 3\n\n+OK")
            elif verb == "auth" and words != [password]:
                _reply(link, "-ERR invalid")
            else:
                _reply(link, "+OK accepted" if verb == "auth" else "+OK")


def _send_stream(parent: Connection, link: socket.socket, words: list[str], calls: int) -> None:
    form, *names = words
    events = stream(frozenset(names), calls)
    chunks = _chunks([_ENCODERS[form](event) for event in events])
    _reply(link, f"+OK event listener enabled {form}")
    parent.send(len(events))
    parent.recv()
    parent.send(time.monotonic())
    for chunk in chunks:
        link.sendall(chunk)


def _chunks(frames: list[bytes]) -> list[bytes]:
    """Return the frames put together, so that sending them costs next to nothing."""
    chunks, waiting, size = [], [], 0
    for frame in frames:
        waiting.append(frame)
        size += len(frame)
        if size >= _CHUNK:
            chunks.append(b"".join(waiting))
            waiting, size = [], 0
    return [*chunks, b"".join(waiting)]


def _commands(link: socket.socket) -> Iterator[str]:
    buffer = b""
    while data := link.recv(4096):
        buffer += data
        while b"\n\n" in buffer:
            command, _, buffer = buffer.partition(b"\n\n")
            yield command.decode()


def _reply(link: socket.socket, text: str) -> None:
    link.sendall(f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode())
