"""Carries out the directory's commands, and hears who is registered."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID, uuid5

import orjson
import structlog
from sqlalchemy import Connection, Engine

from services.directory import store
from services.directory.store import Registration
from services.directory.users import owner
from shared.broker import topology
from shared.broker.events import message_of
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
from shared.messages.events import Event
from shared.messages.replies import Refused
from shared.messages.users import NewUser, UserFields
from shared.vault import CannotOpen, Vault

_RANDOM_BYTES = 15  # 20 characters, 120 bits
_CONFIRM_SECONDS = 20.0
_MOST_NAMED = 8
_REMEMBERED = timedelta(days=7)
_SOURCE = "/service/directory"
_SECRETS = {"password", "voicemail_password"}

log = structlog.get_logger(__name__)

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Users:
    """Everything that carrying out a command takes.

    What was done is kept with it, told after it was committed and before the command is acked. A
    command that comes again finds its work done, tells it under the same ids, is answered alike.
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

        def create(connection: Connection) -> _Done:
            keys, (answer,) = self._create(connection, [command], ordered.id)
            return _Done(answer, "created", keys)

        return self._carry_out(ordered.id, create)

    def create_many(self, ordered: Ordered) -> Mapping[str, Any]:
        """Create all users of a list or none."""
        command = ordered.command
        assert isinstance(command, CreateUsers)  # noqa: S101  (the table says so)
        users = command.users

        def create(connection: Connection) -> _Done:
            keys, answers = self._create(connection, users, ordered.id)
            return _Done({"users": answers}, "created", keys)

        return self._carry_out(ordered.id, create)

    def update(self, ordered: Ordered) -> Mapping[str, Any]:
        """Change what is said of a user."""
        command = ordered.command
        assert isinstance(command, UpdateUser)  # noqa: S101  (the table says so)
        key = self._key(command)

        def update(connection: Connection) -> _Done:
            row = store.lock(connection, *key)
            if row is None:
                raise _no_user(key)
            values, made = self._changes(command, key)
            store.change(connection, *key, values | {"changed_at": datetime.now(UTC)})
            unregister = not values.get("enabled", row.enabled)
            return _Done(_named(key) | made, "updated", [key], unregister=unregister)

        return self._carry_out(ordered.id, update)

    def delete(self, ordered: Ordered) -> Mapping[str, Any]:
        """Delete a user."""
        command = ordered.command
        assert isinstance(command, DeleteUser)  # noqa: S101  (the table says so)
        key = self._key(command)

        def delete(connection: Connection) -> _Done:
            if not store.remove(connection, *key):
                raise _no_user(key)
            return _Done(_named(key), "deleted", [key], unregister=True)

        return self._carry_out(ordered.id, delete)

    def hear(self, deliveries: Sequence[Delivery]) -> None:
        """Keep what events tell of registrations."""
        told = [one for one in map(_registration, deliveries) if one is not None]
        with reaching():
            store.keep_registrations(self.engine, told)

    def seal_anew(self) -> None:
        """Have everything sealed with the current key, so that older ones may go."""

        def reseal(row: Any) -> dict[str, str] | None:
            whose = owner(row.domain, row.extension)
            try:
                return {
                    name: self.vault.seal(self.vault.open(sealed, whose), whose)
                    for name in _SECRETS
                    if (sealed := getattr(row, name)) is not None
                }
            except CannotOpen as error:
                log.error("password not sealed anew", user=whose, error=str(error))  # noqa: TRY400
                return None

        with reaching():
            done = store.seal_anew(self.engine, self.vault, reseal)
        if done:
            log.info("passwords sealed with the current key", users=done)

    def warn_of_passwordless(self) -> None:
        """Say how many users cannot register, as those that an early version kept."""
        with reaching():
            count = store.without_password(self.engine)
        if count:
            log.warning(
                "users without a password can neither register nor be called:"
                " give them one by PATCH /v1/users/{extension}",
                users=count,
            )

    def forget_commands(self) -> None:
        """Forget commands that nobody repeats any more."""
        with reaching():
            store.forget_commands(self.engine, before=datetime.now(UTC) - _REMEMBERED)

    # -- the parts ---------------------------------------------------------------------------

    def _carry_out(self, by: UUID, work: Callable[[Connection], "_Done"]) -> dict[str, Any]:
        """Do the work once; answer, tell and flush alike however often the command comes."""
        with reaching(), self.engine.begin() as connection:
            before = store.begin(connection, by)
            if before is None:
                done = work(connection)
                store.finish(connection, by, self.vault.seal(done.encode(), str(by)))
            else:
                done = self._before(before, by)
        told = self._told(done, by)
        for one in told:
            one.result(_CONFIRM_SECONDS)
        return done.answer

    def _before(self, kept: str, by: UUID) -> "_Done":
        try:
            return _Done.decode(self.vault.open(kept, str(by)))
        except CannotOpen:
            text = "this command was carried out before; the key of its answer is gone"
            raise Refused("no_answer", text) from None

    def _create(
        self, connection: Connection, users: Sequence[NewUser], by: UUID
    ) -> tuple[list[Key], list[dict[str, Any]]]:
        keys = [self._key(user) for user in users]
        _refuse_doubles(keys)
        now = datetime.now(UTC)
        stamp = {"created_by": by, "created_at": now, "changed_at": now}
        rows, answers = [], []
        for user, key in zip(users, keys, strict=True):
            made = {} if user.password else {"password": secrets.token_urlsafe(_RANDOM_BYTES)}
            rows.append(self._row(user, key, user.password or made["password"]) | stamp)
            answers.append(_named(key) | made)
        try:
            store.create(connection, rows)
        except store.Exists as error:
            raise _exist(keys, error.keys) from None
        return keys, answers

    def _row(self, user: NewUser, key: Key, password: str) -> dict[str, Any]:
        fields = user.model_dump(mode="json", include=set(UserFields.model_fields))
        sealed = {
            "password": self.vault.seal(password, owner(*key)),
            "voicemail_password": self._sealed(user.voicemail_password, key),
        }
        return {"domain": key[0], "extension": key[1], **fields, **sealed}

    def _changes(self, command: UpdateUser, key: Key) -> tuple[dict[str, Any], dict[str, str]]:
        """Return what to write, and the password where we made one."""
        names = command.model_fields_set & set(UserFields.model_fields)
        values = command.model_dump(mode="json", include=names)
        if "voicemail_password" in values:
            values["voicemail_password"] = self._sealed(command.voicemail_password, key)
        made = {"password": secrets.token_urlsafe(_RANDOM_BYTES)} if command.new_password else {}
        password = made.get("password", command.password)
        if password is not None:
            values["password"] = self.vault.seal(password, owner(*key))
        return values, made

    def _sealed(self, secret: str | None, key: Key) -> str | None:
        return None if secret is None else self.vault.seal(secret, owner(*key))

    def _key(self, user: NewUser | UpdateUser | DeleteUser) -> Key:
        return ((user.domain or self.domain).lower(), user.extension)

    def _told(self, done: "_Done", by: UUID) -> list["Future[None]"]:
        """Publish what was done, and have switches forget who changed."""
        at = int(datetime.now(UTC).timestamp() * 1_000_000)
        told = [self.publish(_changed(key, done.change, by=by, at=at)) for key in done.keys]
        if done.change != "created":
            told += [self.publish(_flush(key, by, unregister=done.unregister)) for key in done.keys]
        return told


@dataclass(frozen=True, slots=True)
class _Done:
    """What a command did: its answer, and what follows from it."""

    answer: dict[str, Any]
    change: str
    keys: Sequence[Key]
    unregister: bool = False

    def encode(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        kept = orjson.loads(text)
        return cls(**{**kept, "keys": [(domain, extension) for domain, extension in kept["keys"]]})


def _named(key: Key) -> dict[str, Any]:
    return {"extension": key[1], "domain": key[0]}


def _changed(key: Key, change: str, *, by: UUID, at: int) -> Message:
    event = Event(
        type="user.changed",
        source=_SOURCE,
        subject=owner(*key),
        at=at,
        fact=f"{change}/{by}",
        data={**_named(key), "change": change},
    )
    return message_of(event)


def _flush(key: Key, by: UUID, *, unregister: bool) -> Message:
    command = FlushUser(extension=key[1], domain=key[0], unregister=unregister)
    return Message(
        exchange=topology.COMMANDS,
        routing_key=command.NAME,
        body=command.encode(),
        type=command.NAME,
        message_id=str(uuid5(by, command.NAME)),
    )


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
