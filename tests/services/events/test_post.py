"""Who speaks for a switch: one of several, each able to go on for the other."""

from contextlib import contextmanager

import orjson
import pytest

from services.events.outbox import Outbox, WhenFull
from services.events.post import Beside, Post
from shared.broker import topology
from shared.broker.connection import Broker
from shared.spool import Spool
from shared.switch.address import SwitchAddress
from simulator.running import RunningSimulator
from simulator.settings import Settings
from tests.contract import assert_told
from tests.simulator.esl_client import EslClient
from tests.waiting import until

PASSWORD = "a-secret"
NOBODY = Beside(phones=lambda _switch: [], grace_seconds=1)


@pytest.fixture
def simulator():
    """Give a simulated switch."""
    with RunningSimulator(Settings(password=PASSWORD, port=0)) as running:
        yield running


class Process:
    """What one events process has for a switch."""

    def __init__(self, url, name, port, folder):
        self.broker = Broker(url, name="post", needs_journal=True)
        self.outbox = Outbox(
            name, self.broker, Spool(folder / "e.sqlite"), most=1000, when_full=WhenFull.PAUSE
        )
        address = SwitchAddress(name, "127.0.0.1", port, PASSWORD)
        self.post = Post(address, self.broker, self.outbox, NOBODY)
        self.broker.start()
        self.outbox.start()
        self.post.start()

    def end(self):
        """End it as it would by itself; its connection goes, and with it its turn."""
        self.post.stop()
        self.outbox.stop()
        self.broker.stop()


@contextmanager
def process(*args):
    """Run one."""
    running = Process(*args)
    try:
        yield running
    finally:
        running.end()


@pytest.fixture
def heard(channel, word):
    """Give what is told of this test's switch, as a subscriber gets it."""
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, topology.EVENTS, "#")
    got = []

    def read():
        while (found := channel.basic_get(queue, auto_ack=True))[0] is not None:
            event = orjson.loads(found[2])
            if event["source"] == f"/switch/{word}":
                got.append(event)
        return got

    return read


def call(simulator, number="13800138486"):
    """Place a call that ends by itself."""
    with EslClient(simulator.port, PASSWORD) as client:
        client.command(f"bgapi originate sofia/gateway/carrier/{number} &park()")


def ended(heard, count):
    """Tell whether so many calls have been told to their end."""
    return sum(event["type"] == "call.ended" for event in heard()) == count


def check(events):
    """Hold what was told to what is promised."""
    ids = [event["id"] for event in events]
    assert len(ids) == len(set(ids))
    calls = {event["subject"] for event in events if "sequence" in event}
    for event in events:
        assert_told(event)
    for name in calls:
        numbers = [event["sequence"] for event in events if event["subject"] == name]
        assert numbers == [str(number + 1) for number in range(len(numbers))]
    return len(calls)


def test_one_speaks_and_the_other_takes_over(rabbit, simulator, heard, word, tmp_path):
    """What both hear is told once, and nothing is missed between the two."""
    folders = [tmp_path / "one", tmp_path / "other"]
    with process(rabbit.url, word, simulator.port, folders[0]) as one:
        until(lambda: one.post.speaker() and one.post.is_heard())
        with process(rabbit.url, word, simulator.port, folders[1]) as other:
            until(other.post.is_heard)
            assert other.post.speaker() is None
            call(simulator)
            until(lambda: ended(heard, 1))
            one.end()
            until(other.post.speaker, seconds=5)
            call(simulator)
            until(lambda: ended(heard, 2))

    assert check(heard()) == 2


def test_a_restart_goes_on_with_the_numbers_of_before(rabbit, simulator, heard, word, tmp_path):
    """Killed while a call is up: its end is told under the next number."""
    with process(rabbit.url, word, simulator.port, tmp_path) as first:
        until(lambda: first.post.speaker() and first.post.is_heard())
        call(simulator, "13800138000")
        until(lambda: any(event["type"] == "leg.answered" for event in heard()))
    with EslClient(simulator.port, PASSWORD) as client:
        client.command("api hupall NORMAL_CLEARING")
    with process(rabbit.url, word, simulator.port, tmp_path):
        until(lambda: ended(heard, 1))

    assert check(heard()) == 1
    end = heard()[-1]
    assert end["type"] == "call.ended"
    assert end["data"]["synthetic"]
