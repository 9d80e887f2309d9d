"""Dialling: from an endpoint of a dial string to a leg whose phone rings, answers or refuses."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace

from simulator import causes, leg_variables
from simulator.dial_string import MalformedDialString, Target, parse_dial_string
from simulator.directory import Directory
from simulator.events import Origin, now
from simulator.leg import Leg
from simulator.leg_variables import Destination
from simulator.phone_acts import PhoneActs
from simulator.phones import is_extension, is_registered, script_of
from simulator.profile import Profile, Times
from simulator.registry import Registry
from simulator.switch import Switch

_OUTGOING = Origin("switch_core_session.c", "switch_core_session_outgoing_channel", 768)
_CREATE = Origin("switch_core_state_machine.c", "switch_core_session_run", 626)
_ORIGINATE = Origin("switch_core_state_machine.c", "switch_core_session_run", 632)
# A bridge takes these over from the leg that runs it, whether exported or not.
_INHERITED = ("ignore_early_media", "progress_timeout", "language")
_NO_EARLY_MEDIA = frozenset({"true", "consume", "ring_ready"})
_ROUTING = Origin("switch_core_state_machine.c", "check_presence", 521)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How dialling ended: the leg that was answered, or why there is none."""

    leg: Leg | None
    cause: str
    tried: Leg | None = None


@dataclass(frozen=True, slots=True)
class _Resolved:
    destination: Destination
    variables: dict[str, str]
    user_variables: dict[str, str]
    presence_id: str = ""
    by_user: bool = False


class NotDialled(Exception):
    """No leg was made; the argument is the cause."""


class Dialler:
    """Dials, for an API command or on behalf of a leg."""

    def __init__(self, switch: Switch, directory: Directory, registry: Registry) -> None:
        self._switch = switch
        self._directory = directory
        self._registry = registry
        self._phones = PhoneActs(switch)

    async def dial(
        self,
        text: str,
        timeout_seconds: float,
        caller: Leg | None = None,
        caller_id: tuple[str, str] = ("", "0000000000"),
    ) -> Outcome:
        """Try the endpoints of a dial string in turn until one is answered."""
        try:
            dialled = parse_dial_string(text)
        except MalformedDialString:
            return Outcome(None, "DESTINATION_OUT_OF_ORDER")
        outcome = Outcome(None, "DESTINATION_OUT_OF_ORDER")
        for target in dialled.targets:
            variables = {**target.variables, **dialled.variables}
            if caller is not None:
                variables = _passed_on(caller) | variables
            try:
                resolved = await self._resolve(target, variables)
                if caller is not None and not caller.up:
                    return Outcome(None, "ORIGINATOR_CANCEL", outcome.tried)
                leg = self._make(resolved, caller, caller_id)
            except NotDialled as refusal:
                outcome = Outcome(None, str(refusal), outcome.tried)
                continue
            outcome = await self._ring(leg, resolved, timeout_seconds, caller)
            if outcome.leg is not None or (caller is not None and not caller.up):
                break
        return outcome

    async def _resolve(self, target: Target, variables: dict[str, str]) -> _Resolved:
        if target.endpoint == "error":
            raise NotDialled(causes.parse(target.rest) or "NORMAL_CLEARING")
        if target.endpoint == "user":
            return await self._resolve_user(target.rest, variables)
        if target.endpoint != "sofia":
            raise NotDialled("CHAN_NOT_IMPLEMENTED")
        return _Resolved(self._destination(target.rest), variables, {})

    async def _resolve_user(self, rest: str, variables: dict[str, str]) -> _Resolved:
        extension, _, domain = rest.partition("@")
        domain = domain or self._switch.settings.domain
        user = await self._directory.user_call(extension, domain, variables)
        if user is None:
            raise NotDialled("SUBSCRIBER_ABSENT")
        if not user.dial_string:
            raise NotDialled("MANDATORY_IE_MISSING")
        if not is_registered(extension) or self._registry.has_left(extension):
            raise NotDialled("USER_NOT_REGISTERED")
        try:
            inner = parse_dial_string(user.dial_string)
        except MalformedDialString:
            raise NotDialled("DESTINATION_OUT_OF_ORDER") from None
        contact = inner.targets[0] if inner.targets else None
        own = contact.variables if contact else {}
        if contact is not None and contact.endpoint == "error":
            raise NotDialled(causes.parse(contact.rest) or "NORMAL_CLEARING")
        where = f"internal/{self._registry.contact(extension)}"
        if contact is not None and contact.endpoint == "sofia" and "$" not in contact.rest:
            where = contact.rest
        dialled = {"dialed_user": extension, "dialed_domain": domain}
        merged = {**variables, **dialled, **inner.variables, **own}
        destination = replace(self._destination(where), from_host=domain)
        presence_id = merged.get("presence_id", "")
        return _Resolved(destination, merged, user.variables, presence_id, by_user=True)

    def _destination(self, rest: str) -> Destination:
        profile, _, address = rest.partition("/")
        if profile == "gateway":
            gateway, _, number = address.partition("/")
            if gateway not in self._switch.settings.gateways:
                raise NotDialled("INVALID_GATEWAY")
            name = f"sofia/external/{number}"
            return Destination("external", number, "127.0.0.1", "5080", name, gateway)
        user, at, host = address.partition("@")
        if not user or not at:
            raise NotDialled("INVALID_URL")
        host, _, port = host.partition(";")[0].partition(":")
        return Destination(profile, user.removeprefix("sip:"), host, port, f"sofia/{rest}")

    def _make(self, where: _Resolved, caller: Leg | None, caller_id: tuple[str, str]) -> Leg:
        variables, destination = where.variables, where.destination
        leg_uuid = variables.get("origination_uuid") or str(uuid.uuid4())
        if leg_uuid in self._switch.legs or not self._switch.admits:
            # A uuid that is alive is refused before anything is made, and so is one too many.
            raise NotDialled("DESTINATION_OUT_OF_ORDER")
        self._switch.sessions += 1
        leg = Leg(_profile(leg_uuid, where, caller, caller_id), self._switch.sessions)
        originator = caller.uuid if caller else None
        leg.set_all(leg_variables.at_creation(destination, leg_uuid, leg.session_id, originator))
        leg.set_all(variables)
        early = variables.get("ignore_early_media") not in _NO_EARLY_MEDIA
        leg.set_all(
            leg_variables.after_dial_string(destination, originator, early_media_counts=early)
        )
        leg.presence_id = where.presence_id
        if caller is not None:
            leg.originator = replace(caller.profile)
            leg.show_other("originator", caller.profile.other_leg_block(Times()))
        self._switch.add(leg)
        self._announce(leg, originator)
        return leg

    def _announce(self, leg: Leg, originator: str | None) -> None:
        switch = self._switch
        switch.hub.fire_leg(leg, "CHANNEL_OUTGOING", _OUTGOING)
        leg.call_uuid = originator or leg.uuid
        switch.enter(leg, "CS_INIT", 1)
        leg.state_number = 2
        switch.hub.fire_leg(leg, "CHANNEL_CREATE", _CREATE)
        switch.hub.fire_leg(leg, "CHANNEL_ORIGINATE", _ORIGINATE)
        switch.enter(leg, "CS_ROUTING", 2)
        leg.state_number = 7
        switch.presence(leg, "CS_ROUTING", "progressing", _ROUTING)
        switch.enter(leg, "CS_CONSUME_MEDIA", 7)

    async def _ring(
        self, leg: Leg, where: _Resolved, timeout_seconds: float, caller: Leg | None
    ) -> Outcome:
        settings = self._switch.settings
        number = where.destination.user
        agent = where.by_user or is_extension(number)
        self._switch.spawn(
            self._phones.play(
                leg,
                where.destination,
                script_of(number),
                caller,
                answer_after=settings.ring_seconds if agent else settings.answer_seconds,
                talk=0.0 if agent else settings.talk_seconds,
            )
        )
        if caller is not None:
            caller.on_hangup.append(lambda: self._switch.hang_up(leg, "ORIGINATOR_CANCEL"))
        try:
            await self._wait(leg, timeout_seconds)
        finally:
            if caller is not None:
                caller.on_hangup.clear()
        if not leg.up:
            return Outcome(None, leg.cause, leg)
        leg.set(endpoint_disposition="ANSWER" if leg.answered else "EARLY MEDIA")
        if where.by_user:
            self._switch.hub.fire_leg(leg, "CHANNEL_OUTGOING", _OUTGOING)
            leg.set_all(where.user_variables)
            leg.set(originate_endpoint="user")
        return Outcome(leg, "SUCCESS", leg)

    async def _wait(self, leg: Leg, timeout_seconds: float) -> None:
        """Wait for an answer; the leg's own timeout has a cause of its own."""
        whole = _seconds(leg.get("originate_timeout")) or timeout_seconds
        own = _seconds(leg.get("leg_timeout"))
        limit, cause = (own, "ALLOTTED_TIMEOUT") if 0 < own <= whole else (whole, "NO_ANSWER")
        try:
            async with asyncio.timeout(limit):
                await leg.ready.wait()
        except TimeoutError:
            self._switch.hang_up(leg, cause)
        else:
            await self._switch.notice_end(leg)


def _profile(
    leg_uuid: str, where: _Resolved, caller: Leg | None, caller_id: tuple[str, str]
) -> Profile:
    variables, number = where.variables, where.destination.user
    name, caller_number = caller_id
    original_name, original_number, ani = name, caller_number, caller_number
    network = ""
    if caller is not None:
        shown = caller.profile
        name = caller.get("effective_caller_id_name") or shown.caller_id_name
        caller_number = caller.get("effective_caller_id_number") or shown.caller_id_number
        original_name = shown.original_caller_id_name
        original_number, ani = shown.original_caller_id_number, shown.ani
        network = shown.network_addr
    name = variables.get("origination_caller_id_name", name)
    caller_number = variables.get("origination_caller_id_number", caller_number)
    if caller is None:
        original_name, original_number = name, caller_number
    return Profile(
        unique_id=leg_uuid,
        channel_name=where.destination.channel_name,
        destination=number,
        caller_id_name=name,
        caller_id_number=caller_number,
        original_caller_id_name=original_name,
        original_caller_id_number=original_number,
        callee_id_name=variables.get("origination_callee_id_name", "Outbound Call"),
        callee_id_number=variables.get("origination_callee_id_number", number),
        ani=ani,
        network_addr=network,
        times=Times(created=now()),
    )


def _passed_on(caller: Leg) -> dict[str, str]:
    """Give what a leg that is dialled on behalf of another gets from it."""
    exported = caller.get("export_vars")
    names = ("export_vars", *exported.split(","), *_INHERITED)
    return {name: value for name in names if name and (value := caller.get(name))}


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0
