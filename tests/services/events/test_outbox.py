"""Events on their way to a broker that comes and goes."""

from dataclasses import replace

import pytest

from deploy.local.ports import free_port
from faults.proxy import Proxy
from services.events.outbox import Outbox, WhenFull
from shared.broker.connection import Broker
from shared.broker.message import Message
from shared.spool import Spool
from tests.waiting import until


@pytest.fixture
def proxy(rabbit):
    """Give the way to the broker, which can be cut."""
    with Proxy(free_port(), to=rabbit.port) as proxy:
        yield proxy


@pytest.fixture
def away(rabbit, proxy):
    """Give a connection that goes by the proxy."""
    broker = Broker(rabbit.url.replace(str(rabbit.port), str(proxy.port)), name="outbox")
    broker.start()
    until(lambda: broker.connected)
    yield broker
    broker.stop()


@pytest.fixture
def inbox(channel, word):
    """Give a queue that the messages are sent to, and what it got."""
    channel.queue_declare(word)
    got = []

    def read():
        while (found := channel.basic_get(word, auto_ack=True))[0] is not None:
            got.append(int(found[2]))
        return got

    return read


def message(word, number):
    """Return a message to the queue."""
    return Message(exchange="", routing_key=word, body=str(number).encode(), type="call.created")


def opened(tmp_path, broker, *, most=1000, when_full=WhenFull.PAUSE):
    """Return an outbox with a spool at this place."""
    spool = Spool(tmp_path / "events.sqlite")
    return Outbox("fs1", broker, spool, most=most, when_full=when_full)


def test_while_the_broker_is_away_events_wait_on_disk_in_order(tmp_path, proxy, away, word, inbox):
    """And go to it in their order when it is back, ahead of what comes later."""
    outbox = opened(tmp_path, away)
    outbox.start()
    for number in range(5):
        outbox.send(message(word, number))
    until(lambda: inbox() == [0, 1, 2, 3, 4])
    proxy.shut()
    until(lambda: not away.connected)
    for number in range(5, 300):
        outbox.send(message(word, number))
    until(lambda: len(Spool(tmp_path / "events.sqlite")) == 295)
    proxy.heal()
    for number in range(300, 310):
        outbox.send(message(word, number))
    until(lambda: len(inbox()) >= 310)
    outbox.stop()

    assert inbox() == list(range(310))
    assert outbox.is_empty


def test_a_broker_that_is_slower_than_we_are_costs_no_memory(tmp_path, away, word, inbox):
    """What comes meanwhile waits on disk; all of it comes once, in order."""
    count = 3000
    spool = Spool(tmp_path / "events.sqlite")
    outbox = Outbox(
        "fs1", away, spool, most=count, when_full=WhenFull.PAUSE, most_flying=count // 10
    )
    outbox.start()
    for number in range(count):
        outbox.send(message(word, number))
    assert outbox.is_spooling
    assert away.backlog < count / 2
    until(lambda: len(inbox()) >= count, seconds=60)
    until(lambda: outbox.is_empty)
    outbox.stop()

    assert inbox() == list(range(count))


def test_what_no_broker_would_take_holds_up_nothing(tmp_path, proxy, away, word, inbox):
    """It is given up, at once or on its way to the disk; all others come."""
    outbox = opened(tmp_path, away)
    outbox.start()
    too_long = replace(message(word, 0), type="x" * 300)
    outbox.send(too_long)
    outbox.send(message(word, 1))
    until(lambda: inbox() == [1])
    proxy.shut()
    until(lambda: outbox.is_spooling)
    outbox.send(too_long)
    outbox.send(message(word, 2))
    proxy.heal()
    until(lambda: inbox() == [1, 2])
    until(lambda: outbox.is_empty)
    outbox.stop()


def test_what_an_earlier_process_left_is_held_until_it_is_asked_for(tmp_path, away, word, inbox):
    """Another may have told it meanwhile."""
    left = opened(tmp_path, Broker("amqp://nobody@127.0.0.1:1/", name="never"))
    for number in range(3):
        left.send(message(word, number))
    left.start()
    left.stop()
    outbox = opened(tmp_path, away)
    outbox.hold()
    outbox.start()
    outbox.send(message(word, 7))
    until(lambda: inbox() == [7])

    held = outbox.left()
    assert [int(each.body) for _, each in held] == [0, 1, 2]
    assert {each.type for _, each in held} == {"call.created"}
    outbox.forget([place for place, _ in held])
    outbox.stop()
    assert len(Spool(tmp_path / "events.sqlite")) == 0


@pytest.mark.parametrize("when_full", WhenFull)
def test_a_full_spool_is_told_and_does_as_it_was_set(tmp_path, word, when_full):
    """Pause: the switch is to be left; drop: what is new is given up."""
    never = Broker("amqp://nobody@127.0.0.1:1/", name="never")
    outbox = opened(tmp_path, never, most=3, when_full=when_full)
    outbox.start()
    until(lambda: outbox.is_spooling)
    for number in range(5):
        outbox.send(message(word, number))
    outbox.stop()

    assert outbox.is_full is (when_full is WhenFull.PAUSE)
    kept = 5 if when_full is WhenFull.PAUSE else 3
    assert len(Spool(tmp_path / "events.sqlite")) == kept
