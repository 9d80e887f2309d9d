"""A simulator, and a link to it, for tests that need no HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.running import RunningSimulator
from simulator.settings import Settings
from tests.simulator.esl_client import EslClient


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSimulator]:
    """Start a simulator without a directory: every extension is known."""
    settings = Settings(password="x", port=0, ring_seconds=0.01, answer_seconds=0.01)
    with RunningSimulator(settings) as simulator:
        yield simulator


@pytest.fixture
def client(running: RunningSimulator) -> Iterator[EslClient]:
    """Open a link of the test's own; calls that the test leaves are hung up."""
    with EslClient(running.port) as link:
        yield link
    with EslClient(running.port) as link:
        link.api("hupall")
