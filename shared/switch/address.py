"""Where a switch's event socket is."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

DEFAULT_PORT = 8021


@dataclass(frozen=True, slots=True)
class SwitchAddress:
    """A switch by its name, which in production is the switch's own switchname."""

    name: str
    host: str
    port: int
    password: str = field(repr=False)


def parse_switches(text: str) -> tuple[SwitchAddress, ...]:
    """Return the switches in a comma list of `name=esl://:password@host:port`.

    Raise `ValueError` naming the entry that is wrong, without its password.
    """
    entries = (entry.strip() for entry in text.split(","))
    switches = tuple(_parse(entry, rank) for rank, entry in enumerate(entries, 1) if entry)
    names = [switch.name for switch in switches]
    if len(set(names)) != len(names):
        raise ValueError(f"a switch is named twice: {', '.join(names)}")
    return switches


def _parse(entry: str, rank: int) -> SwitchAddress:
    name, separator, url = entry.partition("=")
    if not separator or not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        # What stands there instead of a name may be the password.
        raise ValueError(f"entry {rank} is not name=esl://:password@host:port")
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise ValueError(f"switch {name}: the port is not a number") from None
    password = unquote(parts.password or "")
    if parts.scheme != "esl" or not parts.hostname or not password:
        raise ValueError(f"switch {name}: the address is not esl://:password@host:port")
    if any(ord(character) < 32 for character in password):  # noqa: PLR2004  (control characters)
        raise ValueError(f"switch {name}: the password holds a control character")
    return SwitchAddress(name, parts.hostname, port, password)
