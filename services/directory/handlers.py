"""Carries out the directory's commands."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import md5
from typing import Any

from sqlalchemy import Engine

from services.directory import store
from shared.database.engine import reaching
from shared.messages.commands import Command, CreateUser, DeleteUser, Ordered
from shared.messages.replies import Refused

_RANDOM_BYTES = 15  # 20 characters, 120 bits


@dataclass(frozen=True, slots=True)
class Users:
    """Everything that carrying out a command takes."""

    engine: Engine
    domain: str

    @property
    def handlers(self) -> Mapping[type[Command], Callable[[Ordered], Mapping[str, Any]]]:
        """The table: which command is carried out by what."""
        return {CreateUser: self.create, DeleteUser: self.delete}

    def create(self, ordered: Ordered) -> Mapping[str, Any]:
        """Create a user; a password that we make is in the answer, and nowhere else."""
        command = ordered.command
        assert isinstance(command, CreateUser)  # noqa: S101  (the table says so)
        domain = (command.domain or self.domain).lower()
        password = command.password or secrets.token_urlsafe(_RANDOM_BYTES)
        with reaching():
            created = store.create(
                self.engine,
                domain,
                command.extension,
                a1_hash=a1_hash(command.extension, domain, password),
                created_by=ordered.id,
            )
        if not created:
            raise Refused("exists", f"extension: {command.extension!r} exists in {domain}")
        made = {} if command.password else {"password": password}
        return {"extension": command.extension, "domain": domain, **made}

    def delete(self, ordered: Ordered) -> Mapping[str, Any]:
        """Delete a user."""
        command = ordered.command
        assert isinstance(command, DeleteUser)  # noqa: S101  (the table says so)
        domain = (command.domain or self.domain).lower()
        with reaching():
            removed = store.remove(self.engine, domain, command.extension)
        if not removed:
            raise Refused("not_found", f"extension: no user {command.extension!r} in {domain}")
        return {"extension": command.extension, "domain": domain}


def a1_hash(extension: str, domain: str, password: str) -> str:
    """Return what digest authentication keeps of a password (RFC 2617, 3.2.2.2).

    MD5 is the protocol's choice, not ours.
    """
    return md5(f"{extension}:{domain}:{password}".encode(), usedforsecurity=False).hexdigest()
