"""What requests about records and statistics, and their answers, hold."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from services.gateway.schemas import CallId, Page
from shared.messages.commands import CrmUuid

_LARGEST = 2**31 - 1
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_ZONE = re.compile(r" (?=[0-9]{2}:[0-9]{2}$)")
_FIRST_YEAR, _LAST_YEAR = 1970, 2999


def _with_zone(value: Any) -> Any:
    # A plus sign that was not written %2B arrives as a space.
    text = _ZONE.sub("+", value) if isinstance(value, str) else ""
    if not _MOMENT.fullmatch(text):
        raise ValueError("is no RFC 3339 time with its zone, such as 2026-12-01T08:00:00Z")
    return text.upper()


def _in_reach(value: datetime) -> datetime:
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError(f"lies not between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return value.astimezone(UTC)


def _with_plus(value: Any) -> Any:
    return f"+{value[1:]}" if isinstance(value, str) and value.startswith(" ") else value


Moment = Annotated[AwareDatetime, BeforeValidator(_with_zone), AfterValidator(_in_reach)]
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=256)]
Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Quality = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
NumberText = Annotated[Text, BeforeValidator(_with_plus)]


class CdrFilter(BaseModel):
    """Which records: all conditions that are given must hold.

    `…_from` is the first moment that counts, `…_to` the first that does not any more; `…_min` and
    `…_max` both count.
    """

    switch: Text | None = None
    leg_id: Text | None = None
    call_id: CallId | None = None
    crm_uuid: CrmUuid | None = None
    product_code: Text | None = None
    direction: Text | None = None
    leg: Text | None = None
    role: Text | None = None
    extension: Text | None = None
    number: NumberText | None = Field(default=None, description="The whole number.")
    number_prefix: NumberText | None = Field(
        default=None, description="How the number begins; needs the right `numbers`."
    )
    queue: Text | None = None
    agent: Text | None = None
    campaign: Text | None = None
    hangup_cause: Text | None = None
    q850: Count | None = None
    sip_status: Count | None = None
    hung_up_by: Text | None = None
    codec: Text | None = None
    gateway: Text | None = None
    recording: Text | None = None
    recorded: bool | None = Field(default=None, description="Whether there is a recording.")
    marked: bool | None = Field(
        default=None, description="Whether something in it could not be used: see `marks`."
    )
    started_from: Moment | None = None
    started_to: Moment | None = None
    ringing_from: Moment | None = None
    ringing_to: Moment | None = None
    answered_from: Moment | None = None
    answered_to: Moment | None = None
    bridged_from: Moment | None = None
    bridged_to: Moment | None = None
    ended_from: Moment | None = None
    ended_to: Moment | None = None
    stored_from: Moment | None = None
    stored_to: Moment | None = None
    ring_ms_min: Count | None = None
    ring_ms_max: Count | None = None
    answer_ms_min: Count | None = None
    answer_ms_max: Count | None = None
    talk_ms_min: Count | None = None
    talk_ms_max: Count | None = None
    hold_ms_min: Count | None = None
    hold_ms_max: Count | None = None
    mos_min: Quality | None = None
    mos_max: Quality | None = None
    packets_in_min: Count | None = None
    packets_in_max: Count | None = None
    packets_out_min: Count | None = None
    packets_out_max: Count | None = None
    packets_lost_min: Count | None = None
    packets_lost_max: Count | None = None


class CdrQuery(Page, CdrFilter):
    """Which records, and where the list goes on."""

    # Switches name their legs as they like, in up to 256 characters of any language.
    cursor: str | None = Field(default=None, max_length=4000)


class Cdr(BaseModel):
    """One leg's call detail record."""

    model_config = ConfigDict(from_attributes=True)

    switch: str
    leg_id: str
    at: datetime = Field(
        description="When the leg began, or when its record was stored where that is not known."
    )
    call_id: str
    crm_uuid: str | None
    product_code: str | None
    direction: str | None
    leg: str | None
    role: str | None
    extension: str | None = Field(description="The agent's, on both legs.")
    number: str | None = Field(description="The customer's, on both legs.")
    queue: str | None
    agent: str | None
    campaign: str | None
    started_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    bridged_at: datetime | None
    ended_at: datetime | None
    ring_ms: int | None
    answer_ms: int | None
    talk_ms: int | None
    hold_ms: int | None
    hangup_cause: str | None
    q850: int | None
    sip_status: int | None
    hung_up_by: str | None
    codec: str | None
    mos: float | None
    packets_in: int | None
    packets_out: int | None
    packets_lost: int | None
    gateway: str | None
    recording: str | None
    marks: list[str] = Field(description="What in it could not be used, and stands raw only.")
    stored_at: datetime


class CdrList(BaseModel):
    """CDRs, the newest first."""

    cdrs: list[Cdr]
    next_cursor: str | None


class Forget(BaseModel):
    """Up to when records are forgotten."""

    before: Moment = Field(description="Older ones go. It lies at least a day in the past.")


class Forgetting(BaseModel):
    """Records are going to be forgotten, piece by piece."""

    command_id: str
    before: datetime


class StatsQuery(BaseModel):
    """Of which calls, in what groups."""

    by: str | None = Field(
        default=None,
        max_length=100,
        description="Up to three of hour, day, queue, agent, product, cause, outcome, direction "
        "and campaign, by comma. Without: one group of all.",
        examples=["day,queue"],
    )
    tz: str = Field(
        default="UTC",
        max_length=64,
        description="The zone, by its IANA name, in which hours and days begin.",
        examples=["Europe/Berlin"],
    )
    from_: Moment | None = Field(
        default=None, alias="from", description="By itself 31 days before `to`."
    )
    to: Moment | None = Field(default=None, description="By itself now.")
    product_code: Text | None = None
    queue: Text | None = None
    agent: Text | None = Field(default=None, description="An extension or an agent's full name.")
    direction: Text | None = None
    campaign: Text | None = None


class Group(BaseModel):
    """Figures of the calls that are alike in what was asked for, which stands beside them."""

    hour: str | None = Field(
        default=None,
        description="Its beginning. What was not asked for by `by` is absent.",
        examples=["2026-10-25T02:00:00+02:00"],
    )
    day: str | None = Field(default=None, examples=["2026-10-25"])
    queue: str | None = None
    agent: str | None = Field(default=None, description="The extension, else the full name.")
    product: str | None = None
    cause: str | None = None
    outcome: str | None = None
    direction: str | None = None
    campaign: str | None = None
    calls: int = Field(description="Calls that are over.")
    answered: int = Field(description="Those whose outcome is `answered`.")
    answer_rate: float | None = Field(description="Answered calls / calls, 0 to 1.")
    asr: float | None = Field(
        description="Answer-seizure ratio, 0 to 1: answered calls / calls that had a circuit."
    )
    acd_ms: int | None = Field(description="Average call duration: talk time / answered calls.")
    talk_ms: int = Field(description="Talk time of all, in milliseconds.")
    average_ring_ms: int | None


class Stats(BaseModel):
    """Statistics of calls that began in a time, by the groups asked for, in their order."""

    model_config = ConfigDict(populate_by_name=True)

    from_: datetime = Field(alias="from")
    to: datetime
    tz: str
    by: list[str]
    groups: list[Group]
