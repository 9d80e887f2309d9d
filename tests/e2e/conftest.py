"""The product, up once for all tests."""

import os
from collections.abc import Iterator
from functools import partial

import pytest

from deploy.local.stack import Stack
from tests.e2e.calls import CALLS, NOT_A_USER, Scenario, of_a_real_switch
from tests.e2e.crm import Crm
from tests.waiting import until

REAL = "VOICE_SWITCHES" in os.environ
_QUICK = {
    "VOICE_AGENT_RING_SECONDS": "2",
    "VOICE_CUSTOMER_RING_SECONDS": "2",
    "SIMULATOR_RING_MS": "50",
    "SIMULATOR_ANSWER_MS": "50",
}


@pytest.fixture(scope="session")
def stack(tmp_path_factory) -> Iterator[Stack]:
    """Give the whole product on servers of its own."""
    stack = Stack(tmp_path_factory.mktemp("stack"), {**_QUICK, **os.environ})
    try:
        stack.up()
        yield stack
    finally:
        stack.forget()


@pytest.fixture(scope="session")
def scenarios(stack: Stack) -> dict[str, Scenario]:
    """Give whom to call for which outcome, on this switch; their users exist."""
    calls = of_a_real_switch(os.environ.get("VOICE_TEST_CALLS", "")) if REAL else dict(CALLS)
    crm = Crm(stack.settings)
    password = {"password": os.environ["VOICE_TEST_PASSWORD"]} if REAL else {}
    for extension in {call.extension for call in calls.values()} - {NOT_A_USER}:
        status, answer = crm.http("POST", "/v1/users", {"extension": extension, **password})
        assert status == 201, answer
    if REAL:
        # The phones try until the directory lets them in.
        present = {
            call.extension
            for name, call in calls.items()
            if name not in {"agent_not_registered", "agent_unknown"}
        }
        for extension in present:
            until(partial(_registered, crm, extension), seconds=60)
    crm.close()
    return calls


def _registered(crm: Crm, extension: str) -> bool:
    subject = f"{extension}@{crm.settings['VOICE_DOMAIN']}"
    return any(event["type"] == "user.registered" for event in crm.heard(subject))


@pytest.fixture
def crm(stack: Stack, scenarios: dict[str, Scenario]) -> Iterator[Crm]:  # noqa: ARG001
    """Give a CRM that subscribed before it does anything."""
    crm = Crm(stack.settings)
    yield crm
    crm.close()


@pytest.fixture
def simulated() -> None:
    """Skip on a real switch: the test does to the switch what only the simulated one allows."""
    if REAL:
        pytest.skip("needs the simulated switch; VOICE_SWITCHES names a real one")
