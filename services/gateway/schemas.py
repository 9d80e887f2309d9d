"""What HTTP requests and answers hold."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    StringConstraints,
    Tag,
    model_validator,
)

from shared.messages.commands import CreateUser, CrmUuid, Extension, ProductCode
from shared.messages.events import LONGEST_MATCH
from shared.messages.users import (
    MOST_USERS,
    NewUser,
    Password,
    ShownFields,
    SipDomain,
    UserFields,
    Word,
)

SubscriptionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)]
MatchValue = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=LONGEST_MATCH)
]
MatchValues = MatchValue | Annotated[list[MatchValue], Field(min_length=1, max_length=100)] | None
CallId = Annotated[str, StringConstraints(pattern=r"^[!-~]+$", max_length=256)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)


class ClickOnCallData(_Body):
    """Whom to connect. The CRMs in the wild spell the extension `extensin_number`."""

    crm_uuid: CrmUuid
    extensin_number: Extension = Field(
        validation_alias=AliasChoices("extensin_number", "extension_number")
    )
    customer_number: str = Field(
        description="AES-128-CBC with PKCS#7 padding, as 32 hex digits.",
        min_length=32,
        max_length=32,
    )
    product_code: ProductCode


class ClickOnCall(_Body):
    """A click-to-call of the CRM contract."""

    token: str = Field(max_length=32)
    data: ClickOnCallData


class ClickOnCallAnswer(BaseModel):
    """The switch's own answer."""

    data: str = Field(examples=["+OK Job-UUID: 1f6528d8-2c9a-449e-868b-aa197107ceac"])
    msg: str = Field(examples=["Call OK"])


class IdempotencyHeader(BaseModel):
    """A write that carries the same key twice is done once."""

    idempotency_key: str | None = Field(
        default=None, alias="Idempotency-Key", min_length=1, max_length=255
    )


class AcceptedCall(BaseModel):
    """The call is going to be dialled; read its life at `location`."""

    call_id: str
    location: str


class CallPath(BaseModel):
    """A call by its id."""

    call_id: CallId


class CallState(BaseModel):
    """A call as it stands."""

    model_config = ConfigDict(from_attributes=True)

    call_id: str
    state: str = Field(examples=["created", "ringing", "answered", "established", "ended"])
    crm_uuid: str | None
    product_code: str | None
    direction: str | None
    switch: str | None
    extension: str | None = Field(description="The agent's.")
    number: str | None = Field(description="The customer's.")
    queue: str | None
    agent: str | None
    campaign: str | None
    created_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    hangup_cause: str | None
    ring_ms: int | None
    talk_ms: int | None
    records: int = Field(description="How many legs' records are there.")
    recorded_outcome: str | None = Field(description="The outcome as the records have it.")
    recorded_cause: str | None
    disagrees: list[str] | None = Field(description="In what events and records differ.")
    missing: list[str] | None = Field(description="What never came: records, or the end.")


class CallMoment(BaseModel):
    """One event of a call's life."""

    model_config = ConfigDict(from_attributes=True)

    sequence: int
    type: str
    at: datetime
    data: dict[str, Any]


class CallLife(CallState):
    """A call and all that happened to it."""

    timeline: list[CallMoment]


class Page(BaseModel):
    """Where a list goes on."""

    cursor: str | None = Field(default=None, max_length=600)
    limit: int = Field(default=100, ge=1, le=500)


class CallList(BaseModel):
    """Calls that live now."""

    calls: list[CallState]
    next_cursor: str | None


class UserPath(BaseModel):
    """A user by extension."""

    extension: Extension


class UserQuery(BaseModel):
    """The domain, where it is not the default one."""

    domain: SipDomain | None = None


class UserPage(Page, UserQuery):
    """Which users: all conditions that are given must hold."""

    group: Word | None = None
    registered: bool | None = None


class User(ShownFields):
    """A SIP user. A field that is null has its own default (docs/users.md)."""

    model_config = ConfigDict(from_attributes=True, extra="ignore", strict=False)

    extension: str
    domain: str
    # As they are kept, also where today they would be refused.
    variables: dict[str, str] = Field(default_factory=dict)
    registered: bool = Field(description="Whether a phone of the user's is registered.")
    has_password: bool = Field(
        description="Whether there is one: without it no phone can register or be called."
    )
    created_at: datetime
    changed_at: datetime


class UserChange(UserFields):
    """What to change of a user; null sets a field back to its default."""

    password: Password | None = None


class CreatedUser(BaseModel):
    """A new user. `password` is shown this once, and only where we made it."""

    extension: str
    domain: str
    password: str | None = None


class CreatedUsers(BaseModel):
    """New users, in the order of the list that was sent."""

    users: list[CreatedUser]


class NamedUser(BaseModel):
    """A user, by name."""

    extension: str
    domain: str


class DialledCall(BaseModel):
    """A call that the switch took on. `reply` is what it said, word by word."""

    call_id: str
    reply: str = Field(examples=["+OK Job-UUID: 1f6528d8-2c9a-449e-868b-aa197107ceac"])


class Flushed(BaseModel):
    """The switches that are told at once; others are told when they are back."""

    switches: list[str]


class Forgotten(BaseModel):
    """How many legs' records were forgotten."""

    deleted: int


class Created(RootModel[CreatedUser | CreatedUsers]):
    """One new user, or those of a list."""


class UsersToCreate(
    RootModel[
        Annotated[
            Annotated[CreateUser, Tag("one")]
            | Annotated[list[NewUser], Field(min_length=1, max_length=MOST_USERS), Tag("many")],
            Discriminator(lambda value: "many" if isinstance(value, list) else "one"),
        ]
    ]
):
    """One user, or a list of up to 10,000: all are created, or none.

    A list may also be sent as `text/csv`, with the names of the fields in the first row and
    `variables.x` for the variable x.
    """


class UserList(BaseModel):
    """Users, by extension."""

    users: list[User]
    next_cursor: str | None


class Match(_Body):
    """Fields of an event, each with the value or the values that are wanted."""

    product_code: MatchValues = None
    direction: MatchValues = None
    queue: MatchValues = None
    campaign: MatchValues = None
    switch: MatchValues = None

    def values(self) -> dict[str, list[str]]:
        """Return the fields that are given, with lists of values."""
        return {
            name: [value] if isinstance(value, str) else value
            for name, value in self.model_dump(exclude_none=True).items()
        }


class NewSubscription(_Body):
    """Which events are wanted, and how much of them is kept for somebody who does not come."""

    name: SubscriptionName
    types: list[Annotated[str, Field(max_length=64)]] = Field(
        default=["#"],
        min_length=1,
        max_length=50,
        description="Event types, or patterns: `*` is one word, `#` any number of words.",
        examples=[["call.*", "leg.ended"]],
    )
    match: Match = Field(
        default=Match(), description="All fields that are given must have one of their values."
    )
    max_length: int = Field(default=100_000, ge=1, le=1_000_000, description="Events.")
    max_age_seconds: int = Field(default=7 * 86400, ge=1, le=30 * 86400)
    url: str | None = Field(
        default=None,
        max_length=2000,
        description="Where each event is posted (Standard Webhooks). Without: consume the queue.",
        examples=["https://crm.example/voice"],
    )


class SubscriptionPath(BaseModel):
    """A subscription by its name."""

    name: SubscriptionName


class Subscription(BaseModel):
    """A queue that receives events until it is deleted."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    types: list[str]
    match: dict[str, list[str]]
    max_length: int
    max_age_seconds: int
    url: str | None
    created_at: datetime
    queue: str = Field(description="Consume it by AMQP 0-9-1, and ack what you have taken care of.")
    dead_letters: str = Field(description="The queue of what was cut from it or rejected.")


class SubscriptionDepth(Subscription):
    """A subscription and what waits in it."""

    depth: int = Field(description="Events that wait.")
    consumers: int
    dead: int = Field(description="Events in the queue of dead letters.")
    waiting: int = Field(description="Events that a webhook has taken and not brought yet.")
    delivers: bool | None = Field(description="Whether a webhook does; null where it is none.")
    switched_off: str | None = Field(
        description="Why it does not; ask for the same subscription again to switch it on."
    )


class CreatedSubscription(Subscription):
    """A subscription that stands. `secret` is shown this once, and for a webhook only."""

    secret: str | None = None


class Redeliver(_Body):
    """What is to come once more: some events of the log, a piece of the journal, or the dead."""

    event_ids: list[Annotated[str, Field(max_length=255)]] | None = Field(
        default=None, min_length=1, max_length=500
    )
    after: int | None = Field(default=None, ge=0, lt=1 << 62, description="As in /v1/events.")
    until: int | None = Field(default=None, ge=0, lt=1 << 62, description="The last offset.")
    dead: Literal[True] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        ways = (self.event_ids, self.after, self.dead)
        if sum(way is not None for way in ways) != 1 or (self.until and self.after is None):
            raise ValueError("give event_ids, or after (and until), or dead")
        return self


class Redelivered(BaseModel):
    """How many events come once more."""

    redelivered: int
    next_after: int | None = Field(
        description="Where to go on with `after`, if the piece was too long for one request."
    )


class DeliveryPage(Page):
    """Which deliveries."""

    status: Literal["waiting", "delivered", "dead"] | None = None


class Delivery(BaseModel):
    """An event that a webhook brings, and how far that is."""

    model_config = ConfigDict(from_attributes=True)

    event_id: str
    type: str
    subject: str
    status: str = Field(examples=["waiting", "delivered", "dead"])
    attempts: int
    answered: int | None = Field(description="The receiver's last status.")
    error: str | None = Field(description="What went wrong last.")
    taken_at: datetime
    next_at: datetime
    done_at: datetime | None


class DeliveryList(BaseModel):
    """Deliveries, the newest first."""

    deliveries: list[Delivery]
    next_cursor: str | None


class SubscriptionList(BaseModel):
    """Subscriptions, by name."""

    subscriptions: list[Subscription]
    next_cursor: str | None


class EventQuery(BaseModel):
    """Which events: all conditions that are given must hold."""

    after: int | None = Field(
        default=None, ge=0, lt=1 << 62, description="A place in the journal: an event's `offset`."
    )
    types: str | None = Field(
        default=None,
        max_length=1000,
        description="Event types or patterns, by comma.",
        examples=["call.*,leg.ended"],
    )
    call_id: CallId | None = None


class ReplayQuery(EventQuery):
    """Which events, and how many."""

    limit: int = Field(default=100, ge=1, le=500)


class StreamHeader(BaseModel):
    """What a client of server-sent events sends when it comes again."""

    last_event_id: int | None = Field(default=None, alias="Last-Event-ID", ge=0, lt=1 << 62)


class ToldEvent(BaseModel):
    """An event and its place in the journal."""

    offset: int
    event: dict[str, Any] = Field(description="The CloudEvent.")


class EventList(BaseModel):
    """Events as they were told."""

    events: list[ToldEvent]
    next_after: int | None = Field(description="Where to go on; null while the journal is empty.")
    forgotten: bool = Field(
        description="Whether the journal does not go back to `after` any more: events were missed."
    )
