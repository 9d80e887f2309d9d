"""What the broker connection promises, on a real RabbitMQ."""

import queue

import pytest

from shared.broker import topology
from shared.broker.connection import Broker
from shared.broker.message import (
    BrokerAway,
    Delivery,
    Message,
    PossiblySent,
    Unroutable,
    Unsendable,
)
from tests.shared.broker.amqp import channel_to, drain, left_in, properties, wait_for
from tests.shared.broker.proxy import Proxy
from tests.waiting import until


def event(word, number=0):
    """Return a message that the journal takes."""
    return Message(
        exchange=topology.EVENTS,
        routing_key=f"test.{word}",
        body=str(number).encode(),
        type="test",
    )


@pytest.fixture
def subscriber(channel, word):
    """Give a durable queue bound to this test's events, as a subscriber has it."""
    channel.queue_declare(word, durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(word, topology.EVENTS, f"test.{word}")
    return word


def test_a_confirmed_message_is_in_the_queue(broker, channel, subscriber):
    """The future ends when RabbitMQ has the message for good."""
    broker.publish(event(subscriber)).result(10)

    assert drain(channel, subscriber) == [b"0"]


def test_many_are_confirmed_in_order_and_not_one_by_one(broker, channel, subscriber):
    """More than the window holds, from one thread, without waiting."""
    futures = [broker.publish(event(subscriber, number)) for number in range(3000)]
    for future in futures:
        future.result(30)

    assert drain(channel, subscriber) == [str(number).encode() for number in range(3000)]
    assert broker.backlog == 0


def test_a_message_that_no_queue_takes_is_an_error(broker):
    """Mandatory: nothing vanishes in silence."""
    lost = Message(exchange="", routing_key="no.such.queue", body=b"")

    with pytest.raises(Unroutable):
        broker.publish(lost).result(10)


@pytest.mark.parametrize(
    "given",
    [
        {"headers": {"x": "y" * 140_000}},
        {"headers": {"x": 1.5}},
        {"correlation_id": "c" * 256},
        {"routing_key": "k" * 256},
        {"body": b"x" * (17 << 20)},
    ],
)
def test_a_message_that_would_break_the_connection_is_not_sent(broker, channel, subscriber, given):
    """RabbitMQ closes the connection for it, again and again; everybody else goes on."""
    fields = {"exchange": topology.EVENTS, "routing_key": "x", "body": b"", **given}
    with pytest.raises(Unsendable):
        broker.publish(Message(**fields)).result(5)

    broker.publish(event(subscriber)).result(10)
    assert drain(channel, subscriber) == [b"0"]


def test_a_missing_exchange_does_not_end_publishing(broker, channel, subscriber):
    """RabbitMQ closes the channel for it; the connection comes back with what was under way."""
    wrong = broker.publish(Message(exchange="no.such.exchange", routing_key="x", body=b""))
    good = broker.publish(event(subscriber))
    wrong.cancel()

    good.result(20)
    assert b"0" in drain(channel, subscriber)


def test_what_is_published_while_the_broker_is_away_comes_in_order(
    broker, rabbit, channel, subscriber
):
    """A restart in the middle: nothing lost, the order kept."""
    channel.connection.close()
    first = [broker.publish(event(subscriber, number)) for number in range(500)]
    rabbit.stop()
    until(lambda: not broker.connected)
    then = [broker.publish(event(subscriber, number)) for number in range(500, 1000)]
    rabbit.start()
    for future in (*first, *then):
        future.result(60)

    with channel_to(rabbit.url) as later:
        numbers = [int(body) for body in drain(later, subscriber)]
    assert set(numbers) == set(range(1000))
    assert list(dict.fromkeys(numbers)) == sorted(set(numbers))


def test_a_cancelled_message_is_not_sent(rabbit, channel, subscriber):
    """Who gave up before the broker was there gets no late surprise."""
    broker = Broker(rabbit.url, name="late")
    given_up, kept = (broker.publish(event(subscriber, number)) for number in (1, 2))
    given_up.cancel()
    broker.start()
    kept.result(20)
    broker.stop()

    assert drain(channel, subscriber) == [b"2"]


def test_a_request_gets_its_reply(broker, channel):
    """Through RabbitMQ's direct reply-to."""
    reply = broker.request(
        Message(
            exchange=topology.COMMANDS,
            routing_key="call.originate",
            body=b"ping",
            correlation_id="1",
            reply_to="amq.rabbitmq.reply-to",
        )
    )
    asked = wait_for(channel, "dialer.commands")
    channel.basic_publish(
        "", str(asked.properties.reply_to), b"pong", properties(correlation_id="1")
    )

    assert reply.result(10) == b"pong"


def test_a_request_whose_connection_broke_is_not_sent_later(rabbit, channel):
    """Who asked was told to ask again: sent later as well, it would be done twice."""
    with Proxy(rabbit.port) as proxy:
        broker = Broker(rabbit.url.replace(str(rabbit.port), str(proxy.port)), name="proxied")
        broker.start()
        until(lambda: broker.connected)
        proxy.freeze()
        question, statement = (
            Message(
                exchange=topology.COMMANDS,
                routing_key="call.originate",
                body=body,
                correlation_id=body.decode(),
                reply_to="amq.rabbitmq.reply-to",
            )
            for body in (b"question", b"statement")
        )
        reply = broker.request(question)
        confirmed = broker.publish(statement)
        until(lambda: proxy.held)
        proxy.cut()
        with pytest.raises(PossiblySent):
            reply.result(20)
        confirmed.result(30)
        broker.stop()

    assert drain(channel, "dialer.commands") == [b"statement"]


def test_a_request_fails_at_once_when_the_broker_is_not_there(rabbit):
    """Nobody waits for a reply that cannot come."""
    broker = Broker(rabbit.url, name="never-started")

    with pytest.raises(BrokerAway):
        broker.request(
            Message(exchange="", routing_key="x", body=b"", correlation_id="1", reply_to="y")
        ).result(1)


def test_what_is_not_acked_is_delivered_again(rabbit, channel):
    """A consumer that dies leaves its messages to the next one."""
    seen: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
    channel.basic_publish(topology.CDR, "", b"record")
    first = Broker(rabbit.url, name="dies")
    first.consume("cdr.raw", seen.put, prefetch=10)
    first.start()
    assert seen.get(timeout=20).body == b"record"
    first.stop()

    second = Broker(rabbit.url, name="next")
    second.consume("cdr.raw", seen.put, prefetch=10)
    second.start()
    delivery = seen.get(timeout=20)
    assert (delivery.body, delivery.returns) == (b"record", 1)
    delivery.ack()
    until(lambda: left_in(channel, "cdr.raw") == 0)
    second.stop()


def test_who_was_careful_has_many_delivered_at_once_again(rabbit, broker, subscriber):
    """After some messages one by one; none of them is lost or delivered twice by that."""
    futures = [broker.publish(event(subscriber, number)) for number in range(100)]
    for future in futures:
        future.result(30)
    seen: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
    careful = Broker(rabbit.url, name="careful")
    careful.consume(subscriber, seen.put, prefetch=100).be_careful()
    careful.start()
    held = []
    for _ in range(60):
        delivery = seen.get(timeout=20)
        delivery.ack()
        held.append(delivery)
    held += [seen.get(timeout=20) for _ in range(40)]  # none of which is acked

    assert [delivery.body for delivery in held] == [str(number).encode() for number in range(100)]
    assert not any(delivery.returns for delivery in held)
    careful.stop()


def test_the_journal_remembers_every_event(broker, rabbit, subscriber):
    """Whoever comes later can read what was told."""
    broker.publish(event(subscriber, 7)).result(10)
    with channel_to(rabbit.url) as reader:
        reader.basic_qos(prefetch_count=100)
        found = _first(reader, f"test.{subscriber}")

    assert found == b"7"


def _first(reader, routing_key):
    """Return the body of the first message of the journal with this key."""
    for method, _, body in reader.consume(
        topology.JOURNAL, arguments={"x-stream-offset": "first"}, inactivity_timeout=10
    ):
        assert method is not None, "the journal does not hold it"
        reader.basic_ack(method.delivery_tag)
        if method.routing_key == routing_key:
            return body
    return None
