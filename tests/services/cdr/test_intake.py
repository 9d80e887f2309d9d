"""Records on their way to the broker, by way of the disk if need be."""

import threading
from concurrent.futures import Future

import pytest
import structlog

from services.cdr.intake import LEG, Intake
from shared.broker.connection import Broker
from shared.broker.message import BrokerAway
from shared.spool import Spool, SpoolUnwritable
from tests.waiting import until


@pytest.fixture
def spool(tmp_path):
    """Give an empty spool."""
    spool = Spool(tmp_path / "cdr.sqlite")
    yield spool
    spool.close()


class DeafBroker(Broker):
    """Is connected, and never confirms; or does, or answers what `outcome` says."""

    def __init__(self) -> None:
        super().__init__("amqp://nowhere", name="deaf")
        self.outcome: BaseException | None = None
        self.confirms = False
        self.futures: list[Future[None]] = []

    @property
    def connected(self):
        """Always."""
        return True

    def publish(self, message):  # noqa: ARG002
        """Keep the future for the test."""
        future: Future[None] = Future()
        self.futures.append(future)
        if self.outcome is not None:
            future.set_exception(self.outcome)
        elif self.confirms:
            future.set_result(None)
        return future


def test_what_was_spooled_is_sent_when_the_broker_is_there(rabbit, channel, spool):
    """In the order in which it came, each with its leg, and then forgotten."""
    broker = Broker(rabbit.url, name="late")
    intake = Intake(broker, spool)
    for number in range(450):
        intake.take(f"leg-{number}", b"%d" % number)
    assert len(spool) == 450

    intake.start()
    broker.start()
    until(lambda: len(spool) == 0)
    got = [channel.basic_get("cdr.raw", auto_ack=True) for _ in range(450)]
    intake.stop()
    broker.stop()

    assert [(properties.headers[LEG], body) for _, properties, body in got] == [
        (f"leg-{number}", b"%d" % number) for number in range(450)
    ]
    assert channel.basic_get("cdr.raw")[0] is None


def test_a_broker_that_does_not_confirm_is_not_waited_for(spool):
    """The switch keeps a dead channel for as long as we take."""
    broker = DeafBroker()
    Intake(broker, spool).take("leg", b"record")

    assert [body for _, _, body in spool.oldest(2)] == [b"record"]
    assert broker.futures[0].cancelled()


def test_a_silent_broker_is_asked_by_one_record_only(spool):
    """Who comes after it does not wait; what waits on the disk finds out when it is back."""
    broker = DeafBroker()
    intake = Intake(broker, spool)
    intake.take("first", b"1")
    for number in range(20):
        intake.take(f"leg-{number}", b"%d" % number)
    assert len(broker.futures) == 1
    assert len(spool) == 21

    broker.confirms = True
    intake.start()
    until(lambda: len(spool) == 0)
    intake.take("last", b"9")
    intake.stop()
    assert len(broker.futures) == 1 + 21 + 1
    assert len(spool) == 0


def test_a_silent_broker_gets_one_record_at_a_time(spool):
    """It may have what it does not confirm, and would get it twice."""
    broker = DeafBroker()
    intake = Intake(broker, spool)
    for number in range(20):
        intake.take(f"leg-{number}", b"%d" % number)
    intake._send_oldest()

    assert len(broker.futures) == 2
    assert len(spool) == 20


def test_a_broker_that_was_silent_is_better_than_a_broken_disk(spool):
    """Only where neither takes a record it stays with the switch."""
    broker = DeafBroker()
    intake = Intake(broker, spool)
    intake.take("first", b"1")
    spool._database.execute("PRAGMA query_only=1")
    with pytest.raises(SpoolUnwritable):
        intake.take("second", b"2")
    broker.confirms = True
    intake.take("third", b"3")
    intake.take("fourth", b"4")
    spool._database.execute("PRAGMA query_only=0")

    assert len(broker.futures) == 4
    assert [name for _, name, _ in spool.oldest(9)] == ["first"]


def test_a_record_that_the_broker_refuses_goes_to_the_disk(spool):
    """A full queue refuses; the record waits."""
    broker = DeafBroker()
    broker.outcome = BrokerAway("refused")
    Intake(broker, spool).take("leg", b"record")

    assert len(spool) == 1


def test_nothing_is_forgotten_before_the_broker_has_it(spool):
    """What was not confirmed stays, and is tried again."""
    spool.append("leg", b"record")
    broker = DeafBroker()
    broker.outcome = BrokerAway("refused")
    intake = Intake(broker, spool)
    intake.start()
    until(lambda: len(broker.futures) >= 2)
    assert len(spool) == 1
    intake.stop()


def test_a_broken_disk_does_not_end_the_sending(broker, channel, spool):
    """What waits is sent when the disk is whole again."""
    spool.append("leg", b"record")
    spool._database.execute("PRAGMA query_only=1")
    intake = Intake(broker, spool)
    with structlog.testing.capture_logs() as logs:
        intake.start()
        until(lambda: any(line["log_level"] == "error" for line in logs))
        spool._database.execute("PRAGMA query_only=0")
        until(lambda: len(spool) == 0)
    intake.stop()

    assert channel.basic_get("cdr.raw", auto_ack=True)[2] == b"record"


def test_stopping_leaves_the_rest_for_the_next_start(spool):
    """And takes no longer than the batch at hand."""
    spool.append("leg", b"record")
    intake = Intake(DeafBroker(), spool)
    before = threading.active_count()
    intake.start()
    intake.stop()

    assert len(spool) == 1
    assert threading.active_count() <= before + 1
