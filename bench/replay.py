"""A switch that only talks: it sends a stream, from a process of its own."""

import contextlib
import itertools
import multiprocessing
import secrets
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Self

import orjson

from bench.stream import LANES, json_frame, plain_frame, streamed
from bench.waiting import BenchError
from deploy.local.ports import LOOPBACK
from shared.switch.address import SwitchAddress

_CHUNK = 1 << 18
_SUBSCRIBE_SECONDS = 60
_ENCODERS = {"json": json_frame, "plain": plain_frame}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent, and how."""

    calls: int
    lanes: int = LANES
    """How many calls at a time."""
    readers: int = 1
    rate: float | None = None
    """How many events a second; as fast as they are read where it is None."""
    lazily: bool = False
    """Make the stream while it is sent: for one that is longer than memory."""


class Replay:
    """One stream for its readers, sent when `go` says so. The first reader says what it is."""

    def __init__(self, plan: Plan) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ours, self._theirs = spawn.Pipe()
        self._password = secrets.token_hex(8)
        self._process = spawn.Process(
            target=_serve, args=(self._theirs, self._password, plan), daemon=True
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

    def wait_subscribed(self) -> None:
        """Wait until every reader has subscribed."""
        self._told("a subscription")

    def go(self, events: int | None = None) -> float:
        """Have so many events sent, else all that are left.

        Return when that began, on the machine's monotonic clock.
        """
        self._ours.send(events)
        return self._told("the first frame")

    def wait_sent(self, seconds: float) -> float:
        """Wait until what `go` asked for is sent; return when it was.

        Of what is sent, little is not read: sockets hold a thousand events or so.
        """
        return self._told("the last frame", seconds)

    def _told(self, what: str, seconds: float = _SUBSCRIBE_SECONDS) -> float:
        try:
            if self._ours.poll(seconds):
                return float(self._ours.recv())
        except EOFError:
            raise BenchError(f"the replay ended before {what}") from None
        raise BenchError(f"the replay: no {what} within {seconds:g} s")


def _serve(parent: Connection, password: str, plan: Plan) -> None:
    with contextlib.ExitStack() as links:
        server = links.enter_context(socket.create_server((LOOPBACK, 0)))
        parent.send(server.getsockname()[1])
        # A reader that has had enough is none of our business.
        links.enter_context(contextlib.suppress(ConnectionError, EOFError))
        _Switch(parent, server, password, plan, links).serve()


class _Switch:
    """The far end of the readers' links: their commands are answered until they leave."""

    def __init__(
        self,
        parent: Connection,
        server: socket.socket,
        password: str,
        plan: Plan,
        links: contextlib.ExitStack,
    ) -> None:
        self._parent = parent
        self._server = server
        self._password = password
        self._plan = plan
        self._closing = links
        self._said: dict[socket.socket, bytes] = {}  # by each reader, and not a whole command yet
        self._subscribed: list[socket.socket] = []
        self._frames: Iterator[bytes] = iter(())
        self._core = b""

    def serve(self) -> None:
        while True:
            for ready in wait([self._parent, self._server, *self._said]):
                if ready is self._parent:
                    self._send_stream()
                elif ready is self._server:
                    self._greet()
                elif isinstance(ready, socket.socket) and not self._hear(ready):
                    return

    def _greet(self) -> None:
        link, _ = self._server.accept()
        self._closing.enter_context(link)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(b"Content-Type: auth/request\n\n")
        self._said[link] = b""

    def _hear(self, link: socket.socket) -> bool:
        """Take in what a reader says; tell whether it is still there."""
        data = link.recv(4096)
        *commands, self._said[link] = (self._said[link] + data).split(b"\n\n")
        for command in commands:
            self._take(link, command.decode())
        return bool(data)

    def _take(self, link: socket.socket, command: str) -> None:
        verb, *words = command.split()
        if verb == "event":
            self._subscribe(link, *words)
        elif verb == "api":
            self._answer(link, " ".join(words))
        elif verb == "auth" and words != [self._password]:
            _reply(link, "-ERR invalid")
        else:
            _reply(link, "+OK accepted" if verb == "auth" else "+OK")

    def _subscribe(self, link: socket.socket, form: str, *names: str) -> None:
        if not self._subscribed:
            events = streamed(frozenset(names), self._plan.calls, self._plan.lanes)
            first = next(events)
            self._core = orjson.loads(first)["Core-UUID"].encode()
            frames = map(_ENCODERS[form], itertools.chain([first], events))
            self._frames = frames if self._plan.lazily else iter(list(frames))
        _reply(link, f"+OK event listener enabled {form}")
        self._subscribed.append(link)
        if len(self._subscribed) == self._plan.readers:
            self._parent.send(0)

    def _send_stream(self) -> None:
        frames = itertools.islice(self._frames, self._parent.recv())
        if self._plan.rate is None:
            pieces = _chunks(frames)
            pieces = pieces if self._plan.lazily else iter(list(pieces))
        else:
            pieces = _paced(frames, self._plan.rate)
        self._parent.send(time.monotonic())
        for rank, piece in enumerate(pieces):
            # Who is first once is last the next time.
            for link in self._subscribed[:: -1 if rank % 2 else 1]:
                link.sendall(piece)
        self._parent.send(time.monotonic())

    def _answer(self, link: socket.socket, command: str) -> None:
        """Say what a switch says on which nothing goes on."""
        if command == "global_getvar core_uuid":
            body = self._core
        elif command.endswith(" as json"):
            body = b'{"row_count":0}'
        else:
            body = b"+OK"
        head = b"Content-Type: api/response\nContent-Length: %d\n\n" % len(body)
        link.sendall(head + body)


def _reply(link: socket.socket, text: str) -> None:
    link.sendall(f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode())


def _paced(frames: Iterable[bytes], rate: float) -> Iterator[bytes]:
    """Return each frame when it is due."""
    began = time.monotonic()
    for rank, frame in enumerate(frames):
        pause = began + rank / rate - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        yield frame


def _chunks(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Return the frames put together, so that sending them costs next to nothing."""
    waiting, size = [], 0
    for frame in frames:
        waiting.append(frame)
        size += len(frame)
        if size >= _CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
