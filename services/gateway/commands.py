"""The gateway's way to the services that do something."""

import time
from typing import Any
from uuid import UUID, uuid4

from shared.broker import topology
from shared.broker.commands import DEADLINE
from shared.broker.connection import Broker
from shared.broker.message import BrokerAway, Message, PossiblySent
from shared.messages import replies
from shared.messages.commands import Command, Owner

_REPLY_TO = "amq.rabbitmq.reply-to"
_CONFIRM_SECONDS = 4.0
_ANSWER_SECONDS = 4.7
_EXPIRY_MS = 4000  # whoever would take it later would work for a client that has gone


class NoAnswer(Exception):
    """Nobody answered in time; the command may still be carried out."""


class CommandBus:
    """Sends commands, with or without waiting for what becomes of them."""

    def __init__(self, broker: Broker, *, answer_seconds: float = _ANSWER_SECONDS) -> None:
        self._broker = broker
        self._answer_seconds = answer_seconds

    def send(self, command: Command, command_id: UUID) -> None:
        """Return when the command is safe with the broker.

        Raise `BrokerAway` where it certainly is not, `NoAnswer` where it may be.
        """
        if not self._broker.connected:
            raise BrokerAway("no connection to the broker")
        confirmed = self._broker.publish(_message(command, command_id))
        try:
            confirmed.result(_CONFIRM_SECONDS)
        except TimeoutError:
            confirmed.cancel()
            raise NoAnswer(
                "the broker did not confirm in time; it may be done all the same: "
                "repeat it with the same Idempotency-Key only"
            ) from None

    def ask(
        self, command: Command, command_id: UUID, *, seconds: float | None = None
    ) -> dict[str, Any]:
        """Return what the service that carries the command out answers, within `seconds`.

        Raise `Refused` where it says no, `BrokerAway` where it was not asked, and `NoAnswer` where
        it may have been and says nothing. Once `_EXPIRY_MS` are over it is not begun any more.
        """
        patience = self._answer_seconds if seconds is None else seconds
        correlation_id = str(uuid4())
        reply = self._broker.request(
            _message(
                command,
                command_id,
                correlation_id=correlation_id,
                reply_to=_REPLY_TO,
                # A broker buries what expired as it was: what may hold a password is left to its
                # consumer, who reads the deadline.
                expires_ms=None if command.OWNER is Owner.DIRECTORY else _EXPIRY_MS,
                headers={DEADLINE: time.time_ns() // 1_000_000 + _EXPIRY_MS},
            )
        )
        try:
            return replies.read(reply.result(patience))
        except TimeoutError:
            raise NoAnswer(f"no answer to {command.NAME} in {patience} s") from None
        except PossiblySent as error:
            raise NoAnswer(f"no answer to {command.NAME}: {error}") from error
        finally:
            self._broker.forget(correlation_id)


def _message(command: Command, command_id: UUID, **given: Any) -> Message:
    return Message(
        exchange=topology.COMMANDS,
        routing_key=command.NAME,
        body=command.encode(),
        type=command.NAME,
        message_id=str(command_id),
        **given,
    )
