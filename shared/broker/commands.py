"""Command in, reply out, ack last: how a service carries out what its queue holds."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import structlog

from shared.broker.connection import Broker
from shared.broker.dead_letters import bury
from shared.broker.message import Delivery, Message
from shared.dependency import DependencyAway
from shared.messages import replies
from shared.messages.commands import Command, NotACommand, Ordered, Owner, parse
from shared.messages.replies import Refused

DEADLINE = "x-deadline-ms"

_PATIENCE_SECONDS = 0.5
_STOP_SECONDS = 5.0
_TRIES = 3

Handler = Callable[[Ordered], Mapping[str, Any]]

log = structlog.get_logger(__name__)


def deadline_of(delivery: Delivery) -> float | None:
    """Return when nobody waits for a message any more, in seconds since 1970."""
    milliseconds = delivery.headers.get(DEADLINE)
    return milliseconds / 1000 if isinstance(milliseconds, int) else None


class CommandConsumer:
    """Carries out the commands of one owner, each by the handler of its type.

    A command is acked when its reply is on its way. One that is none, or whose handler fails
    three times, goes to the dead letters with the reason. While a dependency is away, who waits
    for a reply gets an error at once; who does not is served when it is back.
    """

    def __init__(
        self,
        broker: Broker,
        owner: Owner,
        handlers: Mapping[type[Command], Callable[[Any], Mapping[str, Any]]],
        *,
        workers: int = 16,
        prefetch: int = 200,
    ) -> None:
        self._broker = broker
        self._owner = owner
        self._handlers = handlers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=f"{owner}-command")
        self._stopping = threading.Event()
        broker.consume(f"{owner}.commands", self._accept, prefetch=prefetch)

    def stop(self) -> None:
        """Finish what is being carried out, within reason; leave the rest in the queue."""
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + _STOP_SECONDS
        for thread in self._pool._threads:
            thread.join(max(0, until - time.monotonic()))

    def _accept(self, delivery: Delivery) -> None:
        if not self._stopping.is_set():
            self._pool.submit(self._carry_out, delivery)

    def _carry_out(self, delivery: Delivery) -> None:
        with structlog.contextvars.bound_contextvars(
            command=delivery.routing_key, call_id=delivery.message_id
        ):
            try:
                self._answer(delivery, self._result(delivery))
            except _NotOurs:
                delivery.ack()
            except NotACommand as error:
                self._bury(delivery, Refused("invalid", error.reason))
            except Refused as refusal:
                log.warning("command refused", code=refusal.code, reason=refusal.message)
                self._answer(delivery, replies.refused(refusal))
            except DependencyAway as error:
                self._postpone(delivery, Refused("unavailable", str(error)))
            except Exception as error:
                log.exception("command failed", returns=delivery.returns)
                if delivery.returns + 1 < _TRIES:
                    delivery.reject()
                else:
                    told = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                    self._bury(delivery, Refused("failed", told))

    def _result(self, delivery: Delivery) -> bytes:
        ordered = parse(
            name=delivery.type,
            routing_key=delivery.routing_key,
            message_id=delivery.message_id,
            body=delivery.body,
            owner=self._owner,
        )
        if ordered is None:
            raise _NotOurs
        ordered = replace(ordered, deadline=deadline_of(delivery))
        if ordered.is_late(time.time()):
            raise Refused("expired", "nobody waits for it any more")
        return replies.accepted(self._handlers[type(ordered.command)](ordered))

    def _answer(self, delivery: Delivery, body: bytes) -> None:
        if delivery.reply_to:
            self._broker.publish(
                Message(
                    exchange="",
                    routing_key=delivery.reply_to,
                    body=body,
                    type="reply",
                    correlation_id=delivery.correlation_id,
                    mandatory=False,
                )
            )
        delivery.ack()

    def _postpone(self, delivery: Delivery, refusal: Refused) -> None:
        if delivery.reply_to:
            self._answer(delivery, replies.refused(refusal))
            return
        # Kept and not returned: returning counts as a failure of the message's own.
        log.info("command waits", reason=refusal.message)
        timer = threading.Timer(_PATIENCE_SECONDS, self._accept, [delivery])
        timer.daemon = True
        timer.start()

    def _bury(self, delivery: Delivery, refusal: Refused) -> None:
        bury(
            self._broker,
            delivery,
            refusal.message,
            then=lambda: self._answer(delivery, replies.refused(refusal)),
        )


class _NotOurs(Exception):
    """Another service carries this command out."""
