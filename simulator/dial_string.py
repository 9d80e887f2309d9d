"""Dial strings and the arguments of `originate`, read as FreeSWITCH reads them."""

from __future__ import annotations

from dataclasses import dataclass, field

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "s": " "}
_CLOSING = {"{": "}", "[": "]", "<": ">"}


class MalformedDialString(Exception):
    """Nothing can be dialled: a bracket has no end."""


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint to try, with the variables of its own leg."""

    endpoint: str
    rest: str
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DialString:
    """The variables for all legs, and the endpoints in the order in which they stand."""

    variables: dict[str, str]
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Originate:
    """The arguments of the API command `originate`."""

    call_url: str
    application: str | None
    argument: str
    caller_id_name: str
    caller_id_number: str
    timeout_seconds: float


def separate(text: str, delimiter: str, limit: int = 1000) -> list[str]:
    """Split at the delimiter outside single quotes; the last piece keeps what is over the limit."""
    pieces: list[str] = []
    start = position = 0
    quoted = False
    text = text.strip(" ") if delimiter == " " else text
    while position < len(text):
        char = text[position]
        if char == "\\":
            position += 2
            continue
        if char == "'" and (quoted or "'" in text[position + 1 :]):
            quoted = not quoted
        elif char == delimiter and not quoted:
            if len(pieces) == limit - 1:
                break
            pieces.append(_clean(text[start:position], delimiter))
            while delimiter == " " and text[position + 1 : position + 2] == " ":
                position += 1
            start = position + 1
        position += 1
    if text[start:] or pieces:
        pieces.append(_clean(text[start:], delimiter))
    return pieces


def _clean(piece: str, delimiter: str) -> str:
    """Drop quotes and escapes, and the blanks around; those inside quotes stay."""
    kept: list[str] = []
    end = 0
    quoted = False
    position = len(piece) - len(piece.lstrip(" "))
    while position < len(piece):
        char = piece[position]
        following = piece[position + 1 : position + 2]
        if char == "\\" and following and (following in "'\"\\" + delimiter):
            kept.append(following)
            end = len(kept)
            position += 1
        elif char == "\\" and following in _ESCAPES:
            kept.append(_ESCAPES[following])
            end = len(kept)
            position += 1
        elif char == "'" and (quoted or "'" in piece[position + 1 :]):
            quoted = not quoted
            if quoted:
                end = len(kept)
        else:
            kept.append(char)
            if char != " " or quoted:
                end = len(kept)
        position += 1
    return "".join(kept[:end])


def parse_originate(arguments: str) -> Originate | None:
    """Give the parts of an originate command, or None where FreeSWITCH answers its usage."""
    words = separate(arguments, " ", 7)
    if len(words) < 2 or not words[0]:  # noqa: PLR2004 - what to call, and what to do with it
        return None
    words += ["undef"] * (7 - len(words))
    chosen = [None if word == "undef" else word for word in words]
    application: str | None = None
    argument = words[1]
    if words[1].startswith("&"):
        # FreeSWITCH cuts at the first closing bracket, then at the first opening one.
        application, _, argument = words[1][1:].partition(")")[0].partition("(")
    timeout = chosen[6] or ""
    return Originate(
        call_url=words[0],
        application=application,
        argument=argument,
        caller_id_name=chosen[4] or "",
        caller_id_number=chosen[5] or "0000000000",
        timeout_seconds=float(timeout) if timeout.isdigit() and int(timeout) else 60.0,
    )


def parse_dial_string(text: str) -> DialString:
    """Read the variables and endpoints of a dial string."""
    variables: dict[str, str] = {}
    text = text.strip()
    while text[:1] in {"{", "<"}:
        found, text = _brackets(text)
        variables |= found
    return DialString(variables, tuple(_target(part) for part in _alternatives(text)))


def _target(text: str) -> Target:
    variables: dict[str, str] = {}
    while text[:1] in {"[", "{"}:
        found, text = _brackets(text)
        variables |= found
    endpoint, _, rest = text.partition("/")
    return Target(endpoint, rest, variables)


def _alternatives(text: str) -> list[str]:
    parts: list[str] = []
    depth = start = 0
    for position, char in enumerate(text):
        if char in "[{":
            depth += 1
        elif char in "]}":
            depth -= 1
        elif char in "|," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def _brackets(text: str) -> tuple[dict[str, str], str]:
    """Give the variables of the leading bracket, and what follows it."""
    opening, closing = text[0], _CLOSING[text[0]]
    depth = 0
    for position, char in enumerate(text):
        if char == opening:
            depth += 1
        elif char == closing:
            depth -= 1
            if depth == 0:
                return _variables(text[1:position]), text[position + 1 :].lstrip()
    raise MalformedDialString(text)


def _variables(text: str) -> dict[str, str]:
    delimiter = ","
    if text.startswith("^^") and len(text) > 2:  # noqa: PLR2004 - the sign and its delimiter
        delimiter, text = text[2], text[3:]
    found: dict[str, str] = {}
    for piece in separate(text, delimiter):
        name, equals, value = piece.partition("=")
        # FreeSWITCH refuses a value that names a variable: it would be expanded twice.
        if equals and name and value and "${" not in value:
            found[name.strip()] = value.strip(" ")
    return found
