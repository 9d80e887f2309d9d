"""The gateway's app, for all tests that need no other one."""

import pytest

from shared.database.engine import open_engine
from tests.services.gateway.building import FakeBus, application


@pytest.fixture(scope="module")
def given(postgres):
    """Give one app for all tests, on the real database, and its bus."""
    bus, engine = FakeBus(), open_engine(postgres.url)
    yield application(bus, engine=engine), bus
    engine.dispose()


@pytest.fixture
def bus(given):
    """Give a bus that takes every command."""
    given[1].forget_all()
    return given[1]


@pytest.fixture
def app(given, bus):  # noqa: ARG001
    """Give the app whose bus is `bus`."""
    return given[0]
