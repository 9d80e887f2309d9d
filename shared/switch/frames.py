"""The event socket's framing, without a socket: bytes in, frames out.

A frame is a block of `Name: value` lines, an empty line, and `Content-Length` bytes of body
where that header stands (FreeSWITCH, mod_event_socket).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

_LONGEST_HEADERS = 1 << 20
_LONGEST_BODY = 16 << 20  # what FreeSWITCH itself takes


class BadFrame(Exception):
    """The stream is not what an event socket sends; nothing after it can be trusted."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One block from the switch."""

    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """The frame's `Content-Type`."""
        return self.headers.get("Content-Type", "")

    @property
    def reply(self) -> str:
        """What the switch answered to a command."""
        return self.headers.get("Reply-Text", "")


class FrameReader:
    """Cuts a stream of bytes into frames, wherever the network cut it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._headers: dict[str, str] | None = None
        self._missing = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Return the frames that are whole now; raise `BadFrame` where the stream is broken."""
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        if self._headers is None:
            end = self._buffer.find(b"\n\n")
            if end < 0:
                if len(self._buffer) > _LONGEST_HEADERS:
                    raise BadFrame("no end of headers in sight")
                return None
            self._headers = _parse(bytes(self._buffer[:end]))
            del self._buffer[: end + 2]
            self._missing = _length(self._headers)
        if len(self._buffer) < self._missing:
            return None
        frame = Frame(self._headers, bytes(self._buffer[: self._missing]))
        del self._buffer[: self._missing]
        self._headers = None
        return frame


def _parse(block: bytes) -> dict[str, str]:
    headers = {}
    for line in block.decode("utf-8", "replace").strip("\r\n").split("\n"):
        name, separator, value = line.rstrip("\r").partition(": ")
        if not separator:
            raise BadFrame(f"not a header: {line[:60]!r}")
        headers[name] = unquote(value)
    return headers


def _length(headers: dict[str, str]) -> int:
    text = headers.get("Content-Length", "0")
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(_LONGEST_BODY))
    if not is_number or int(text) > _LONGEST_BODY:
        raise BadFrame(f"Content-Length is {text[:20]!r}")
    return int(text)
