"""Replies to commands that asked for one (`reply_to`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(eq=False)
class Refused(Exception):
    """The command was not carried out, and will not be.

    `code` is for programs and never changes its meaning; `message` is for people.
    """

    code: str
    message: str

    def __str__(self) -> str:
        return self.message


def accepted(data: Mapping[str, Any]) -> bytes:
    """Return the reply to a command that was carried out."""
    return orjson.dumps({"ok": True, "data": data})


def refused(refusal: Refused) -> bytes:
    """Return the reply to a command that was not carried out."""
    error = {"code": refusal.code, "message": refusal.message}
    return orjson.dumps({"ok": False, "error": error})


def read(body: bytes) -> dict[str, Any]:
    """Return what a reply says; raise `Refused` where the command was refused."""
    reply = orjson.loads(body)
    if reply["ok"]:
        data: dict[str, Any] = reply["data"]
        return data
    raise Refused(reply["error"]["code"], reply["error"]["message"])
