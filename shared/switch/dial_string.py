"""The only way from a value to a switch.

The event socket takes its arguments verbatim: a line break would start a second command, and
FreeSWITCH expands `${...}`, splits at commas, and cuts `&app(...)` at the first `)`. So every
value passes an allow-list on which no character of any syntax stands.
"""

import re
from collections.abc import Mapping

_SAFE = re.compile(r"[A-Za-z0-9_.+@:/*#-]+", re.ASCII)


class UnsafeValue(ValueError):
    """The value holds a character that could end its place in a dial string."""


def safe(value: object) -> str:
    """Return the value as text; raise `UnsafeValue` where it must not reach a switch."""
    text = str(value)
    if not _SAFE.fullmatch(text):
        raise UnsafeValue(f"{text[:40]!r} holds characters that no dial string may")
    return text


def leg(endpoint: str, variables: Mapping[str, object]) -> str:
    """Return `{name=value,…}endpoint`, the dial string of one leg."""
    listed = ",".join(f"{safe(name)}={safe(value)}" for name, value in variables.items())
    return f"{{{listed}}}{safe(endpoint)}"


def fill(template: str, **values: object) -> str:
    """Return a dial template of the settings with its places filled, each value checked.

    Raise `UnsafeValue` for a template that has other places than these.
    """
    try:
        return template.format(**{name: safe(value) for name, value in values.items()})
    except (KeyError, IndexError, ValueError) as error:
        raise UnsafeValue(f"{template!r} is no dial template: {error!r}") from error


def bridge(first: str, second: str) -> str:
    """Return the arguments of `originate` that ring `first` and, once it answers, `second`."""
    return f"{first} &bridge({second})"
