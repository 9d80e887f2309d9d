"""Commands: what the product can be told, by a CRM or by its own gateway.

A value that is not on these allow-lists never reaches a switch, whichever way it came.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Self
from uuid import UUID

import orjson
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from shared.messages.users import (
    MOST_USERS,
    WORD,
    NewUser,
    Password,
    SipDomain,
    UserFields,
    given,
)

_MOST_PROBLEMS = 8

NUMBER = r"^(\+[0-9]{2,14}|[0-9]{3,15})$"

# Python's `$` also matches before a final line break; pydantic's engine, Rust's, does not.
Extension = Annotated[str, StringConstraints(pattern=WORD, max_length=8)]
CrmUuid = Annotated[str, StringConstraints(pattern=WORD, max_length=32)]
ProductCode = Annotated[str, StringConstraints(pattern=WORD, max_length=5)]
Number = Annotated[str, StringConstraints(pattern=NUMBER)]
TrunkName = Annotated[str, StringConstraints(pattern=WORD, max_length=64)]


class Owner(StrEnum):
    """The service that carries a command out."""

    DIALER = "dialer"
    DIRECTORY = "directory"
    CDR = "cdr"


class Command(BaseModel):
    """A wish. It is carried out once, however often it is delivered."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    NAME: ClassVar[str]
    OWNER: ClassVar[Owner]

    def encode(self) -> bytes:
        """Return the body as it goes on the wire."""
        return orjson.dumps(self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def decode(cls, body: bytes) -> "Command":
        """Return the command in a body; raise `ValidationError` where there is none."""
        return cls.model_validate_json(body)


class OriginateCall(Command):
    """Ring the agent's extension, then the customer, and let them talk."""

    NAME = "call.originate"
    OWNER = Owner.DIALER

    extension: Extension
    customer_number: Number
    crm_uuid: CrmUuid
    product_code: ProductCode
    trunk: TrunkName | None = None
    caller_id: Number | None = None


class CreateUser(Command, NewUser):
    """Let a SIP user exist, on every switch, from now on. Without a password we make one."""

    NAME = "user.create"
    OWNER = Owner.DIRECTORY

    def encode(self) -> bytes:
        """Return the body: what was said, and nothing that was left out."""
        return orjson.dumps(given(self))

    @classmethod
    def decode(cls, body: bytes) -> Command:
        """Return the command in a body, which may be about many users."""
        return CreateUsers.decode(body) if _is_about_many(body) else super().decode(body)


class CreateUsers(Command):
    """Let many SIP users exist: all of them, or none."""

    NAME = "user.create"
    OWNER = Owner.DIRECTORY

    users: tuple[NewUser, ...] = Field(min_length=1, max_length=MOST_USERS)

    def encode(self) -> bytes:
        """Return the body: what was said, and nothing that was left out."""
        return orjson.dumps({"users": [given(user) for user in self.users]})


class UpdateUser(Command, UserFields):
    """Change what is said of a SIP user: what is given, null for what it would be by itself.

    `new_password` makes one; `password` sets one.
    """

    NAME = "user.update"
    OWNER = Owner.DIRECTORY

    extension: Extension
    domain: SipDomain | None = None
    password: Password | None = None
    new_password: bool = False

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.new_password and self.password is not None:
            raise ValueError("password and new_password: one of the two")
        return self

    def encode(self) -> bytes:
        """Return the body: what was said, and nothing that was left out."""
        return orjson.dumps(given(self))


class DeleteUser(Command):
    """Let a SIP user exist no longer."""

    NAME = "user.delete"
    OWNER = Owner.DIRECTORY

    extension: Extension
    domain: SipDomain | None = None


class FlushUser(Command):
    """Have every switch forget what it remembers of a user.

    With `unregister` also where the user's phones are: none is called any more until it registers.
    """

    NAME = "user.flush"
    OWNER = Owner.DIALER

    extension: Extension
    domain: SipDomain
    unregister: bool = False


class ForgetCdrs(Command):
    """Forget the records that are older than a moment, with their calls and their timelines.

    The moment lies at least a day in the past. What is forgotten does not come back.
    """

    NAME = "cdr.forget"
    OWNER = Owner.CDR

    before: AwareDatetime

    @field_validator("before")
    @classmethod
    def _is_past(cls, value: datetime) -> datetime:
        if value > datetime.now(UTC) - timedelta(days=1):
            raise ValueError("lies not a day in the past")
        return value


CATALOGUE: Mapping[str, type[Command]] = {
    command.NAME: command
    for command in (OriginateCall, CreateUser, UpdateUser, DeleteUser, FlushUser, ForgetCdrs)
}


@dataclass(eq=False)
class NotACommand(Exception):
    """The message can never be carried out, however often it is delivered."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Ordered:
    """A command and the id under which it is carried out once.

    After `deadline` (seconds since 1970) nobody waits for it any more: it must not be begun.
    """

    id: UUID
    command: Command
    deadline: float | None = None

    def is_late(self, now: float) -> bool:
        """Tell whether its time is over."""
        return self.deadline is not None and now > self.deadline


def parse(
    *, name: str | None, routing_key: str, message_id: str | None, body: bytes, owner: Owner
) -> Ordered | None:
    """Return the command that a message orders from this owner, None where it is another's.

    A name that nobody knows is the dialer's to refuse: it alone sees every message. Raise
    `NotACommand` where the message orders nothing that anybody could do.
    """
    command = CATALOGUE.get(routing_key)
    if command is None and owner is Owner.DIALER:
        raise NotACommand(f"no command has the name {routing_key!r}; known: {', '.join(CATALOGUE)}")
    if command is None or command.OWNER is not owner:
        return None
    if name and name != routing_key:
        raise NotACommand(f"type {name!r} is not the routing key {routing_key!r}")
    try:
        identifier = UUID(message_id or "")
    except ValueError:
        raise NotACommand(f"message_id {message_id!r} is not a UUID") from None
    try:
        return Ordered(identifier, command.decode(body))
    except ValidationError as error:
        raise NotACommand(explain(error)) from None


def explain(error: ValidationError) -> str:
    """Say which fields are wrong and why, without repeating a value that may be secret."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{_place(problem['loc'])}: {problem['msg']}" for problem in problems[:_MOST_PROBLEMS]]
    if len(problems) > _MOST_PROBLEMS:
        told.append(f"and {len(problems) - _MOST_PROBLEMS} more")
    return "; ".join(told)


def _place(loc: tuple[str | int, ...]) -> str:
    """Return where a problem is: the field, in a list of users behind its row."""
    match loc:
        case ("many" | "users", int(index), *rest):
            return ": ".join(
                [f"row {index + 1}", *([".".join(map(str, rest))[:40]] if rest else [])]
            )
        case ("many",):
            return "body"
        case ("one", *rest):
            return _place(tuple(rest))
    return ".".join(map(str, loc))[:40] or "body"


def _is_about_many(body: bytes) -> bool:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(said, dict) and "users" in said


def is_number(text: str) -> bool:
    """Tell whether the text is a number that may be dialled: `+` and digits, 3 to 15 in all."""
    return re.fullmatch(NUMBER, text) is not None and not text.endswith("\n")
