"""`/v1/subscriptions` on a real RabbitMQ and a real PostgreSQL."""

from functools import partial
from typing import Any

import orjson
import pika
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from services.gateway.subscriptions.cuts import CutTeller
from services.gateway.subscriptions.keeper import Subscriptions
from services.gateway.subscriptions.queues import declare_cuts
from services.gateway.subscriptions.store import State, SubscriptionStore
from shared.broker.connection import Broker
from shared.broker.events import message_of
from shared.broker.message import BrokerAway
from shared.database.tables import SubscriptionRow
from tests.services.gateway.building import BEARER, FakeBus, application, event, tell
from tests.shared.broker.amqp import drain, left_in, wait_for
from tests.shared.broker.proxy import Proxy
from tests.waiting import until

PATH = "/v1/subscriptions"


@pytest.fixture
def client(broker, engine, channel):
    """Give a client of a gateway; what it subscribed to is removed in the end."""
    client = application(FakeBus(), engine=engine, broker=broker).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = BEARER["Authorization"]
    yield client
    for name in SubscriptionStore(engine).names():
        channel.queue_delete(f"subscription.{name}")
        channel.queue_delete(f"subscription.{name}.dead")
    with Session(engine) as session, session.begin():
        session.query(SubscriptionRow).delete()


def heard(channel, name):
    """Return the subjects of what a subscription holds, and take it."""
    return [orjson.loads(body)["subject"] for body in drain(channel, f"subscription.{name}")]


def queue_is_there(url, name):
    """Tell whether RabbitMQ has a queue."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        connection.channel().queue_declare(name, passive=True)
    except pika.exceptions.ChannelClosedByBroker:
        return False
    else:
        return True
    finally:
        connection.close()


def test_a_subscription_receives_the_types_asked_for(client, broker, channel, word):
    """From the moment of the answer, in a durable queue that the answer names."""
    made = client.post(PATH, json={"name": word, "types": ["call.*", "leg.ended"]})
    assert made.status_code == 201, made.text
    kinds = ("call.created", "leg.created", "leg.ended", "call.ended", "user.changed")
    tell(broker, *(event(kind, subject=kind) for kind in kinds))

    assert made.headers["Location"] == f"{PATH}/{word}"
    assert made.json["queue"] == f"subscription.{word}"
    assert made.json["dead_letters"] == f"subscription.{word}.dead"
    assert heard(channel, word) == ["call.created", "leg.ended", "call.ended"]


def test_without_types_it_receives_everything(client, broker, channel, word):
    """`#` is what is meant."""
    assert client.post(PATH, json={"name": word}).json["types"] == ["#"]
    tell(broker, event("user.changed", subject="u"), event(subject="c"))

    assert heard(channel, word) == ["u", "c"]


def test_a_match_chooses_by_what_the_call_is(client, broker, channel, word):
    """One of the values in every field, and one of the types."""
    match = {"product_code": ["C68", "C69"], "direction": "inbound"}
    said = {"name": word, "types": ["call.*"], "match": match}
    made = client.post(PATH, json=said)
    assert made.status_code == 201, made.text
    inbound = {"direction": "inbound"}
    tell(
        broker,
        event(subject="68", product_code="C68", **inbound),
        event(subject="69", product_code="C69", **inbound),
        event(subject="70", product_code="C70", **inbound),
        event(subject="out", product_code="C68", direction="campaign"),
        event(subject="none", product_code="C68"),
        event("leg.ended", subject="leg", product_code="C68", **inbound),
    )

    assert heard(channel, word) == ["68", "69"]
    assert made.json["match"] == {"direction": ["inbound"], "product_code": ["C68", "C69"]}


def test_asked_twice_it_is_one_subscription(client, broker, channel, word):
    """The same wish is answered 200, another one under its name 409; nothing is lost by asking."""
    said = {"name": word, "types": ["call.*", "leg.*"]}
    first = client.post(PATH, json=said)
    tell(broker, event(subject="kept"))
    again = client.post(PATH, json={**said, "types": ["leg.*", "call.*"]})
    other = client.post(PATH, json={**said, "types": ["call.*"]})

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert again.json == first.json
    assert word in other.json["detail"]
    assert heard(channel, word) == ["kept"]


def test_an_idempotency_key_is_good_for_one_subscription(client, word):
    """A repetition is answered the same, another name under the key is refused."""
    key = {"Idempotency-Key": word}
    made = [client.post(PATH, json={"name": word}, headers=key).json for _ in range(2)]
    other = client.post(PATH, json={"name": f"{word}2"}, headers=key)

    assert made[0] == made[1]
    assert other.status_code == 409
    assert "Idempotency-Key" in other.json["detail"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a.b"),
        ("name", "a" * 65),
        ("name", ""),
        ("name", "a\n"),
        ("types", ["call.exploded"]),
        ("types", []),
        ("types", "call.*"),
        ("match", {"color": "red"}),
        ("match", {"queue": []}),
        ("match", {"queue": "a\0"}),
        ("match", {"queue": 5}),
        ("match", {"queue": "q" * 256}),
        ("match", {"queue": [str(n) for n in range(99)], "switch": ["a", "b", "c", "d", "e", "f"]}),
        ("max_length", 0),
        ("max_length", 1_000_001),
        ("max_age_seconds", 30 * 86400 + 1),
        ("color", "red"),
    ],
)
def test_a_wish_that_cannot_be_is_named(client, field, value):
    """400, the field in the detail, and nothing is made."""
    refused = client.post(PATH, json={"name": "x", **{field: value}})

    assert refused.status_code == 400
    assert refused.mimetype == "application/problem+json"
    assert field in refused.json["detail"]
    assert client.get(PATH).json["subscriptions"] == []


def test_a_subscription_shows_what_waits(client, broker, channel, word):
    """Waiting, consumers, and dead letters: what its consumer rejected."""
    client.post(PATH, json={"name": word})
    tell(broker, event(subject="1"), event(subject="2"))
    method, *_ = channel.basic_get(f"subscription.{word}")
    channel.basic_reject(method.delivery_tag, requeue=False)

    shown = until(lambda: (got := client.get(f"{PATH}/{word}").json)["dead"] == 1 and got)
    assert (shown["depth"], shown["consumers"], shown["dead"]) == (1, 0, 1)
    letter = wait_for(channel, f"subscription.{word}.dead")
    assert (letter.properties.headers or {})["x-first-death-reason"] == "rejected"


def test_a_deleted_subscription_is_gone_with_its_queues(client, rabbit, word):
    """404 from then on; its name is free."""
    client.post(PATH, json={"name": word})

    assert client.delete(f"{PATH}/{word}").status_code == 204
    assert client.delete(f"{PATH}/{word}").status_code == 404
    assert client.get(f"{PATH}/{word}").status_code == 404
    assert not queue_is_there(rabbit.url, f"subscription.{word}")
    assert not queue_is_there(rabbit.url, f"subscription.{word}.dead")
    assert client.post(PATH, json={"name": word, "types": ["leg.*"]}).status_code == 201


def test_subscriptions_are_listed_page_by_page(client):
    """By name."""
    for name in ("c", "a", "b"):
        client.post(PATH, json={"name": name})
    first = client.get(f"{PATH}?limit=2").json
    second = client.get(f"{PATH}?limit=2&cursor={first['next_cursor']}").json

    assert [each["name"] for each in first["subscriptions"]] == ["a", "b"]
    assert [each["name"] for each in second["subscriptions"]] == ["c"]
    assert second["next_cursor"] is None


# -- bounds ----------------------------------------------------------------------------------


@pytest.fixture
def cuts(rabbit, broker, channel):
    """Give a gateway's teller of what was cut, with a short period."""
    broker.administer(declare_cuts).result(10)
    channel.queue_purge("gateway.cut")
    own = Broker(rabbit.url, name="cuts")
    teller = CutTeller(own, period_seconds=0.3)
    own.start()
    until(lambda: own.connected)
    teller.listen()
    yield teller
    teller.stop()
    own.stop()


def told_cuts(channel, listener, count):
    """Return what was told of cuts, once as many events are counted in it."""
    told: list[Any] = []

    def are_enough():
        told.extend(map(orjson.loads, drain(channel, listener)))
        return sum(each["data"]["count"] for each in told) >= count

    until(are_enough)
    return told


def test_what_is_too_much_is_cut_told_and_kept_with_the_dead(client, broker, channel, cuts, word):  # noqa: ARG001
    """The oldest goes first: into the dead letters, counted, with the times of what was lost."""
    client.post(PATH, json={"name": f"{word}-told", "types": ["subscription.cut"]})
    client.post(PATH, json={"name": word, "types": ["call.*"], "max_length": 3})
    tell(broker, *(event(subject=str(number), fact=str(number)) for number in range(5)))

    told = told_cuts(channel, f"subscription.{word}-told", 2)
    assert heard(channel, word) == ["2", "3", "4"]
    assert [letter["subject"] for letter in map(orjson.loads, drain_dead(channel, word))] == [
        "0",
        "1",
    ]
    assert {(each["source"], each["subject"]) for each in told} == {("/service/gateway", word)}
    assert sum(each["data"]["count"] for each in told) == 2
    assert min(each["data"]["first_at"] for each in told) == "2026-09-21T14:13:20.000000Z"
    assert max(each["data"]["last_at"] for each in told) == "2026-09-21T14:13:21.000000Z"


def test_what_nobody_comes_for_in_time_is_cut_and_told(client, broker, channel, cuts, word):  # noqa: ARG001
    """A subscriber that never comes does not fill the disk."""
    client.post(PATH, json={"name": f"{word}-told", "types": ["subscription.cut"]})
    client.post(PATH, json={"name": word, "types": ["call.*"], "max_age_seconds": 1})
    tell(broker, event(subject="late"))

    told = told_cuts(channel, f"subscription.{word}-told", 1)
    assert (told[0]["data"]["name"], told[0]["data"]["count"]) == (word, 1)
    assert left_in(channel, f"subscription.{word}") == 0


def test_a_rejected_event_is_no_cut_and_a_cut_cut_is_not_told(client, broker, channel, cuts, word):  # noqa: ARG001
    """Or telling would never end where somebody subscribed to everything and went away."""
    client.post(PATH, json={"name": f"{word}-told", "types": ["subscription.cut"]})
    client.post(PATH, json={"name": word, "max_length": 1})
    tell(broker, *(event("subscription.cut", fact=str(number)) for number in range(3)))
    tell(broker, event(subject="1"))
    method, *_ = channel.basic_get(f"subscription.{word}")
    channel.basic_reject(method.delivery_tag, requeue=False)
    tell(broker, event(subject="2"), event(subject="3"))

    def bodies():
        return drain(channel, f"subscription.{word}-told")

    told = until(lambda: [each for each in bodies() if orjson.loads(each)["subject"] == word])
    assert [orjson.loads(each)["data"]["count"] for each in told] == [1]


def drain_dead(channel, name):
    """Take the dead letters of a subscription."""
    return drain(channel, f"subscription.{name}.dead")


# -- faults ----------------------------------------------------------------------------------


def test_without_a_broker_nothing_half_done_stays(engine, client, word):
    """503, and the subscription is not there; asked again with a broker it is made."""
    away = application(FakeBus(), engine=engine).test_client()
    refused = away.post(PATH, json={"name": word}, headers=BEARER)

    assert refused.status_code == 503
    assert "broker" in refused.json["detail"]
    assert client.get(f"{PATH}/{word}").status_code == 404
    assert client.post(PATH, json={"name": word}).status_code == 201


def test_what_a_broken_connection_left_is_taken_away(rabbit, engine, broker, channel, word):
    """The broker may have it and we may not know: at the next connection it is removed."""
    with Proxy(rabbit.port) as proxy:
        url = rabbit.url.replace(f":{rabbit.port}/", f":{proxy.port}/")
        store = SubscriptionStore(engine)
        far = Broker(url, name="far")
        keeper = Subscriptions(far, store, seconds=0.5)
        far.start()
        until(lambda: far.connected)
        values = {"types": ["#"], "match": {}, "max_length": 5, "max_age_seconds": 60}
        channel.queue_declare(f"subscription.{word}.dead", durable=True)  # of an earlier try
        proxy.freeze()
        with pytest.raises(BrokerAway):
            keeper.create({"name": word, "created_by": word * 2, **values})
        assert store.find(word) is None
        assert word in store.names()
        proxy.cut()
        keeper.start()
        until(lambda: word not in store.names())
        keeper.stop()
        far.stop()
    assert not queue_is_there(rabbit.url, f"subscription.{word}.dead")
    assert broker.connected


def test_a_broker_that_lost_its_disk_comes_back_complete(client, broker, engine, channel, word):
    """What the table holds is declared again at each connection."""
    client.post(PATH, json={"name": word, "types": ["call.*"]})
    channel.queue_delete(f"subscription.{word}")
    channel.queue_delete(f"subscription.{word}.dead")
    lost = client.get(f"{PATH}/{word}")
    Subscriptions(broker, SubscriptionStore(engine)).repair(everything=True)
    tell(broker, event(subject="after"))

    assert lost.status_code == 503
    assert client.get(f"{PATH}/{word}").json["depth"] == 1
    assert heard(channel, word) == ["after"]


def test_a_gateway_that_died_while_making_one_leaves_nothing(client, broker, engine, rabbit, word):
    """Somebody else takes it away, once it is certain that nobody works on it."""
    client.post(PATH, json={"name": word})
    with engine.begin() as connection:
        connection.execute(
            update(SubscriptionRow).values(state=State.DECLARING, created_at="2026-01-01T00:00Z")
        )
    Subscriptions(broker, SubscriptionStore(engine)).repair(everything=False)

    assert SubscriptionStore(engine).names() == []
    assert not queue_is_there(rabbit.url, f"subscription.{word}")


def test_a_queue_that_is_somebody_else_s_is_left_alone(client, channel, rabbit, word):
    """409; it is neither used nor removed."""
    channel.queue_declare(f"subscription.{word}", durable=True)
    refused = client.post(PATH, json={"name": word})

    assert refused.status_code == 409
    assert "subscription." in refused.json["detail"]
    assert queue_is_there(rabbit.url, f"subscription.{word}")
    assert client.get(PATH).json["subscriptions"] == []
    channel.queue_delete(f"subscription.{word}")


def test_a_refusal_harms_only_its_own_channel(broker, channel, word):
    """Whoever publishes at the same time is not disturbed."""
    refused = broker.administer(partial(_ask_for, name=word))
    confirmed = broker.publish(message_of(event()))

    assert getattr(refused.exception(10), "code", None) == 404
    assert confirmed.result(10) is None
    assert broker.connected
    assert channel.is_open


def _ask_for(channel, name):
    channel.queue_declare(name, passive=True, callback=lambda _: None)


def test_work_that_fails_fails_its_future(broker):
    """And nothing else."""

    def work(_channel):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broker.administer(work).result(10)
    assert broker.connected
