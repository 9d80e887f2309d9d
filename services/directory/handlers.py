"""Carries out the directory's commands, and hears who is registered."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import orjson
import structlog
from sqlalchemy import Engine

from services.directory import store
from services.directory.store import Registration
from services.directory.users import owner
from services.directory.vault import Vault
from shared.broker import topology
from shared.broker.message import Delivery, Message
from shared.database.engine import reaching
from shared.messages.commands import (
    Command,
    CreateUser,
    CreateUsers,
    DeleteUser,
    FlushUser,
    Ordered,
    UpdateUser,
)
from shared.messages.events import CONTENT_TYPE, Event
from shared.messages.replies import Refused
from shared.messages.users import NewUser, UserFields

_RANDOM_BYTES = 15  # 20 characters, 120 bits
_CONFIRM_SECONDS = 20.0
_MOST_NAMED = 8
_SOURCE = "/service/directory"
_SECRETS = {"password", "voicemail_password"}

log = structlog.get_logger(__name__)

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Users:
    """Everything that carrying out a command takes.

    What was done is told after it was committed and before the command is acked: who dies in
    between is given the command again, finds its work done, and tells it under the same ids.
    """

    engine: Engine
    domain: str
    vault: Vault
    publish: Callable[[Message], "Future[None]"]

    @property
    def handlers(self) -> Mapping[type[Command], Callable[[Ordered], Mapping[str, Any]]]:
        """The table: which command is carried out by what."""
        return {
            CreateUser: self.create,
            CreateUsers: self.create_many,
            UpdateUser: self.update,
            DeleteUser: self.delete,
        }

    def create(self, ordered: Ordered) -> Mapping[str, Any]:
        """Create a user; a password that we make is in the answer, and nowhere else."""
        command = ordered.command
        assert isinstance(command, CreateUser)  # noqa: S101  (the table says so)
        (created,) = self._create([command], ordered.id)
        return created

    def create_many(self, ordered: Ordered) -> Mapping[str, Any]:
        """Create all users of a list or none."""
        command = ordered.command
        assert isinstance(command, CreateUsers)  # noqa: S101  (the table says so)
        return {"users": self._create(command.users, ordered.id)}

    def update(self, ordered: Ordered) -> Mapping[str, Any]:
        """Change what is said of a user."""
        command = ordered.command
        assert isinstance(command, UpdateUser)  # noqa: S101  (the table says so)
        key = self._key(command)
        with reaching(), self.engine.begin() as connection:
            row = store.lock(connection, *key)
            if row is None:
                raise _no_user(key)
            sealed, enabled = row.password, row.enabled
            if row.changed_by != ordered.id:
                values = self._changes(command, key)
                sealed, enabled = values.get("password", sealed), values.get("enabled", enabled)
                stamp = {"changed_by": ordered.id, "changed_at": datetime.now(UTC)}
                store.change(connection, *key, values | stamp)
        self._tell([key], "updated", ordered.id)
        self._flush(key, ordered.id, unregister=not enabled)
        shown = command.new_password and sealed is not None
        made = {"password": self.vault.open(sealed, owner(*key))} if shown else {}
        return {"extension": key[1], "domain": key[0], **made}

    def delete(self, ordered: Ordered) -> Mapping[str, Any]:
        """Delete a user."""
        command = ordered.command
        assert isinstance(command, DeleteUser)  # noqa: S101  (the table says so)
        key = self._key(command)
        with reaching(), self.engine.begin() as connection:
            removed = store.remove(connection, *key)
        # Also where there was none: the first try may have ended between these two steps.
        self._tell([key], "deleted", ordered.id)
        self._flush(key, ordered.id, unregister=True)
        if not removed:
            raise _no_user(key)
        return {"extension": key[1], "domain": key[0]}

    def hear(self, deliveries: Sequence[Delivery]) -> None:
        """Keep what events tell of registrations."""
        told = [one for one in map(_registration, deliveries) if one is not None]
        with reaching():
            store.keep_registrations(self.engine, told)

    def seal_anew(self) -> None:
        """Have everything sealed with the current key, so that older ones may go."""

        def reseal(row: Any) -> dict[str, str]:
            whose = owner(row.domain, row.extension)
            return {
                name: self.vault.seal(self.vault.open(sealed, whose), whose)
                for name in _SECRETS
                if (sealed := getattr(row, name)) is not None
            }

        with reaching():
            done = store.seal_anew(self.engine, self.vault, reseal)
        if done:
            log.info("passwords sealed with the current key", users=done)

    # -- the parts ---------------------------------------------------------------------------

    def _create(self, users: Sequence[NewUser], by: UUID) -> list[dict[str, Any]]:
        keys = [self._key(user) for user in users]
        _refuse_doubles(keys)
        now = datetime.now(UTC)
        stamp = {"created_by": by, "created_at": now, "changed_by": by, "changed_at": now}
        rows = [self._row(user, key) | stamp for user, key in zip(users, keys, strict=True)]
        try:
            with reaching(), self.engine.begin() as connection:
                kept = store.create(connection, rows, by)
        except store.Exists as error:
            raise _exist(keys, error.keys) from None
        self._tell(keys, "created", by)
        created = []
        for user, key, sealed in zip(users, keys, kept, strict=True):
            shown = {}
            if user.password is None and sealed is not None:
                shown["password"] = self.vault.open(sealed, owner(*key))
            created.append({"extension": key[1], "domain": key[0], **shown})
        return created

    def _row(self, user: NewUser, key: Key) -> dict[str, Any]:
        fields = user.model_dump(mode="json", include=set(UserFields.model_fields))
        password = user.password or secrets.token_urlsafe(_RANDOM_BYTES)
        sealed = {
            "password": self.vault.seal(password, owner(*key)),
            "voicemail_password": self._sealed(user.voicemail_password, key),
        }
        return {"domain": key[0], "extension": key[1], **fields, **sealed}

    def _changes(self, command: UpdateUser, key: Key) -> dict[str, Any]:
        names = command.model_fields_set & set(UserFields.model_fields)
        values = command.model_dump(mode="json", include=names)
        if "voicemail_password" in values:
            values["voicemail_password"] = self._sealed(command.voicemail_password, key)
        if command.new_password or command.password is not None:
            password = command.password or secrets.token_urlsafe(_RANDOM_BYTES)
            values["password"] = self.vault.seal(password, owner(*key))
        return values

    def _sealed(self, secret: str | None, key: Key) -> str | None:
        return None if secret is None else self.vault.seal(secret, owner(*key))

    def _key(self, user: NewUser | UpdateUser | DeleteUser) -> Key:
        return ((user.domain or self.domain).lower(), user.extension)

    def _tell(self, keys: Sequence[Key], change: str, by: UUID) -> None:
        at = int(datetime.now(UTC).timestamp() * 1_000_000)
        events = (
            Event(
                type="user.changed",
                source=_SOURCE,
                subject=owner(*key),
                at=at,
                fact=f"{change}/{by}",
                data={"extension": key[1], "domain": key[0], "change": change},
            )
            for key in keys
        )
        confirmed = [
            self.publish(
                Message(
                    exchange=topology.EVENTS,
                    routing_key=event.type,
                    body=event.encode(),
                    type=event.type,
                    message_id=str(event.id),
                    content_type=CONTENT_TYPE,
                )
            )
            for event in events
        ]
        for one in confirmed:
            one.result(_CONFIRM_SECONDS)

    def _flush(self, key: Key, by: UUID, *, unregister: bool) -> None:
        command = FlushUser(extension=key[1], domain=key[0], unregister=unregister)
        self.publish(
            Message(
                exchange=topology.COMMANDS,
                routing_key=command.NAME,
                body=command.encode(),
                type=command.NAME,
                message_id=str(uuid5(by, command.NAME)),
            )
        ).result(_CONFIRM_SECONDS)


def _refuse_doubles(keys: Sequence[Key]) -> None:
    first: dict[Key, int] = {}
    for row, key in enumerate(keys, 1):
        if first.setdefault(key, row) != row:
            text = f"row {row}: extension: {key[1]!r} of {key[0]} is in row {first[key]} already"
            raise Refused("invalid", text)


def _exist(keys: Sequence[Key], there: frozenset[Key]) -> Refused:
    rows = [(row, key) for row, key in enumerate(keys, 1) if key in there]
    told = [
        (f"row {row}: " if len(keys) > 1 else "") + f"extension: {key[1]!r} exists in {key[0]}"
        for row, key in rows[:_MOST_NAMED]
    ]
    if len(rows) > _MOST_NAMED:
        told.append(f"and {len(rows) - _MOST_NAMED} more")
    return Refused("exists", "; ".join(told))


def _no_user(key: Key) -> Refused:
    return Refused("not_found", f"extension: no user {key[1]!r} in {key[0]}")


def _registration(delivery: Delivery) -> Registration | None:
    """Return what an event says of a phone; None where it says nothing of the kind.

    A strange message is not kept: the queue is open to all who may publish events.
    """
    try:
        event = orjson.loads(delivery.body)
        data = event["data"]
        return Registration(
            domain=str(data["domain"])[:253].lower(),
            extension=str(data["extension"])[:255],
            switch=str(data["switch"])[:128],
            registered=event["type"] == "user.registered",
            at=datetime.fromisoformat(event["time"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        log.warning("no registration", id=delivery.message_id, error=repr(error))
        return None
