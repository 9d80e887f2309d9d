"""The same job with greenswitch and pika as their READMEs show them: a handler, a confirm each.

Runs in a venv of its own (`.local/bench-venv`) and imports nothing of the product. It tells what
the product tells of these calls, message by message, and forgoes what the product does besides:
stamps that stand in for events never seen, repeated and late events, outcomes, stable ids.
"""

import os
import uuid
from typing import Any

import gevent
import greenswitch
import orjson
import pika

EXCHANGE = "voice.events"


class Teller:
    """Publishes what happens to calls."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._legs: dict[str, set[str]] = {}
        self._users: set[str] = set()

    def register(self, switch: greenswitch.InboundESL) -> None:
        """Have the switch's events handled."""
        switch.register_handle("CHANNEL_CREATE", self.created)
        switch.register_handle("CHANNEL_PROGRESS", self.ringing)
        switch.register_handle("CHANNEL_PROGRESS_MEDIA", self.ringing)
        switch.register_handle("CHANNEL_ANSWER", self.answered)
        switch.register_handle("CHANNEL_BRIDGE", self.bridged)
        switch.register_handle("CHANNEL_HANGUP_COMPLETE", self.ended)
        switch.register_handle("sofia::register", self.registered)

    def created(self, event: Any) -> None:
        """Tell of a leg, and of its call where it is the first."""
        call_id = event.headers["variable_call_id"]
        if call_id not in self._legs:
            self._legs[call_id] = set()
            self.publish("call.created", event)
        self._legs[call_id].add(event.headers["Unique-ID"])
        self.publish("leg.created", event)

    def ringing(self, event: Any) -> None:
        """Tell that a phone rings."""
        self.publish("leg.ringing", event)

    def answered(self, event: Any) -> None:
        """Tell that somebody took the call."""
        self.publish("leg.answered", event)

    def bridged(self, event: Any) -> None:
        """Tell that two hear each other."""
        self.publish("call.established", event)

    def ended(self, event: Any) -> None:
        """Tell that a leg is over, and its call with the last one."""
        call_id = event.headers["variable_call_id"]
        self._legs[call_id].discard(event.headers["Unique-ID"])
        cause = event.headers.get("Hangup-Cause")
        self.publish("leg.ended", event, hangup_cause=cause)
        if not self._legs[call_id]:
            del self._legs[call_id]
            self.publish("call.ended", event, hangup_cause=cause)

    def registered(self, event: Any) -> None:
        """Tell that a phone is there which was not."""
        user = event.headers.get("from-user", "")
        if user not in self._users:
            self._users.add(user)
            self.publish("user.registered", event)

    def publish(self, kind: str, event: Any, **more: Any) -> None:
        """Publish, and return when the broker has it."""
        headers = event.headers
        body = {
            "type": kind,
            "time": headers.get("Event-Date-Timestamp"),
            "call_id": headers.get("variable_call_id"),
            "crm_uuid": headers.get("variable_crm_uuid"),
            "product_code": headers.get("variable_product_code"),
            "leg_id": headers.get("Unique-ID"),
            "address": headers.get("Caller-Destination-Number"),
            **more,
        }
        self._channel.basic_publish(
            EXCHANGE,
            kind,
            orjson.dumps(body),
            pika.BasicProperties(
                type=kind,
                message_id=str(uuid.uuid4()),
                content_type="application/json",
                delivery_mode=2,
            ),
            mandatory=True,
        )


def main() -> None:
    """Listen until terminated."""
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["VOICE_AMQP_URL"]))
    channel = connection.channel()
    channel.confirm_delivery()
    host, port = os.environ["BENCH_SWITCH"].split(":")
    switch = greenswitch.InboundESL(
        host=host, port=int(port), password=os.environ["BENCH_PASSWORD"]
    )
    switch.connect()
    Teller(channel).register(switch)
    switch.send(f"event plain {os.environ['BENCH_NAMES']}")
    while switch.connected:
        gevent.sleep(1)


if __name__ == "__main__":
    main()
