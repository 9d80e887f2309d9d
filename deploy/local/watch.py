"""Watch the business events of one call, as any subscriber can."""

import json
import time
from collections.abc import Iterator
from typing import Any, Self

import pika

from deploy.local.daemon import LocalError

_EXCHANGE = "voice.events"
_BINDINGS = ("call.#", "leg.#")
_TOLD = (
    *("direction", "from", "to", "extension", "leg", "role", "address"),
    *("outcome", "hangup_cause", "hung_up_by", "ring_ms", "talk_ms", "total_ms"),
)

Event = dict[str, Any]


class Watch:
    """A queue of our own on voice.events, gone when we are."""

    def __init__(self, amqp_url: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
        self._channel = self._connection.channel()
        declared = self._channel.queue_declare("", exclusive=True)
        self._queue = declared.method.queue
        for key in _BINDINGS:
            self._channel.queue_bind(self._queue, _EXCHANGE, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def events(self, call_id: str, *, seconds: float) -> Iterator[Event]:
        """Give the call's events as they come, the last one being call.ended."""
        deadline = time.monotonic() + seconds
        for method, _, body in self._channel.consume(
            self._queue, auto_ack=True, inactivity_timeout=1
        ):
            if method is not None and body is not None:
                event = json.loads(body)
                if event.get("subject") == call_id:
                    yield event
                    if event["type"] == "call.ended":
                        return
            if time.monotonic() > deadline:
                raise LocalError(f"no call.ended of the call {call_id} within {seconds:g} s")


def show(event: Event) -> str:
    """Return the event as one line: when, which, and what it is about."""
    data = event.get("data", {})
    told = "  ".join(f"{name}={data[name]}" for name in _TOLD if data.get(name) is not None)
    clock = event["time"].partition("T")[2][:12]
    return f"  {clock:<12}  {event['sequence']:>3}  {event['type']:<17} {told}".rstrip()
