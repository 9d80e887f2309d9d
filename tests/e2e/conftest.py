"""The product, up once for all tests."""

import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import partial

import pytest

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.settings import BINDS
from deploy.local.stack import Stack
from tests.e2e.calls import CALLS, NOT_A_USER, NOT_REGISTERED, Scenario
from tests.e2e.crm import Crm
from tests.e2e.real import REAL, RealSide, real_side
from tests.switch.freeswitch import FreeSwitch
from tests.waiting import until

_QUICK = {
    "VOICE_AGENT_RING_SECONDS": "2",
    "VOICE_CUSTOMER_RING_SECONDS": "2",
    "SIMULATOR_RING_MS": "50",
    "SIMULATOR_ANSWER_MS": "50",
}


@pytest.fixture(scope="session")
def real(tmp_path_factory) -> Iterator[RealSide | None]:
    """Give the real switch and its phones, if there is one."""
    with real_side(tmp_path_factory.mktemp("real")) if REAL else nullcontext() as side:
        yield side


@pytest.fixture(scope="session")
def stack(tmp_path_factory, real: RealSide | None) -> Iterator[Stack]:
    """Give the whole product on servers of its own."""
    # Not on the usual ports: another stack that starts meanwhile may take them, and be tested.
    binds = {name: f"{LOOPBACK}:{free_port()}" for name in BINDS.values()}
    settings = {**_QUICK, **binds, **os.environ, **(real.settings if real else {})}
    stack = Stack(tmp_path_factory.mktemp("stack"), settings)
    try:
        stack.up()
        yield stack
    finally:
        stack.forget()


@pytest.fixture(scope="session")
def scenarios(stack: Stack, real: RealSide | None) -> Iterator[Mapping[str, Scenario]]:
    """Give whom to call for which outcome; their users exist, and their phones are there."""
    crm = Crm(stack.settings)
    password = {"password": real.password} if real else {}
    extensions = {call.extension for call in CALLS.values()} - {NOT_A_USER}
    for extension in extensions:
        status, answer = crm.http("POST", "/v1/users", {"extension": extension, **password})
        assert status == 201, answer
    if real:
        present, domain = extensions - {NOT_REGISTERED}, stack.settings["VOICE_DOMAIN"]
        for extension in present:
            real.agents.register(extension, real.password, domain, real.registrar)
        for extension in present:
            until(partial(_registered, crm, extension), seconds=60)
    crm.close()
    with real.agents if real else nullcontext():
        yield CALLS


def _registered(crm: Crm, extension: str) -> bool:
    subject = f"{extension}@{crm.settings['VOICE_DOMAIN']}"
    return any(event["type"] == "user.registered" for event in crm.heard(subject))


@pytest.fixture
def crm(stack: Stack, scenarios: Mapping[str, Scenario]) -> Iterator[Crm]:  # noqa: ARG001
    """Give a CRM that subscribed before it does anything."""
    crm = Crm(stack.settings)
    yield crm
    crm.close()


class Simulator:
    """The simulated switch of a stack, to be stopped and started."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def start(self) -> None:
        self._stack.processes.start(["simulator"])

    def stop(self) -> None:
        self._stack.processes.stop(["simulator"])


@pytest.fixture
def the_switch(stack: Stack, real: RealSide | None) -> Simulator | FreeSwitch:
    """Give the switch, to be stopped and started; skip where it is not the tests' own."""
    if real is None:
        return Simulator(stack)
    if real.switch is None:
        pytest.skip("stops the switch, and that of VOICE_SWITCHES is not ours")
    return real.switch


@pytest.fixture
def real_phones(real: RealSide | None, scenarios: Mapping[str, Scenario]) -> RealSide:  # noqa: ARG001
    """Skip on the simulated switch: the test looks at what real phones say and hear."""
    if real is None:
        pytest.skip("needs a real switch: VOICE_FREESWITCH_BIN or VOICE_SWITCHES names none")
    return real
