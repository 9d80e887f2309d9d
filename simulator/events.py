"""Events: their headers, in the order of the wire, and each serialised form made once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from simulator.frames import event_frame, url_encode

Headers = Mapping[str, str]


class Event:
    """One event; `parts` are blocks of headers that may repeat a name across blocks."""

    __slots__ = ("_frames", "body", "name", "parts", "subclass")

    def __init__(
        self, name: str, parts: tuple[Headers, ...], body: str = "", subclass: str = ""
    ) -> None:
        self.name = name
        self.parts = parts
        self.body = body
        self.subclass = subclass
        self._frames: dict[str, bytes] = {}

    def get(self, header: str) -> str | None:
        """Give the value of a header, the first one if it stands twice."""
        for part in self.parts:
            value = part.get(header)
            if value is not None:
                return value
        return None

    def frame(self, kind: str) -> bytes:
        """Give the frame in the asked format."""
        found = self._frames.get(kind)
        if found is None:
            body = self._plain() if kind == "plain" else self._json()
            found = self._frames[kind] = event_frame(kind, body)
        return found

    def _json(self) -> bytes:
        parts = [part for part in self.parts if part]
        if self.body:
            size = str(len(self.body.encode()))
            parts.append({"Content-Length": size, "_body": self.body})
        # Joined and not merged: HANGUP_COMPLETE carries its Hangup-Cause twice.
        return b"{" + b",".join(orjson.dumps(part)[1:-1] for part in parts) + b"}"

    def _plain(self) -> bytes:
        return as_plain(self).encode()


def as_plain(event: Event, *, encode: bool = True) -> str:
    """Give the event as text, one header a line, values URL-encoded or else in brackets."""
    lines = [
        f"{name}: {url_encode(value) if encode else f'[{value}]'}\n"
        for part in event.parts
        for name, value in part.items()
    ]
    if event.body:
        lines.append(f"Content-Length: {len(event.body.encode())}\n\n{event.body}")
    else:
        lines.append("\n")
    return "".join(lines)


def now() -> int:
    """Give the microseconds since the epoch."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in FreeSWITCH's source an event is made; some clients log it."""

    file: str
    function: str
    line: int


class Stamps:
    """Numbers and dates the events of one run of a switch."""

    def __init__(self, switchname: str) -> None:
        self.core_uuid = str(uuid.uuid4())
        self.switchname = switchname
        self.sequence = 0
        self.started = now()
        self._second = 0
        self._dates = ("", "")

    def skip(self) -> None:
        """Count an event that nobody asked for."""
        self.sequence += 1

    def standard(self, name: str, origin: Origin) -> dict[str, str]:
        """Give the headers with which every event begins, under the next number."""
        self.sequence += 1
        micros = now()
        local, gmt = self._dates_of(micros // 1_000_000)
        return {
            "Event-Name": name,
            "Core-UUID": self.core_uuid,
            "FreeSWITCH-Hostname": self.switchname,
            "FreeSWITCH-Switchname": self.switchname,
            "FreeSWITCH-IPv4": "127.0.0.1",
            "FreeSWITCH-IPv6": "::1",
            "Event-Date-Local": local,
            "Event-Date-GMT": gmt,
            "Event-Date-Timestamp": str(micros),
            "Event-Calling-File": origin.file,
            "Event-Calling-Function": origin.function,
            "Event-Calling-Line-Number": str(origin.line),
            "Event-Sequence": str(self.sequence),
        }

    def _dates_of(self, second: int) -> tuple[str, str]:
        if second != self._second:
            self._second = second
            self._dates = (
                local_stamp(second),
                time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second)),
            )
        return self._dates


def local_stamp(second: int) -> str:
    """Give the switch's local time as its stamps show it, without a zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
