"""A CRM with a kept-alive HTTP connection."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from uuid import uuid4

from Crypto.Cipher import AES
from Crypto.Util.Padding import pad

from bench.waiting import BenchError

_SECONDS = 15
_ACCEPTED = "+OK Job-UUID: "


@dataclass(frozen=True, slots=True)
class Answer:
    """What the product answered to a click."""

    status: int
    text: str

    @property
    def call_id(self) -> str | None:
        """The call's id, None where the call was not accepted."""
        if self.status == HTTPStatus.ACCEPTED:
            return str(json.loads(self.text)["call_id"])
        said = json.loads(self.text).get("data") if self.status == HTTPStatus.OK else None
        is_id = isinstance(said, str) and said.startswith(_ACCEPTED)
        return said.removeprefix(_ACCEPTED).strip() if said and is_id else None


class Crm:
    """One connection to the gateway; for one thread."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._token = settings["VOICE_TOKEN"]
        host, _, port = settings["VOICE_GATEWAY_BIND"].rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=_SECONDS)
        self._numbers: dict[str, str] = {}

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def create_user(self, extension: str, password: str | None = None) -> None:
        """Make sure that the extension exists."""
        own = {} if password is None else {"password": password}
        answer = self._post("/v1/users", {"extension": extension, **own})
        if answer.status not in {HTTPStatus.CREATED, HTTPStatus.CONFLICT}:
            raise BenchError(f"POST /v1/users answered {answer.status}: {answer.text}")

    def click(self, extension: str, number: str) -> Answer:
        """Have an agent and a customer connected, as the CRM contract says."""
        data = {
            "crm_uuid": uuid4().hex,
            "extensin_number": extension,
            "customer_number": self._encrypted(number),
            "product_code": "C68",
        }
        return self._post("/web/click-on-call/", {"token": self._token, "data": data})

    def order(self, extension: str, number: str) -> Answer:
        """Have the same, and not wait for the switch."""
        data = {
            "extension": extension,
            "customer_number": number,
            "crm_uuid": uuid4().hex,
            "product_code": "C68",
        }
        return self._post("/v1/calls", data)

    def _post(self, path: str, body: object) -> Answer:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        self._connection.request("POST", path, json.dumps(body), headers)
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.read().decode())

    def _encrypted(self, number: str) -> str:
        if number not in self._numbers:
            key, iv = (bytes.fromhex(self._settings[f"VOICE_AES_{name}"]) for name in ("KEY", "IV"))
            cipher = AES.new(key, AES.MODE_CBC, iv)
            self._numbers[number] = cipher.encrypt(pad(number.encode(), AES.block_size)).hex()
        return self._numbers[number]
