"""The tables. Each has one writer, which its docstring names; everybody may read."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    Identity,
    Index,
    String,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The schema that the migrations make."""

    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy reads it from the class)
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: JSONB,
    }


class CommandRow(Base):
    """A command that somebody began to carry out. Writer: dialer.

    The row is committed before the switch is told, and its key is the command's id: of two who
    hold the same command only one may dial. `answer` is what the switch said, the reply that a
    repeated command gets; none means that the dialer died in between.
    """

    __tablename__ = "commands"
    __table_args__ = (Index("commands_by_time", "switch", "claimed_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    data: Mapped[dict[str, Any]]
    switch: Mapped[str] = mapped_column(String(128))
    claimed_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    answer: Mapped[str | None] = mapped_column(Text)


class UserRow(Base):
    """A SIP user. Writer: directory.

    Both passwords are sealed (`shared/vault.py`). A user without a password was made
    before passwords were kept, and cannot register until one is set. Null stands for what a field
    is by itself.
    """

    __tablename__ = "users"
    __table_args__ = (Index("users_by_group", "domain", "group"),)

    domain: Mapped[str] = mapped_column(String(253), primary_key=True)
    extension: Mapped[str] = mapped_column(String(32), primary_key=True)
    password: Mapped[str | None] = mapped_column(Text)
    enabled: Mapped[bool]
    group: Mapped[str | None] = mapped_column(Text)
    callgroup: Mapped[str | None] = mapped_column(Text)
    display_name: Mapped[str | None] = mapped_column(Text)
    effective_caller_id_name: Mapped[str | None] = mapped_column(Text)
    effective_caller_id_number: Mapped[str | None] = mapped_column(Text)
    outbound_caller_id_name: Mapped[str | None] = mapped_column(Text)
    outbound_caller_id_number: Mapped[str | None] = mapped_column(Text)
    toll_allow: Mapped[str | None] = mapped_column(Text)
    accountcode: Mapped[str | None] = mapped_column(Text)
    user_context: Mapped[str | None] = mapped_column(Text)
    voicemail_password: Mapped[str | None] = mapped_column(Text)
    variables: Mapped[dict[str, Any]]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class UserCommandRow(Base):
    """A command about users that was carried out. Writer: directory.

    It is committed with what it did, so that one that comes again does nothing, and is answered as
    it was the first time. The answer is sealed: there may be passwords in it.
    """

    __tablename__ = "user_commands"
    __table_args__ = (Index("user_commands_by_age", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    answer: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime]


class RegistrationRow(Base):
    """Whether a user's phone is registered on a switch, as it was told last. Writer: directory."""

    __tablename__ = "registrations"

    domain: Mapped[str] = mapped_column(String(253), primary_key=True)
    extension: Mapped[str] = mapped_column(Text, primary_key=True)
    switch: Mapped[str] = mapped_column(String(128), primary_key=True)
    registered: Mapped[bool]
    at: Mapped[datetime]


class CdrRow(Base):
    """One leg's call detail record. Writer: cdr.

    One partition a month, by `at`: when the leg began, or when the record was stored where that
    is not known. `raw` is what the switch sent, decoded, so that nothing is lost where a column
    could not be filled; `marks` names the columns whose value was there and could not be used.
    `CdrLegRow` is what makes a leg unique over all months.
    """

    __tablename__ = "cdrs"
    __table_args__ = (
        Index("cdrs_by_call", "call_id"),
        Index("cdrs_by_time", text("at DESC"), "switch", "leg_id"),
        Index("cdrs_by_number", "number", postgresql_ops={"number": "text_pattern_ops"}),
        *(
            Index(
                f"cdrs_by_{name}",
                name,
                text("at DESC"),
                postgresql_where=text(f"{name} IS NOT NULL"),
            )
            for name in (
                "crm_uuid",
                "product_code",
                "extension",
                "queue",
                "agent",
                "campaign",
                "hangup_cause",
                "gateway",
                "direction",
                "leg",
                "role",
                "q850",
                "sip_status",
                "hung_up_by",
                "codec",
                "switch",
            )
        ),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    leg_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    switch: Mapped[str] = mapped_column(String(128), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(String(256))
    crm_uuid: Mapped[str | None] = mapped_column(Text)
    product_code: Mapped[str | None] = mapped_column(Text)
    direction: Mapped[str | None] = mapped_column(Text)
    leg: Mapped[str | None] = mapped_column(Text)
    role: Mapped[str | None] = mapped_column(Text)
    extension: Mapped[str | None] = mapped_column(Text)
    number: Mapped[str | None] = mapped_column(Text)
    queue: Mapped[str | None] = mapped_column(Text)
    agent: Mapped[str | None] = mapped_column(Text)
    campaign: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime | None]
    ringing_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    bridged_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ring_ms: Mapped[int | None]
    answer_ms: Mapped[int | None]
    talk_ms: Mapped[int | None]
    hold_ms: Mapped[int | None]
    hangup_cause: Mapped[str | None] = mapped_column(Text)
    q850: Mapped[int | None]
    sip_status: Mapped[int | None]
    hung_up_by: Mapped[str | None] = mapped_column(Text)
    codec: Mapped[str | None] = mapped_column(Text)
    mos: Mapped[float | None]
    packets_in: Mapped[int | None]
    packets_out: Mapped[int | None]
    packets_lost: Mapped[int | None]
    gateway: Mapped[str | None] = mapped_column(Text)
    recording: Mapped[str | None] = mapped_column(Text)
    marks: Mapped[list[str]]
    stored_at: Mapped[datetime]
    raw: Mapped[dict[str, Any]]


class CdrLegRow(Base):
    """That a leg's record is stored, once for all months. Writer: cdr.

    `digest` is the SHA-256 of the record as it came first: another one of the same leg with
    another digest is kept in `CdrVariantRow`.
    """

    __tablename__ = "cdr_legs"
    __table_args__ = (Index("cdr_legs_by_time", "at"),)

    switch: Mapped[str] = mapped_column(String(128), primary_key=True)
    leg_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    at: Mapped[datetime]
    digest: Mapped[bytes]


class CdrVariantRow(Base):
    """A record of a leg that says something else than the one that came first. Writer: cdr."""

    __tablename__ = "cdr_variants"

    switch: Mapped[str] = mapped_column(String(128), primary_key=True)
    leg_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    received_at: Mapped[datetime]
    raw: Mapped[dict[str, Any]]


class CdrNewsRow(Base):
    """An event about records that is still to be told. Writer: cdr.

    It is committed with what it tells of, and goes once the broker has it. The columns are those
    of `shared.messages.events.Event`.
    """

    __tablename__ = "cdr_news"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    type: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(Text)
    at: Mapped[int] = mapped_column(BigInteger)
    fact: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]]


class CallEventRow(Base):
    """One event of a call's life, its timeline. Writer: cdr."""

    __tablename__ = "call_events"

    call_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    type: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    data: Mapped[dict[str, Any]]


class CallRow(Base):
    """A call as it stands, folded from its events and its legs' records. Writer: cdr.

    `at` is when it began, by whichever knows. `created_at`, `answered_at`, `ended_at`, `outcome`
    and `hangup_cause` are what events told; the `recorded_` columns are the same out of the
    `records` that are there, and `disagrees` names those in which the two differ. `missing` is
    what was missed when the call was checked for completeness, at `checked_at`.
    """

    __tablename__ = "calls"
    __table_args__ = (
        Index("calls_live", "created_at", postgresql_where="ended_at IS NULL"),
        Index("calls_by_crm", "crm_uuid"),
        Index("calls_by_time", "at"),
        Index("calls_unchecked", "at", postgresql_where="checked_at IS NULL"),
        Index("calls_incomplete", "at", postgresql_where="missing <> '[]'"),
    )

    call_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    at: Mapped[datetime]
    sequence: Mapped[int]
    state: Mapped[str] = mapped_column(String(32))
    crm_uuid: Mapped[str | None] = mapped_column(Text)
    product_code: Mapped[str | None] = mapped_column(Text)
    direction: Mapped[str | None] = mapped_column(String(32))
    switch: Mapped[str | None] = mapped_column(String(128))
    extension: Mapped[str | None] = mapped_column(Text)
    number: Mapped[str | None] = mapped_column(Text)
    queue: Mapped[str | None] = mapped_column(Text)
    agent: Mapped[str | None] = mapped_column(Text)
    campaign: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(32))
    hangup_cause: Mapped[str | None] = mapped_column(String(64))
    ring_ms: Mapped[int | None]
    talk_ms: Mapped[int | None]
    records: Mapped[int]
    recorded_outcome: Mapped[str | None] = mapped_column(String(32))
    recorded_cause: Mapped[str | None] = mapped_column(String(64))
    recorded_started_at: Mapped[datetime | None]
    recorded_answered_at: Mapped[datetime | None]
    recorded_ended_at: Mapped[datetime | None]
    recorded_ring_ms: Mapped[int | None]
    recorded_talk_ms: Mapped[int | None]
    disagrees: Mapped[list[str] | None]
    missing: Mapped[list[str] | None]
    checked_at: Mapped[datetime | None]


class SubscriptionRow(Base):
    """A queue that somebody wants to hear events from. Writer: gateway.

    `state` is how far it is on the broker: declaring, ready, removing. With a `url` it is a
    webhook, whose `secret` is sealed (`shared/vault.py`), and which delivers unless it was
    `switched_off`, for the reason that stands there.
    """

    __tablename__ = "subscriptions"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    types: Mapped[list[str]]
    match: Mapped[dict[str, Any]]
    max_length: Mapped[int]
    max_age_seconds: Mapped[int]
    url: Mapped[str | None] = mapped_column(Text)
    secret: Mapped[str | None] = mapped_column(Text)
    switched_off: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]


class DeliveryRow(Base):
    """An event that a webhook brings, or brought. Writer: gateway.

    `status` is waiting, delivered or dead. Of a subject only the oldest that waits is under way:
    until `next_at` it is somebody's. The retries of a day count from `taken_at`.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("webhook_deliveries_once", "subscription", "event_id", unique=True),
        Index("webhook_deliveries_log", "subscription", "id"),
        Index(
            "webhook_deliveries_in_order",
            "subscription",
            "subject",
            "id",
            postgresql_where="status = 'waiting'",
        ),
        Index("webhook_deliveries_due", "next_at", postgresql_where="status = 'waiting'"),
        Index("webhook_deliveries_by_age", "done_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    subscription: Mapped[str] = mapped_column(String(64))
    event_id: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes]
    status: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    answered: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    taken_at: Mapped[datetime]
    next_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class TokenRow(Base):
    """A token of the HTTP API and what it opens. Writer: gateway.

    `digest` is the SHA-256 of the token, which is random and shown once.
    """

    __tablename__ = "tokens"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
