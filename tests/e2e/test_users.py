"""A user's life: made, registered, called, disabled, deleted, on either switch."""

import secrets
from contextlib import nullcontext
from functools import partial

import pytest

from shared.switch.address import parse_switches
from tests.e2e.real import RealSide
from tests.simulator.esl_client import EslClient
from tests.switch.phones import Phones
from tests.waiting import until

CUSTOMER = "13800138901"
FORBIDDEN, OK = 403, 200


class Desk:
    """Where the phone stands that registers and is called: a real one, or a simulated one."""

    def __init__(self, settings, real: RealSide | None, directory):
        self._settings = settings
        self._real = real
        self._phone = Phones(directory) if real else None

    def answering(self):
        """Have somebody sit at it. Its phone registers while nobody does, from the same port."""
        return self._phone or nullcontext()

    def register(self, extension, password):
        """Return what the switch says to the phone."""
        domain = self._settings["VOICE_DOMAIN"]
        if self._phone is not None and self._real is not None:
            registrar = self._real.registrar
            return self._phone.try_to_register(extension, password, domain, registrar)
        (switch,) = parse_switches(self._settings["VOICE_SWITCHES"])
        with EslClient(switch.port, switch.password, switch.host) as link:
            said = link.api(f"simulator register {extension}")
        return OK if said.startswith("+OK") else FORBIDDEN


@pytest.fixture
def desk(stack, real, tmp_path) -> Desk:
    """Give a desk."""
    return Desk(stack.settings, real, tmp_path)


def outcome(crm, extension):
    """Return what becomes of a call."""
    status, answer = crm.click(extension, CUSTOMER)
    assert status == 200, answer
    call_id = answer["data"].removeprefix("+OK Job-UUID: ").strip()
    return crm.life_of(call_id, seconds=90)[-1]["data"]["outcome"]


def is_registered(crm, extension):
    """Return what the API says of the user's phone."""
    return crm.http("GET", f"/v1/users/{extension}")[1]["registered"]


def test_a_user_lives_as_the_api_says(crm, desk, real):
    """Each change holds from its answer on, for the phone that is registered as well."""
    # The last three digits make the phone answer.
    extension = f"{secrets.randbelow(90_000) + 10_000}001"
    place = f"/v1/users/{extension}"
    said = {"extension": extension, "display_name": "Ann Müller & Söhne", "group": "sales"}
    status, made = crm.http("POST", "/v1/users", said)
    assert status == 201
    assert not is_registered(crm, extension)

    if real is not None:
        assert desk.register(extension, f"not-{made['password']}") == FORBIDDEN
    assert desk.register(extension, made["password"]) == OK
    until(partial(is_registered, crm, extension), seconds=20)
    with desk.answering():
        assert outcome(crm, extension) == "answered"

    status, rotated = crm.http("POST", f"{place}/password")
    assert status == 201
    if real is not None:
        assert desk.register(extension, made["password"]) == FORBIDDEN
    assert desk.register(extension, rotated["password"]) == OK

    assert crm.http("PATCH", place, {"enabled": False})[0] == 200
    until(lambda: not is_registered(crm, extension), seconds=20)
    assert desk.register(extension, rotated["password"]) == FORBIDDEN
    assert outcome(crm, extension) == "unreachable"

    assert crm.http("PATCH", place, {"enabled": True})[0] == 200
    assert desk.register(extension, rotated["password"]) == OK
    until(partial(is_registered, crm, extension), seconds=20)
    with desk.answering():
        assert outcome(crm, extension) == "answered"

    assert crm.http("DELETE", place)[0] == 204
    until(partial(_was_unregistered, crm, extension, 2), seconds=20)
    assert desk.register(extension, rotated["password"]) == FORBIDDEN
    assert outcome(crm, extension) == "unreachable"


def _was_unregistered(crm, extension, times):
    subject = f"{extension}@{crm.settings['VOICE_DOMAIN']}"
    told = [event["type"] for event in crm.heard(subject)]
    return told.count("user.unregistered") == times
