"""Command in, reply out, ack last: on a real RabbitMQ."""

import threading
import time
from datetime import UTC, datetime
from uuid import uuid4

import orjson
import pytest

from shared.broker import topology
from shared.broker.commands import DEADLINE, CommandConsumer
from shared.broker.connection import Broker
from shared.broker.dead_letters import QUEUE, REASON
from shared.dependency import DependencyAway
from shared.messages.commands import OriginateCall, Owner
from shared.messages.replies import Refused
from tests.shared.broker.amqp import left_in, properties, take, wait_for
from tests.waiting import until

GOOD = orjson.dumps(
    {"extension": "1001", "customer_number": "13800138000", "crm_uuid": "1", "product_code": "C"}
)


class Dialer:
    """A handler that does what the test says, and remembers."""

    def __init__(self):
        self.seen = []
        self.does = lambda ordered: {"call_id": str(ordered.id)}

    def originate(self, ordered):
        self.seen.append(ordered)
        return self.does(ordered)


@pytest.fixture
def dialer(rabbit, channel):  # noqa: ARG001  (the channel fixture empties the queues)
    """Give a running consumer of dialer.commands."""
    dialer = Dialer()
    broker = Broker(rabbit.url, name="dialer-test", longest_pause=0.1)
    consumer = CommandConsumer(broker, Owner.DIALER, {OriginateCall: dialer.originate})
    broker.start()
    until(lambda: broker.connected)
    yield dialer
    consumer.stop()
    broker.stop()


@pytest.fixture
def inbox(channel):
    """Give a queue for replies, as a CRM has one."""
    return channel.queue_declare("", exclusive=True).method.queue


def publish(channel, body=GOOD, *, name="call.originate", **given):
    """Publish a command as a CRM does; return its id."""
    message_id = given.pop("message_id", str(uuid4()))
    given.setdefault("type", name)
    channel.basic_publish(
        topology.COMMANDS,
        name,
        body,
        properties(message_id=message_id, content_type="application/json", **given),
    )
    return message_id


def reply(channel, inbox):
    """Return the reply, once it comes."""
    return orjson.loads(wait_for(channel, inbox).body)


def test_a_command_is_carried_out_and_answered(dialer, channel, inbox):
    """With the correlation id of who asked."""
    message_id = publish(channel, reply_to=inbox, correlation_id="42")
    answer = wait_for(channel, inbox)

    assert orjson.loads(answer.body) == {"ok": True, "data": {"call_id": message_id}}
    assert answer.properties.correlation_id == "42"
    assert [str(ordered.id) for ordered in dialer.seen] == [message_id]
    until(lambda: left_in(channel, "dialer.commands") == 0)


def test_a_command_without_reply_to_is_carried_out_in_silence(dialer, channel):
    """A CRM that publishes and listens to events needs no reply."""
    publish(channel)

    until(lambda: dialer.seen)


@pytest.mark.parametrize(
    "case",
    [
        (b"nonsense", {}, "JSON"),
        (b"\xff" * 10, {}, "JSON"),
        (GOOD.replace(b"1001", b"10,01"), {}, "extension"),
        (GOOD.replace(b"1001", b"10\\n01"), {}, "extension"),
        (GOOD.replace(b'"crm_uuid":"1"', b'"crm_uuid":"${x}"'), {}, "crm_uuid"),
        (GOOD, {"name": "call.fly"}, "call.fly"),
        (GOOD, {"name": "foo"}, "foo"),
        (GOOD, {"message_id": "7"}, "message_id"),
        (GOOD, {"message_id": None}, "message_id"),
        (GOOD, {"type": "user.create"}, "routing key"),
    ],
)
def test_what_is_no_command_is_dead_lettered_with_the_reason(dialer, channel, inbox, case):
    """And who waits for a reply is told the same."""
    body, given, reason = case
    publish(channel, body, reply_to=inbox, correlation_id="1", **given)
    told = reply(channel, inbox)
    dead = wait_for(channel, topology.DEAD)

    assert told["ok"] is False
    assert told["error"]["code"] == "invalid"
    assert reason in told["error"]["message"]
    assert dead.body == body
    assert dead.properties.headers is not None
    assert dead.properties.headers[REASON] == told["error"]["message"]
    assert dead.properties.headers[QUEUE] == "dialer.commands"
    assert dialer.seen == []


@pytest.mark.parametrize(
    "headers", [{}, {"x": "y" * 120_000}, {"x": 10**12}], ids=["none", "large", "number"]
)
def test_a_dead_letter_never_breaks_the_connection(dialer, channel, inbox, headers):
    """However long the names in it, and whatever headers it came with."""
    body = orjson.dumps({"k" * 140_000: 1, **orjson.loads(GOOD)})
    publish(channel, body, reply_to=inbox, headers=headers)

    assert reply(channel, inbox)["error"]["code"] == "invalid"
    assert wait_for(channel, topology.DEAD).body == body
    publish(channel)
    until(lambda: dialer.seen)


def test_a_command_for_which_nobody_waits_any_more_is_not_begun(dialer, channel, inbox):
    """The caller was told that there was no answer, and may have asked again."""
    now = time.time_ns() // 1_000_000
    publish(channel, reply_to=inbox, headers={DEADLINE: now - 1})
    assert reply(channel, inbox)["error"]["code"] == "expired"

    publish(channel, reply_to=inbox, headers={DEADLINE: now + 60_000})
    assert reply(channel, inbox)["ok"] is True
    assert len(dialer.seen) == 1


def test_a_message_that_pika_cannot_read_takes_no_other_with_it(dialer, channel):
    """It ends the connection each time; its neighbours are carried out all the same."""
    unreadable = {"x": datetime(1970, 1, 1, tzinfo=UTC)}
    poison = _with_a_time_that_is_none(properties(message_id=str(uuid4()), headers=unreadable))
    channel.basic_publish(topology.COMMANDS, "call.originate", GOOD, poison)
    wanted = {publish(channel) for _ in range(30)}

    until(lambda: wanted <= {str(ordered.id) for ordered in dialer.seen}, seconds=110)


def _with_a_time_that_is_none(given):
    """Return properties whose header holds a time that no calendar has, as any program can send."""
    encode = given.encode

    def encoded():
        return [
            piece.replace(b"T" + bytes(8), b"T" + (2**62).to_bytes(8, "big")) for piece in encode()
        ]

    given.encode = encoded
    return given


def test_a_command_of_another_service_is_left_to_it(dialer, channel):
    """The dialer sees it, and neither answers nor buries it."""
    publish(channel, b"{}", name="user.create")
    publish(channel)
    until(lambda: dialer.seen)
    until(lambda: left_in(channel, "dialer.commands") == 0)

    assert left_in(channel, "directory.commands") == 1
    assert take(channel, topology.DEAD) is None


def test_a_refusal_is_answered_and_done(dialer, channel, inbox):
    """It is no fault of the message: nothing for the dead letters."""

    def refuse(_ordered):
        raise Refused("unknown_trunk", "no trunk 'x'")

    dialer.does = refuse
    publish(channel, reply_to=inbox)

    assert reply(channel, inbox)["error"] == {"code": "unknown_trunk", "message": "no trunk 'x'"}
    assert take(channel, topology.DEAD) is None


def test_a_handler_that_fails_is_tried_three_times(dialer, channel, inbox):
    """Then the message is out of the way, with what went wrong."""

    def fail(_ordered):
        raise ZeroDivisionError("a fault of ours")

    dialer.does = fail
    publish(channel, reply_to=inbox)
    told = reply(channel, inbox)
    dead = wait_for(channel, topology.DEAD)

    assert len(dialer.seen) == 3
    assert told["error"]["code"] == "failed"
    assert dead.properties.headers is not None
    assert "a fault of ours" in str(dead.properties.headers[REASON])


def test_who_waits_is_told_at_once_that_something_is_away(dialer, channel, inbox):
    """A caller with a person behind it gets no answer in a minute."""

    def away(_ordered):
        raise DependencyAway("no switch can be reached")

    dialer.does = away
    publish(channel, reply_to=inbox)

    assert reply(channel, inbox)["error"]["code"] == "unavailable"
    until(lambda: left_in(channel, "dialer.commands") == 0)


def test_who_does_not_wait_is_served_when_it_is_back(dialer, channel):
    """Accepted is accepted: the command waits, and is carried out once."""
    back = threading.Event()
    done = []

    def away(ordered):
        if not back.is_set():
            raise DependencyAway("no switch can be reached")
        done.append(ordered.id)
        return {}

    dialer.does = away
    message_id = publish(channel)
    until(lambda: len(dialer.seen) >= 3)
    back.set()

    until(lambda: done)
    assert [str(identifier) for identifier in done] == [message_id]
    assert take(channel, topology.DEAD) is None
