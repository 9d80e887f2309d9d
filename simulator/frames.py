"""The bytes of ESL: frames out, commands in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_UNSAFE = re.compile(rb"%(?![0-9A-F]{2})|[^!$'()*,\-./0-9A-Z_a-z~%]")

AUTH_REQUEST = b"Content-Type: auth/request\n\n"
GOODBYE = b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
SHUTDOWN = b"The system is being shut down.\n"


def _escape(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match.group()[0]


def url_encode(text: str) -> str:
    """Encode as switch_url_encode does: what already looks like %XX is left alone."""
    data = text.encode("utf-8", "surrogateescape")
    return _UNSAFE.sub(_escape, data).decode("ascii")


def reply(text: str, **headers: str) -> bytes:
    """Give the frame that answers a command."""
    lines = [f"Reply-Text: {text}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("Content-Type: command/reply\n" + "\n".join(lines) + "\n\n").encode()


def api_response(text: str) -> bytes:
    """Give the frame with the output of an API command."""
    body = (text or "-ERR no reply\n").encode()
    return b"Content-Type: api/response\nContent-Length: %d\n\n%b" % (len(body), body)


def disconnect_notice(body: bytes = GOODBYE) -> bytes:
    """Give the last frame that a link gets."""
    return b"Content-Type: text/disconnect-notice\nContent-Length: %d\n\n%b" % (len(body), body)


def event_frame(kind: str, body: bytes) -> bytes:
    """Give the frame around a serialised event; its length stands before its type."""
    return b"Content-Length: %d\nContent-Type: text/event-%b\n\n%b" % (
        len(body),
        kind.encode(),
        body,
    )


@dataclass(slots=True)
class Command:
    """One command of a client: its line, further headers, and a body if it announced one."""

    line: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""

    @property
    def word(self) -> str:
        """The command's name in lower case."""
        return self.line.split(" ", 1)[0].lower()

    @property
    def rest(self) -> str:
        """What follows the command's name."""
        return self.line.partition(" ")[2].strip()


def parse_command(lines: list[str]) -> Command:
    """Read the lines of one block: the command, then `Name: value`."""
    command = Command(lines[0].strip())
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            command.headers[name.strip()] = value.strip()
    return command
