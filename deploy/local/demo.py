"""One click-to-call from end to end, told as it happens."""

import json
import os
import secrets
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from Crypto.Cipher import AES
from Crypto.Util.Padding import pad
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from deploy.local.daemon import LocalError
from deploy.local.settings import Settings, address
from deploy.local.stack import Stack
from deploy.local.watch import Watch, show

_CDR_SECONDS = 20
_CALL_SECONDS = 120
_CDR_TOLD = ("role", "number", "ring_ms", "talk_ms", "hangup_cause", "crm_uuid", "product_code")


def demo(stack: Stack) -> int:
    """Make a call, show it, and leave the machine as it was found."""
    before = stack.running()
    began = time.monotonic()
    try:
        stack.up()
        story = Demo(stack.settings, os.environ).run()
    finally:
        stopped = stack.down(but=before)
    took = time.monotonic() - began
    print(f"\nWhat happened, in {took:.0f} s:\n{story}")
    if stopped:
        print("All that was started for this is stopped again; `make up` keeps it running.")
    else:
        print("The stack was up before and is left so.")
    print(f"Logs: {stack.directory / 'log'}. Settings and secrets: {stack.processes.env_file}.")
    return 0


@dataclass(frozen=True, slots=True)
class Demo:
    """A CRM's part in the play."""

    settings: Settings
    environment: Mapping[str, str]

    @property
    def extension(self) -> str:
        """The agent's extension."""
        return self.environment.get("VOICE_DEMO_EXTENSION") or "1001"

    @property
    def number(self) -> str:
        """The customer's number; a simulated customer with this one hangs up after a second."""
        return self.environment.get("VOICE_DEMO_NUMBER") or "13800138901"

    def run(self) -> str:
        """Play it all, and return the story; raise LocalError where it went otherwise."""
        self._create_user()
        with Watch(self.settings["VOICE_AMQP_URL"]) as watch:
            call_id = self._click()
            print("\nThe call, as a subscriber of voice.events receives it:")
            events = []
            for event in watch.events(call_id, seconds=_CALL_SECONDS):
                events.append(event)
                print(show(event), flush=True)
        outcome = _check(events)
        cdrs = self._cdrs(call_id)
        print("\nIts two CDRs, as GET /v1/cdrs?call_id=… returns them:")
        for cdr in sorted(cdrs, key=lambda cdr: str(cdr["started_at"])):
            print(f"  {_line({name: cdr[name] for name in _CDR_TOLD})}")
        print(f"\nThe call itself, as GET /v1/calls/{call_id} returns it:")
        print(f"  {_line(self._get(f'/v1/calls/{call_id}'))}")
        return (
            f"  A CRM asked by HTTP to connect extension {self.extension} with {self.number}.\n"
            f"  The switch rang the agent (leg a), then the customer (leg b), and the call was\n"
            f"  {outcome['outcome']}: they talked {outcome.get('talk_ms', 0) / 1000:.1f} s. "
            f"{len(events)} events told it in order and without a gap,\n"
            f"  and {len(cdrs)} CDRs, one per leg, are in the database."
        )

    def _create_user(self) -> None:
        status, body = self._http("POST", "/v1/users", {"extension": self.extension})
        told = {201: "created", 202: "created", 200: "created", 409: "there already"}.get(status)
        if told is None:
            raise LocalError(f"POST /v1/users answered {status}: {body!r}")
        print(f"\nUser {self.extension}: {told} (POST /v1/users, {status}).")
        if status == HTTPStatus.CONFLICT:
            self._give_password()

    def _give_password(self) -> None:
        """Let a user be called whom an early version kept: its hash was no password."""
        path = f"/v1/users/{self.extension}"
        if self._get(path)["has_password"]:
            return
        status, body = self._http("PATCH", path, {"password": secrets.token_urlsafe(12)})
        if status != HTTPStatus.OK:
            raise LocalError(f"PATCH {path} answered {status}: {body!r}")
        print(f"It had no password and could not be called; it has one now (PATCH {path}).")

    def _click(self) -> str:
        """Make the click-to-call by curl, as the CRM would; return the call's id."""
        url = f"{address(self.settings, 'gateway')}/web/click-on-call/"
        body = {
            "token": self.settings["VOICE_TOKEN"],
            "data": {
                "crm_uuid": uuid.uuid4().hex,
                "extensin_number": self.extension,
                "customer_number": self._encrypted(),
                "product_code": "C68",
            },
        }
        shown = json.dumps(body | {"token": "********"}, indent=2)
        print(f"\n$ curl -X POST {url} \\\n    -H 'Content-Type: application/json' -d '{shown}'")
        # The token goes in by stdin: everybody on this machine can read a command line.
        curl = ["curl", "-sS", "-X", "POST", url, "-H", "Content-Type: application/json"]
        done = subprocess.run(
            [*curl, "--max-time", "30", "--data-binary", "@-"],
            input=json.dumps(body),
            capture_output=True,
            text=True,
            check=False,
        )
        print(done.stdout.strip() or done.stderr.strip())
        try:
            answer = json.loads(done.stdout)["data"]
            return str(uuid.UUID(answer.removeprefix("+OK Job-UUID: ")))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise LocalError("the call was not accepted: see the answer above") from None

    def _encrypted(self) -> str:
        key, iv = (bytes.fromhex(self.settings[f"VOICE_AES_{name}"]) for name in ("KEY", "IV"))
        padded = pad(self.number.encode(), AES.block_size)
        return AES.new(key, AES.MODE_CBC, iv).encrypt(padded).hex()

    def _cdrs(self, call_id: str) -> list[Any]:
        """Wait for the record of each leg: they come some moments after the call."""
        waiting = Retrying(
            stop=stop_after_delay(_CDR_SECONDS),
            wait=wait_fixed(0.2),
            retry=retry_if_result(lambda rows: len(rows) < len("ab")),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )
        rows: list[Any] = waiting(lambda: self._get(f"/v1/cdrs?call_id={call_id}")["cdrs"])
        if len(rows) != len("ab"):
            raise LocalError(f"{len(rows)} CDRs after {_CDR_SECONDS} s instead of 2: {rows}")
        return rows

    def _get(self, path: str) -> Any:
        status, body = self._http("GET", path)
        if status != HTTPStatus.OK:
            raise LocalError(f"GET {path} answered {status}: {body!r}")
        return body

    def _http(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.settings['VOICE_TOKEN']}"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - our own gateway
            address(self.settings, "gateway") + path, data, headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")
        except OSError as error:
            raise LocalError(f"{method} {path}: {error}") from error


def _line(row: dict[str, Any]) -> str:
    """Return what the row says in one line; lists have a place of their own."""
    known = {name: value for name, value in row.items() if isinstance(value, str | int | float)}
    return "  ".join(f"{name}={value}" for name, value in known.items())


def _check(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the end of the call if it is the one promised."""
    sequence = [int(event["sequence"]) for event in events]
    if sequence != list(range(1, len(events) + 1)):
        raise LocalError(f"the events have gaps or are out of order: {sequence}")
    ended: dict[str, Any] = events[-1]["data"]
    if ended["outcome"] != "answered":
        raise LocalError(f"the call ended {ended['outcome']!r} instead of 'answered'")
    return ended
