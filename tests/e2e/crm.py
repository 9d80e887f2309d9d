"""A CRM: it posts and publishes, subscribes and asks, and knows nothing of our inside."""

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pika
from Crypto.Cipher import AES
from Crypto.Util.Padding import pad
from pika.exceptions import AMQPError

from tests.contract import assert_told
from tests.shared.broker.amqp import drain
from tests.waiting import until

Answer = tuple[int, Any]


class Crm:
    """One CRM with its own queue on `voice.events`."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.settings = settings
        self.token = settings["VOICE_TOKEN"]
        self._base = f"http://{settings['VOICE_GATEWAY_BIND']}"
        self._queue = f"crm-{uuid4().hex}"
        self.events: list[dict[str, Any]] = []
        self._channel = self._connect()
        self._channel.queue_declare(self._queue, durable=True, arguments={"x-queue-type": "quorum"})
        self._channel.queue_bind(self._queue, "voice.events", "#")

    def close(self) -> None:
        """Unsubscribe."""
        self.channel.queue_delete(self._queue)
        self._channel.connection.close()

    @property
    def channel(self) -> Any:
        """A channel that works, also after RabbitMQ was restarted."""
        if not self._channel.is_open:
            self._channel = self._connect()
        return self._channel

    def http(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return status and body of an answer."""
        request = urllib.request.Request(  # noqa: S310  (our own gateway)
            self._base + path,
            method=method,
            data=body if isinstance(body, bytes | None) else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def click(self, extension: str, number: str, **headers: str) -> Answer:
        """Post a click-to-call as the CRM contract says."""
        data = {
            "crm_uuid": uuid4().hex,
            "extensin_number": extension,
            "customer_number": self.encrypt(number),
            "product_code": "C68",
        }
        return self.http(
            "POST", "/web/click-on-call/", {"token": self.token, "data": data}, headers
        )

    def encrypt(self, number: str) -> str:
        """Return a number as the contract wants it."""
        key, iv = (bytes.fromhex(self.settings[f"VOICE_AES_{name}"]) for name in ("KEY", "IV"))
        return AES.new(key, AES.MODE_CBC, iv).encrypt(pad(number.encode(), 16)).hex()

    def publish(self, name: str, body: Mapping[str, Any], **given: Any) -> str:
        """Publish a command straight to RabbitMQ; return its id."""
        message_id = str(given.pop("message_id", uuid4()))
        self.channel.basic_publish(
            "voice.commands",
            name,
            json.dumps(body).encode(),
            pika.BasicProperties(
                type=name,
                message_id=message_id,
                content_type="application/json",
                delivery_mode=2,
                **given,
            ),
        )
        return message_id

    def life_of(self, call_id: str, *, seconds: float = 30) -> list[dict[str, Any]]:
        """Return the events of a call, once it has ended."""

        def ended() -> bool:
            return any(e["type"] == "call.ended" for e in self.heard(call_id))

        until(ended, seconds=seconds)
        return self.heard(call_id)

    def heard(self, call_id: str) -> list[dict[str, Any]]:
        """Return the events of a call so far."""
        # While RabbitMQ is being restarted nothing is heard; what it holds is told later.
        with contextlib.suppress(AMQPError):
            for body in drain(self.channel, self._queue):
                assert_told(body)
                self.events.append(json.loads(body))
        return [event for event in self.events if event.get("subject") == call_id]

    def cdrs_of(self, call_id: str, count: int) -> list[dict[str, Any]]:
        """Return the CDRs of a call, once there are as many."""
        found = until(lambda: len(self._cdrs(call_id)) >= count and self._cdrs(call_id))
        assert found
        return found

    def _cdrs(self, call_id: str) -> list[dict[str, Any]]:
        status, body = self.http("GET", f"/v1/cdrs?call_id={call_id}")
        return body["cdrs"] if status == 200 else []

    def _connect(self) -> Any:
        url = pika.URLParameters(self.settings["VOICE_AMQP_URL"])
        return pika.BlockingConnection(url).channel()
