"""Carries out the dialer's commands: message in, claim, switch, reply out."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol
from uuid import UUID

import structlog
import tenacity
from sqlalchemy import Engine

from services.dialer import store
from services.dialer.flushing import Flusher
from services.dialer.keeper import Keeper
from services.dialer.plan import Dialling, check_trunk, click_to_call
from shared.database.engine import reaching
from shared.dependency import DependencyAway
from shared.messages.commands import Command, FlushUser, Ordered, OriginateCall
from shared.messages.replies import Refused
from shared.switch.handshake import SwitchAway
from shared.switch.link import SwitchSilent

_SWITCH_SECONDS = 3.0

log = structlog.get_logger(__name__)


class Link(Protocol):
    """What the dialer needs of a switch; `SwitchLink` is one."""

    @property
    def name(self) -> str:
        """The switch's name."""

    @property
    def up(self) -> bool:
        """Whether commands reach it."""

    def originate(self, arguments: str, *, job_id: UUID, timeout: float) -> str:
        """Hand it a call; return its reply."""


@dataclass(slots=True)
class Dialer:
    """Everything that carrying out a command takes."""

    engine: Engine
    links: Sequence[Link]
    dialling: Dialling
    flusher: Flusher
    patience_seconds: float = 3.5  # for the answer to a command that somebody else carries out
    _turn: Iterable[int] = field(default_factory=count)
    _keeper: Keeper = field(init=False)

    def __post_init__(self) -> None:
        """Begin to keep answers where claims are kept."""
        self._keeper = Keeper(self.engine)

    def stop(self) -> None:
        """Keep the answers that wait to be kept."""
        self.flusher.stop()
        self._keeper.stop()

    @property
    def handlers(self) -> Mapping[type[Command], Callable[[Ordered], Mapping[str, Any]]]:
        """The table: which command is carried out by what."""
        return {OriginateCall: self.originate, FlushUser: self.flusher.flush}

    def originate(self, ordered: Ordered) -> Mapping[str, Any]:
        """Dial at most once, however often the command is delivered.

        The claim is committed before the switch is told: a crash in between costs one attempt,
        which is told as such, but rings nobody twice (ADR 0002).
        """
        command = ordered.command
        assert isinstance(command, OriginateCall)  # noqa: S101  (the table says so)
        check_trunk(command, self.dialling)
        data = command.model_dump(mode="json", exclude_none=True)
        link = self._pick()
        with reaching():
            if link is None:
                if store.find(self.engine, ordered.id) is not None:
                    return self._repeat(ordered.id, data)
                raise DependencyAway("no switch can be reached")
            if ordered.is_late(time.time()):
                raise Refused("expired", "nobody waits for it any more")
            claim = store.claim(
                self.engine,
                ordered.id,
                name=command.NAME,
                data=data,
                switch=link.name,
                domain=self.dialling.domain.lower(),
            )
            if claim is None:
                return self._repeat(ordered.id, data)
        arguments = click_to_call(
            ordered.id, command, self.dialling, user_caller_id=claim.caller_id
        )
        return self._dial(link, ordered.id, arguments)

    def _dial(self, link: Link, call_id: UUID, arguments: str) -> Mapping[str, Any]:
        try:
            reply = link.originate(arguments, job_id=call_id, timeout=_SWITCH_SECONDS)
        except SwitchAway as error:
            # Certainly not sent: the command is as good as new.
            with reaching():
                store.release(self.engine, call_id)
            raise DependencyAway(str(error)) from error
        except SwitchSilent as error:
            # It may ring already: neither yes nor no. The call's events will tell.
            raise Refused("no_answer", str(error)) from error
        log.info("originate", switch=link.name, reply=reply)
        self._keeper.keep(call_id, reply)
        return _verdict(call_id, reply)

    def _repeat(self, call_id: UUID, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a repeated command as it was answered the first time."""
        found = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda row: row is None or row.answer is None),
            wait=tenacity.wait_fixed(0.05),
            stop=tenacity.stop_after_delay(self.patience_seconds),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )(store.find, self.engine, call_id)
        if found is not None and found.data != data:
            raise Refused("idempotency_conflict", f"{call_id} was another command before")
        if found is None or found.answer is None:
            raise Refused("no_answer", "this command was begun before; its answer is not known")
        return _verdict(call_id, found.answer)

    def _pick(self) -> Link | None:
        """Return the next switch in turn that has a link."""
        up = [link for link in self.links if link.up]
        return up[next(iter(self._turn)) % len(up)] if up else None


def _verdict(call_id: UUID, reply: str) -> Mapping[str, Any]:
    if not reply.startswith("+OK"):
        raise Refused("switch_refused", reply)
    return {"call_id": str(call_id), "reply": reply}
