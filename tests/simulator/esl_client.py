"""A bare ESL client that shows a test every frame as it came."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

DEADLINE_SECONDS = 10.0
PASSWORD = "x"
EventData = dict[str, Any]


class EslClient:
    """One link; events that arrive while a reply is awaited are kept in `events`."""

    def __init__(self, port: int, password: str | None = PASSWORD, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((host, port), DEADLINE_SECONDS)
        self._buffer = b""
        self.events: list[EventData] = []
        self.frames: list[bytes] = []
        self.greeting = self.read_frame()
        if password is not None:
            assert self.command(f"auth {password}").endswith("+OK accepted\n\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, text: str) -> None:
        """Send a command with its blank line."""
        self._socket.sendall(f"{text}\n\n".encode())

    def command(self, text: str) -> str:
        """Send a command and give the frame of its reply."""
        self.send(text)
        while True:
            frame = self.read_frame()
            if not self._keep_event(frame):
                return frame.decode()

    def api(self, text: str) -> str:
        """Run an API command and give its output."""
        return self.command(f"api {text}").partition("\n\n")[2]

    def read_frame(self, seconds: float = DEADLINE_SECONDS) -> bytes:
        """Give the next whole frame; empty when the other side has closed."""
        deadline = time.monotonic() + seconds
        while True:
            head, blank, rest = self._buffer.partition(b"\n\n")
            size = _content_length(head)
            if blank and len(rest) >= size:
                frame = head + blank + rest[:size]
                self._buffer = rest[size:]
                return frame
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return b""
            self._buffer += data

    def wait_for(
        self, wanted: Callable[[EventData], bool], seconds: float = DEADLINE_SECONDS
    ) -> EventData:
        """Give the first event, of those that came or will come, that is wanted."""
        checked = 0
        deadline = time.monotonic() + seconds
        while True:
            for event in self.events[checked:]:
                if wanted(event):
                    return event
            checked = len(self.events)
            frame = self.read_frame(deadline - time.monotonic())
            assert frame, "the link was closed"
            self._keep_event(frame)

    def wait_for_event(self, name: str, leg_uuid: str | None = None) -> EventData:
        """Give the first event of this name, of this leg if one is named."""
        return self.wait_for(
            lambda event: (
                event["Event-Name"] == name
                and (leg_uuid is None or event.get("Unique-ID") == leg_uuid)
            )
        )

    def wait_for_end(self, leg_uuid: str) -> None:
        """Wait for the very last event of a leg."""
        self.wait_for(
            lambda event: (
                event.get("Unique-ID") == leg_uuid
                and event["Event-Name"] == "CHANNEL_STATE"
                and event["Channel-State"] == "CS_DESTROY"
            )
        )

    def wait_for_job(self, job_uuid: str) -> str:
        """Give the output of a background job."""
        event = self.wait_for(lambda event: event.get("Job-UUID") == job_uuid)
        return str(event["_body"])

    def _keep_event(self, frame: bytes) -> bool:
        head, _, body = frame.partition(b"\n\n")
        if b"text/event-json" not in head:
            return False
        self.frames.append(frame)
        self.events.append(json.loads(body))
        return True


def _content_length(head: bytes) -> int:
    for line in head.split(b"\n"):
        if line.startswith(b"Content-Length: "):
            return int(line[16:])
    return 0
