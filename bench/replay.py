"""A switch that only talks: it sends a stream as fast as it is read, from a process of its own."""

import contextlib
import multiprocessing
import secrets
import socket
import time
from multiprocessing.connection import Connection, wait
from typing import Self

import orjson

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
    with link, contextlib.suppress(ConnectionError, EOFError):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(b"Content-Type: auth/request\n\n")
        _Reader(parent, link, password, calls).serve()


class _Reader:
    """One reader's link: its commands are answered until it leaves, its stream is sent at `go`."""

    def __init__(self, parent: Connection, link: socket.socket, password: str, calls: int) -> None:
        self._parent = parent
        self._link = link
        self._password = password
        self._calls = calls
        self._chunks: list[bytes] = []
        self._core = b""

    def serve(self) -> None:
        buffer = b""
        while True:
            ready = wait([self._parent, self._link])
            if self._parent in ready:
                self._send_stream()
            if self._link not in ready:
                continue
            data = self._link.recv(4096)
            if not data:
                break
            *commands, buffer = (buffer + data).split(b"\n\n")
            for command in commands:
                self._take(command.decode())

    def _take(self, command: str) -> None:
        verb, *words = command.split()
        if verb == "event":
            self._subscribe(*words)
        elif verb == "api":
            self._answer(" ".join(words))
        elif verb == "auth" and words != [self._password]:
            self._reply("-ERR invalid")
        else:
            self._reply("+OK accepted" if verb == "auth" else "+OK")

    def _subscribe(self, form: str, *names: str) -> None:
        events = stream(frozenset(names), self._calls)
        self._core = orjson.loads(events[0])["Core-UUID"].encode()
        self._chunks = _chunks([_ENCODERS[form](event) for event in events])
        self._reply(f"+OK event listener enabled {form}")
        self._parent.send(len(events))

    def _send_stream(self) -> None:
        self._parent.recv()
        self._parent.send(time.monotonic())
        for chunk in self._chunks:
            self._link.sendall(chunk)

    def _answer(self, command: str) -> None:
        """Say what a switch says on which nothing goes on."""
        if command == "global_getvar core_uuid":
            body = self._core
        elif command.endswith(" as json"):
            body = b'{"row_count":0}'
        else:
            body = b"+OK"
        head = b"Content-Type: api/response\nContent-Length: %d\n\n" % len(body)
        self._link.sendall(head + body)

    def _reply(self, text: str) -> None:
        self._link.sendall(f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode())


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
