"""What each type of business event says in its `data`: the contract with whoever subscribes.

Each class is a published shape, from which schemas and documents are made; its docstring is what
the type means. Nothing is validated by them while events are told: tests hold the tellers to them.

A field is never null unless it says so; one that may be absent is absent where it has no meaning.
"""

from typing import ClassVar, Literal

from pydantic import MISSING, BaseModel, ConfigDict, Field

from shared.telephony.words import Direction, LeavingReason, Outcome, Role, TransferKind

VERSION = 1


class EventData(BaseModel):
    """What an event says."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    TYPE: ClassVar[str]


class _Concluded(EventData):
    """What may also be concluded later instead of seen."""

    model_config = ConfigDict(
        json_schema_extra={
            "dependentRequired": {
                "synthetic": ["synthetic_reason"],
                "synthetic_reason": ["synthetic"],
            }
        }
    )

    synthetic: Literal[True] | MISSING = Field(
        default=MISSING,
        description="Concluded later instead of seen. Absent where it was seen.",
    )
    synthetic_reason: str | MISSING = Field(
        default=MISSING,
        description="From what it was concluded. There if and only if `synthetic` is.",
    )


class CallData(_Concluded):
    """What every event of a call says."""

    call_id: str = Field(description="The call's id, the same on every event, CDR and command.")
    crm_uuid: str | None = Field(description="The CRM's own id for it; null where it gave none.")
    product_code: str | None = Field(description="As the CRM gave it; null where it gave none.")
    switch: str = Field(description="The switch's name in `VOICE_SWITCHES`.")
    direction: Direction = Field(description="Who wanted the call.")
    queue: str | MISSING | None = Field(
        default=MISSING,
        description="The queue that the call is in or came out of. Absent where there was none.",
    )


class _LegData(CallData):
    leg: str = Field(description="The leg's letter, in the order of joining: a to z, aa, ab …")
    role: Role = Field(description="Which side of the conversation the leg is.")
    leg_id: str = Field(description="The channel's UUID on the switch.")
    address: str | None = Field(description="The number or extension at the leg's far end.")


class _MemberData(CallData):
    queue: str = Field(description="The queue, name@domain.")
    member_id: str = Field(description="This waiting in the queue: mod_callcenter's member UUID.")


class _AgentData(_MemberData):
    extension: str = Field(description="The agent's extension.")
    agent: str = Field(description="The agent's full name, user@domain.")


class CallCreated(CallData):
    """The first sign of a call."""

    TYPE = "call.created"

    from_: str | None = Field(alias="from", description="The caller: an extension or a number.")
    to: str | None = Field(description="The called one: a number or an extension.")
    extension: str | None = Field(
        description="The agent's extension; null where none is known yet."
    )


class LegCreated(_LegData):
    """A leg exists on the switch."""

    TYPE = "leg.created"


class LegRinging(_LegData):
    """The phone of a leg rings, or sends early media."""

    TYPE = "leg.ringing"

    early_media: bool = Field(description="Whether it sends media before it is answered.")


class LegAnswered(_LegData):
    """Somebody took the call on this leg."""

    TYPE = "leg.answered"


class LegEnded(_LegData):
    """The leg is gone; its figures are final."""

    TYPE = "leg.ended"

    hangup_cause: str | None = Field(description="FreeSWITCH's name of the cause.")
    q850: int | None = Field(description="The cause's number in ITU-T Q.850.")
    sip_status: int | None = Field(
        description="The SIP status with which the far end refused or ended it; null if it did not."
    )
    ring_ms: int = Field(ge=0, description="Milliseconds from created to answered, or to the end.")
    talk_ms: int = Field(ge=0, description="Milliseconds from answered to the end.")
    far_end: bool = Field(description="Whether the phone ended the leg, not the switch.")


class CallEstablished(CallData):
    """Two legs hear each other; once for each pairing."""

    TYPE = "call.established"

    a_leg_id: str = Field(description="The leg of the two that joined first.")
    b_leg_id: str = Field(description="The other one.")


class CallHeld(_LegData):
    """A leg was put on hold."""

    TYPE = "call.held"


class CallResumed(_LegData):
    """A leg was taken off hold."""

    TYPE = "call.resumed"


class CallTransferred(_LegData):
    """A leg was moved to somebody else."""

    TYPE = "call.transferred"

    kind: TransferKind = Field(description="Whether the new party was spoken to before.")
    to: str | None = Field(description="The destination, or the id of the leg that it now hears.")


class CallRecovered(CallData):
    """The call goes on after its switch was restarted."""

    TYPE = "call.recovered"

    core_uuid: str = Field(description="The switch's new run: its Core-UUID.")


class CallMonitored(_LegData):
    """Somebody listens to a leg of the call."""

    TYPE = "call.monitored"

    by_leg_id: str | None = Field(description="The leg that listens, where known.")
    by_call_id: str | None = Field(description="The call of the leg that listens, where known.")


class DtmfReceived(_LegData):
    """A key was pressed on a leg's phone."""

    TYPE = "dtmf.received"

    digit: str = Field(description="0 to 9, *, #, A to D.")
    duration_ms: int | None = Field(ge=0, description="For how many milliseconds, where known.")
    source: str | None = Field(description="How the switch got it: RTP, INFO, INBAND_AUDIO …")


class RecordingStarted(_LegData):
    """A leg is being recorded from now on."""

    TYPE = "recording.started"

    path: str = Field(description="The file, as the switch names it.")


class RecordingStopped(_LegData):
    """A recording is complete."""

    TYPE = "recording.stopped"

    path: str = Field(description="The file, as the switch names it.")
    duration_ms: int | None = Field(ge=0, description="Its length in milliseconds, where known.")


class QueueJoined(_MemberData):
    """The customer waits in a queue."""

    TYPE = "queue.joined"


class QueueLeft(_MemberData):
    """The customer waits no longer: `served` is told when an agent is bridged."""

    TYPE = "queue.left"

    wait_ms: int = Field(ge=0, description="Milliseconds from joining to the bridge or leaving.")
    reason: LeavingReason = Field(description="Why.")
    extension: str | None = Field(description="The agent who served; null where nobody did.")


class AgentOffered(_AgentData):
    """A waiting customer is offered to an agent: the agent's phone is going to ring."""

    TYPE = "agent.offered"


class AgentAnswered(_AgentData):
    """The agent took the offered customer."""

    TYPE = "agent.answered"

    leg_id: str | None = Field(description="The agent's leg, where known.")


class AgentMissed(_AgentData):
    """The agent did not take the offered customer."""

    TYPE = "agent.missed"

    hangup_cause: str | None = Field(description="FreeSWITCH's name of the cause, where known.")


class _AgentAlone(_Concluded):
    """What every event of an agent says that belongs to no call."""

    extension: str = Field(description="The agent's extension.")
    agent: str = Field(description="The agent's full name, user@domain.")
    switch: str = Field(description="The switch's name in `VOICE_SWITCHES`.")


class AgentStatus(_AgentAlone):
    """An agent's status was set: whether calls are wanted."""

    TYPE = "agent.status"

    status: str = Field(description="mod_callcenter's word: Available, On Break, Logged Out …")


class AgentState(_AgentAlone):
    """An agent's state changed: what the agent is doing."""

    TYPE = "agent.state"

    state: str = Field(description="mod_callcenter's word: Waiting, Receiving, In a queue call …")


class CallEnded(CallData):
    """The call is over; exactly once, and only `call.corrected` may follow it."""

    TYPE = "call.ended"

    outcome: Outcome = Field(description="What became of the call.")
    failed_leg: str | None = Field(description="The letter of the leg for which it failed.")
    hangup_cause: str | None = Field(description="FreeSWITCH's name of the cause.")
    hung_up_by: str = Field(description="The letter of the leg that hung up first, or `system`.")
    ring_ms: int = Field(ge=0, description="Milliseconds from created to established or the end.")
    talk_ms: int = Field(ge=0, description="Milliseconds in which two legs heard each other.")
    total_ms: int = Field(ge=0, description="Milliseconds from created to the end.")


_Correctable = Literal[
    "outcome", "failed_leg", "hangup_cause", "hung_up_by", "ring_ms", "talk_ms", "total_ms"
]


class CallCorrected(CallData):
    """A CDR proved the end wrong. What is named in `corrected` is there, as it is in truth."""

    TYPE = "call.corrected"

    corrected: list[_Correctable] = Field(
        min_length=1, description="The fields of `call.ended` that were wrong."
    )
    outcome: Outcome | MISSING = Field(default=MISSING, description="As in `call.ended`.")
    failed_leg: str | MISSING | None = Field(default=MISSING, description="As in `call.ended`.")
    hangup_cause: str | MISSING | None = Field(default=MISSING, description="As in `call.ended`.")
    hung_up_by: str | MISSING = Field(default=MISSING, description="As in `call.ended`.")
    ring_ms: int | MISSING = Field(default=MISSING, ge=0, description="Milliseconds.")
    talk_ms: int | MISSING = Field(default=MISSING, ge=0, description="Milliseconds.")
    total_ms: int | MISSING = Field(default=MISSING, ge=0, description="Milliseconds.")


class _PhoneData(_Concluded):
    extension: str = Field(description="The user's extension.")
    domain: str = Field(description="The user's SIP domain.")
    switch: str = Field(description="The switch's name in `VOICE_SWITCHES`.")
    contact: str | MISSING | None = Field(
        default=MISSING, description="Where the phone is, as the switch has it."
    )
    user_agent: str | MISSING | None = Field(default=MISSING, description="What the phone is.")
    network_ip: str | MISSING | None = Field(
        default=MISSING, description="The address that it was heard from."
    )


class UserRegistered(_PhoneData):
    """A phone registered where none of the user's was before."""

    TYPE = "user.registered"


class UserUnregistered(_PhoneData):
    """The user's last phone is gone."""

    TYPE = "user.unregistered"


class UserChanged(EventData):
    """A user was created, updated or deleted."""

    TYPE = "user.changed"

    extension: str = Field(description="The user's extension.")
    domain: str = Field(description="The user's SIP domain.")
    change: Literal["created", "updated", "deleted"] = Field(description="What was done.")


class SwitchUp(EventData):
    """The link to a switch stands."""

    TYPE = "switch.up"

    switch: str = Field(description="The switch's name in `VOICE_SWITCHES`.")
    core_uuid: str | None = Field(description="Its run, its Core-UUID: a restart has another.")


class SwitchDown(EventData):
    """The link to a switch broke."""

    TYPE = "switch.down"

    switch: str = Field(description="The switch's name in `VOICE_SWITCHES`.")
    reason: str = Field(description="Why, for people.")


class SubscriptionCut(EventData):
    """A subscription was full, or its events too old: some were dropped. They can be replayed."""

    TYPE = "subscription.cut"

    name: str = Field(description="The subscription's name.")
    count: int = Field(ge=1, description="How many events were dropped.")
    first_at: str | None = Field(
        json_schema_extra={"format": "date-time"},
        description="The `time` of the first of them, where known.",
    )
    last_at: str | None = Field(
        json_schema_extra={"format": "date-time"},
        description="The `time` of the last of them, where known.",
    )


class SubscriptionSwitchedOff(EventData):
    """A webhook delivers nothing any more: its receiver answered that it wants nothing."""

    TYPE = "subscription.switched_off"

    name: str = Field(description="The subscription's name.")
    reason: str = Field(description="What the receiver answered.")


class _RecordData(EventData):
    """What events about records say of the call."""

    call_id: str = Field(description="The call's id.")
    crm_uuid: str | None = Field(description="The CRM's own id for it; null where it gave none.")
    product_code: str | None = Field(description="As the CRM gave it; null where it gave none.")
    switch: str = Field(description="The switch's name, as its record or its events have it.")
    direction: str | None = Field(description="Who wanted the call; null where it is not known.")
    queue: str | None = Field(description="The queue that the call was in; null where none.")
    campaign: str | None = Field(description="The campaign it belongs to; null where none.")


class CdrStored(_RecordData):
    """A leg's record is in the database; once for each record."""

    TYPE = "cdr.stored"

    leg_id: str = Field(description="The switch's own id of the leg.")
    leg: str | None = Field(description="`a` or `b`, as the record has it.")
    role: str | None = Field(description="`agent`, `customer` or `supervisor`, where known.")
    extension: str | None = Field(description="The agent's extension, where known.")
    number: str | None = Field(description="The customer's number, where known.")
    started_at: str | None = Field(
        json_schema_extra={"format": "date-time"}, description="When the leg was made."
    )
    answered_at: str | None = Field(
        json_schema_extra={"format": "date-time"}, description="When it was answered, if it was."
    )
    ended_at: str | None = Field(
        json_schema_extra={"format": "date-time"}, description="When it ended."
    )
    ring_ms: int | None = Field(description="Milliseconds from made to answered, or to the end.")
    talk_ms: int | None = Field(description="Milliseconds from answered to the end.")
    hangup_cause: str | None = Field(description="FreeSWITCH's name of the cause.")


class CdrMissing(_RecordData):
    """Of a call, events and records do not cover each other after the time they should take."""

    TYPE = "cdr.missing"

    missing: Literal["record", "end"] = Field(
        description="`record`: legs ended and their records did not come. "
        "`end`: records are there, and no `call.ended` was told."
    )
    leg_ids: list[str] = Field(description="The legs whose records are missing, or are there.")
