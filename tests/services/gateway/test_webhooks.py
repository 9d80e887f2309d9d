"""Webhooks from the queue to the receiver, on a real RabbitMQ and a real PostgreSQL."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from services.gateway.webhooks.address import Permitted
from services.gateway.webhooks.delivery import Deliverer
from services.gateway.webhooks.intake import Intake
from services.gateway.webhooks.sender import Sender
from services.gateway.webhooks.signature import signed
from services.gateway.webhooks.store import DeliveryStore
from shared.broker.connection import Broker
from shared.broker.message import Message
from shared.database.tables import DeliveryRow, SubscriptionRow
from tests.services.gateway.building import (
    BEARER,
    VAULT,
    FakeBus,
    application,
    event,
    no_broker,
    tell,
)
from tests.services.gateway.receiver import Receiver
from tests.shared.broker.amqp import left_in, wait_for
from tests.waiting import until

PATH = "/v1/subscriptions"
NAME = "hook"
LOCAL = "127.0.0.0/8"


@pytest.fixture
def receiver():
    """Give a server of somebody's."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def client(broker, engine, channel):
    """Give a client of a gateway that may reach this machine; its subscriptions are removed."""
    app = application(FakeBus(), engine=engine, broker=broker, permitted=LOCAL)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = BEARER["Authorization"]
    yield client
    with Session(engine) as session, session.begin():
        for row in session.query(SubscriptionRow):
            channel.queue_delete(f"subscription.{row.name}")
            channel.queue_delete(f"subscription.{row.name}.dead")
        session.query(SubscriptionRow).delete()
        session.query(DeliveryRow).delete()


class Gateway:
    """A gateway's webhooks, which can be stopped and started."""

    def __init__(self, url, engine, *, lease=timedelta(seconds=30), **given):
        self.broker = Broker(url, name="gateway")
        store = DeliveryStore(engine)
        sender = Sender(Permitted.parse(LOCAL))
        self.deliverer = Deliverer(
            self.broker, store, VAULT, sender, pause=lambda _: 0.05, lease=lease
        )
        self.intake = Intake(self.broker, store, self.deliverer.wake, **given)
        self.broker.start()
        until(lambda: self.broker.connected)
        self.intake.start()
        self.deliverer.start()

    def stop(self):
        """Deliver nothing more."""
        self.intake.stop()
        self.deliverer.stop()
        self.broker.stop()


@pytest.fixture
def start(rabbit, engine):
    """Give what starts gateways."""
    gateways = []

    def start(**given):
        gateways.append(Gateway(rabbit.url, engine, **given))
        return gateways[-1]

    yield start
    for gateway in gateways:
        gateway.stop()


def subscribe(client, word, receiver, **given):
    """Make a webhook; return its secret."""
    made = client.post(PATH, json={"name": word, "url": receiver.url, **given})
    assert made.status_code == 201, made.text
    return made.json["secret"]


def log(client, word, query=""):
    """Return the delivery log."""
    return client.get(f"{PATH}/{word}/deliveries?{query}").json["deliveries"]


# -- making one ------------------------------------------------------------------------------


def test_the_secret_is_shown_once_and_kept_sealed(client, engine, receiver, word):
    """In the answer that makes it, and in that of the same request sent again."""
    key = {"Idempotency-Key": word}
    said = {"name": word, "url": receiver.url}
    made, again = (client.post(PATH, json=said, headers=key).json for _ in range(2))
    other = client.post(PATH, json=said)

    assert made["secret"].startswith("whsec_")
    assert again["secret"] == made["secret"]
    assert (other.status_code, other.json.get("secret")) == (200, None)
    assert "secret" not in client.get(f"{PATH}/{word}").json
    with Session(engine) as session:
        kept = session.get_one(SubscriptionRow, word).secret
    assert kept is not None
    assert kept.startswith("test:")
    assert made["secret"].removeprefix("whsec_") not in kept


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "ftp://a.example",
        "http://169.254.169.254/",
    ],
)
def test_a_private_address_is_refused_unless_it_was_permitted(engine, broker, url, word):
    """Whoever may subscribe must not reach into our network."""
    client = application(FakeBus(), engine=engine, broker=broker).test_client()
    refused = client.post(PATH, json={"name": word, "url": url}, headers=BEARER)

    assert refused.status_code == 400
    assert "url" in refused.json["detail"]


# -- bringing --------------------------------------------------------------------------------


def test_each_event_is_posted_signed_and_logged(client, broker, receiver, start, word):
    """Those that were asked for, in order; the receiver can prove that they are ours."""
    start()
    secret = subscribe(client, word, receiver, types=["call.*"])
    tell(broker, event("leg.ended"), *(event(subject="c", fact=str(n)) for n in range(5)))
    until(lambda: len(receiver.posted) == 5)

    bodies = [orjson.loads(posted.body) for posted in receiver.posted]
    assert [body["time"][17:19] for body in bodies] == ["20", "21", "22", "23", "24"]
    for posted in receiver.posted:
        given, at = posted.headers["webhook-id"], int(posted.headers["webhook-timestamp"])
        assert given == orjson.loads(posted.body)["id"]
        assert (
            posted.headers["webhook-signature"]
            == (signed(secret, given, at, posted.body)["webhook-signature"])
        )
    until(lambda: len(log(client, word, "status=delivered")) == 5)
    latest = log(client, word)[0]
    assert (latest["attempts"], latest["answered"], latest["subject"]) == (1, 204, "c")
    shown = client.get(f"{PATH}/{word}").json
    assert (shown["delivers"], shown["depth"], shown["waiting"]) == (True, 0, 0)
    paged = client.get(f"{PATH}/{word}/deliveries?limit=3").json
    rest = client.get(f"{PATH}/{word}/deliveries?limit=3&cursor={paged['next_cursor']}").json
    assert len(paged["deliveries"] + rest["deliveries"]) == 5


def test_an_event_told_twice_is_brought_once(client, broker, receiver, start, word):
    """Its id is known."""
    start()
    subscribe(client, word, receiver)
    same = event(fact="1")
    tell(broker, same, same, event(subject="last"))

    until(lambda: "last" in receiver.subjects)
    assert receiver.subjects.count("c") == 1


def test_a_failing_event_holds_back_its_own_call_only(client, broker, receiver, start, word):
    """Later events of its call wait for it, those of others go on; then the order is the call's."""
    failing = {"bad"}
    receiver.answer = lambda posted: 500 if posted.subject in failing else 204
    start()
    subscribe(client, word, receiver)
    tell(
        broker,
        event(subject="bad", fact="1"),
        event(subject="bad", fact="2"),
        *(event(subject=f"good{number}") for number in range(20)),
    )
    until(lambda: {f"good{number}" for number in range(20)} <= set(receiver.subjects))
    until(lambda: receiver.subjects.count("bad") >= 3)
    tried = {posted.headers["webhook-id"] for posted in receiver.posted if posted.subject == "bad"}
    assert len(tried) == 1
    until(lambda: len(log(client, word, "status=waiting")) == 2)
    waiting = log(client, word, "status=waiting")
    assert sorted(each["attempts"] > 0 for each in waiting) == [False, True]
    failing.clear()
    until(lambda: len(log(client, word, "status=delivered")) == 22)

    order = [p.headers["webhook-id"] for p in receiver.posted if p.subject == "bad"]
    assert len(set(order)) == 2
    assert order == sorted(order, key=lambda each: each not in tried)


def test_what_is_not_taken_for_a_day_goes_to_the_dead_letters(
    client, broker, engine, receiver, start
):
    """With the reason; and comes once more when it is asked for."""
    receiver.answer = lambda _: 500
    receiver.body = b"out of order"
    start()
    subscribe(client, NAME, receiver)
    tell(broker, event(subject="late"))
    until(lambda: log(client, NAME, "status=waiting"))
    with engine.begin() as connection:
        connection.execute(update(DeliveryRow).values(taken_at=func.now() - timedelta(hours=25)))
    until(lambda: log(client, NAME, "status=dead"))

    assert "out of order" in log(client, NAME)[0]["error"]
    assert client.get(f"{PATH}/{NAME}").json["dead"] == 1
    receiver.answer = lambda _: 204
    again = client.post(f"{PATH}/{NAME}/redeliver", json={"dead": True})
    assert (again.status_code, again.json["redelivered"]) == (202, 1)
    until(lambda: log(client, NAME, "status=delivered"))
    until(lambda: client.get(f"{PATH}/{NAME}").json["dead"] == 0)


def test_a_receiver_that_is_gone_is_left_alone_and_that_is_told(
    client, broker, channel, receiver, start
):
    """410; until somebody asks for the same subscription again."""
    receiver.answer = lambda _: 410
    client.post(PATH, json={"name": f"{NAME}-told", "types": ["subscription.switched_off"]})
    start()
    subscribe(client, NAME, receiver, types=["call.*"])
    tell(broker, event(subject="1"))
    told = orjson.loads(wait_for(channel, f"subscription.{NAME}-told").body)
    shown = client.get(f"{PATH}/{NAME}").json
    assert (told["subject"], shown["delivers"]) == (NAME, False)
    assert "410" in shown["switched_off"]
    tell(broker, event(subject="2"))

    receiver.answer = lambda _: 204
    again = client.post(PATH, json={"name": NAME, "url": receiver.url, "types": ["call.*"]})
    assert again.status_code == 200
    until(lambda: {"1", "2"} <= set(receiver.subjects[1:]))
    assert client.get(f"{PATH}/{NAME}").json["delivers"] is True


def test_a_receiver_that_takes_nothing_leaves_the_rest_in_the_queue(
    client, broker, receiver, start, word
):
    """The queue's bounds hold, whatever is taken from it: one more batch than the window."""
    receiver.answer = lambda _: 500
    start(most_waiting=1)
    subscribe(client, word, receiver)
    tell(broker, event(subject="first"))
    until(lambda: client.get(f"{PATH}/{word}").json["waiting"] == 1)
    tell(broker, *(event(subject=f"s{number}") for number in range(10)))
    until(lambda: client.get(f"{PATH}/{word}").json["depth"] == 10)

    receiver.answer = lambda _: 204
    until(lambda: {f"s{number}" for number in range(10)} <= set(receiver.subjects))


def test_what_a_killed_gateway_had_under_way_is_brought_by_another(
    client, broker, engine, receiver, start
):
    """Once its lease is over."""
    subscribe(client, NAME, receiver)
    dying = start(lease=timedelta(seconds=1))
    dying.deliverer.stop()
    tell(broker, event(subject="kept"))
    until(lambda: log(client, NAME, "status=waiting"))
    (claim,) = DeliveryStore(engine).claim(NAME, limit=5, lease=timedelta(seconds=1))
    assert claim.type == "call.ended"
    assert DeliveryStore(engine).claim(NAME, limit=5, lease=timedelta(seconds=1)) == []
    dying.stop()

    start()
    until(lambda: receiver.subjects == ["kept"])


def test_two_gateways_bring_each_event_once_and_in_order(client, broker, receiver, start, word):
    """One of them takes from the queue; each event is claimed by one."""
    start()
    start()
    subscribe(client, word, receiver)
    for number in range(30):
        tell(broker, event(subject=f"{number % 3}", fact=str(number)))
    until(lambda: len(receiver.posted) == 30)

    for call in "012":
        times = [
            orjson.loads(posted.body)["time"]
            for posted in receiver.posted
            if posted.subject == call
        ]
        assert times == sorted(times)
        assert len(times) == 10


def test_what_is_no_event_stops_nobody(client, broker, channel, receiver, start):
    """Anybody may publish; it goes to the dead letters of all."""
    start()
    subscribe(client, NAME, receiver)
    for body in (b"no JSON", b"[]", b'{"id": "a\\nb"}', b"{}"):
        junk = Message(exchange="voice.events", routing_key="call.ended", body=body, type="x")
        broker.publish(junk).result(10)
    tell(broker, event(subject="good"))

    until(lambda: receiver.subjects == ["good"])
    until(lambda: left_in(channel, "voice.dead") == 4)


def test_a_deleted_webhook_brings_nothing_more(client, broker, receiver, start, word):
    """Nor what it had taken, to whoever gets its name."""
    receiver.answer = lambda _: 500
    start()
    subscribe(client, word, receiver)
    tell(broker, event(subject="old"))
    until(lambda: receiver.subjects)
    assert client.delete(f"{PATH}/{word}").status_code == 204
    with Receiver() as other:
        subscribe(client, word, other)
        until(lambda: client.get(f"{PATH}/{word}").json["consumers"] == 1)
        tell(broker, event(subject="new"))
        until(lambda: other.subjects == ["new"])


# -- once more -------------------------------------------------------------------------------


def test_events_come_once_more_by_id_and_by_place(client, broker, receiver, start, word):
    """From the log, and from the journal where they are of those that were asked for."""
    start()
    subscribe(client, word, receiver, types=["call.*"], match={"switch": word})
    one, two = (event(subject=f"{word}-{number}", switch=word) for number in (1, 2))
    tell(broker, one, event("leg.ended", switch=word), event(subject="other"), two)
    until(lambda: len(receiver.posted) == 2)
    until(lambda: len(log(client, word, "status=delivered")) == 2)
    again = client.post(f"{PATH}/{word}/redeliver", json={"event_ids": [str(two.id)]})
    assert (again.status_code, again.json["redelivered"]) == (202, 1)
    until(lambda: receiver.subjects[2:] == [two.subject])
    until(lambda: len(log(client, word, "status=delivered")) == 2)

    page: list[Any] = []
    after = 0
    while not page:
        found = client.get(f"/v1/events?after={after}&call_id={one.subject}&limit=500").json
        page = [each for each in found["events"] if each["event"]["id"] == one.id]
        after = found["next_after"]
    place = page[0]["offset"]
    piece = {"after": place - 1, "until": place + 3}
    again = client.post(f"{PATH}/{word}/redeliver", json=piece)
    assert (again.json["redelivered"], again.json["next_after"]) == (2, None)
    until(lambda: sorted(receiver.subjects[3:]) == [one.subject, two.subject])


def test_a_queue_without_webhook_gets_its_dead_letters_back(client, broker, channel, word):
    """What its consumer rejected is there again."""
    client.post(PATH, json={"name": word})
    tell(broker, event(subject="1"))
    method, *_ = channel.basic_get(f"subscription.{word}")
    channel.basic_reject(method.delivery_tag, requeue=False)
    until(lambda: client.get(f"{PATH}/{word}").json["dead"] == 1)
    again = client.post(f"{PATH}/{word}/redeliver", json={"dead": True})

    assert again.json["redelivered"] == 1
    until(lambda: client.get(f"{PATH}/{word}").json["dead"] == 0)
    assert client.get(f"{PATH}/{word}").json["depth"] == 1
    assert client.get(f"{PATH}/{word}").json["delivers"] is None


@pytest.mark.parametrize(
    "wish", [{}, {"dead": False}, {"dead": True, "after": 1}, {"until": 5}, {"event_ids": []}]
)
def test_a_wrong_wish_for_redelivery_is_named(client, word, wish):
    """One way at a time."""
    client.post(PATH, json={"name": word})

    assert client.post(f"{PATH}/{word}/redeliver", json=wish).status_code == 400


def test_what_is_not_there_is_not_found(client, word):
    """Neither subscription nor event."""
    assert client.get(f"{PATH}/{word}/deliveries").status_code == 404
    assert client.post(f"{PATH}/{word}/redeliver", json={"dead": True}).status_code == 404
    client.post(PATH, json={"name": word})
    missing = client.post(f"{PATH}/{word}/redeliver", json={"event_ids": ["x"]})
    assert missing.status_code == 404
    assert "event_ids" in missing.json["detail"]
    assert client.get(f"{PATH}/{word}/deliveries?cursor=WyJ4Il0").status_code == 400


def test_old_deliveries_are_forgotten(client, broker, engine, receiver, start):
    """After seven days; what waits is kept."""
    start()
    subscribe(client, NAME, receiver)
    tell(broker, event(subject="old"), event(subject="young"))
    until(lambda: len(log(client, NAME, "status=delivered")) == 2)
    with engine.begin() as connection:
        old = update(DeliveryRow).where(DeliveryRow.subject == "old")
        connection.execute(old.values(done_at=func.now() - timedelta(days=8)))
    DeliveryStore(engine).prune()

    assert [each["subject"] for each in log(client, NAME)] == ["young"]


def test_without_a_broker_nothing_is_brought_once_more(engine, client, word):
    """503."""
    client.post(PATH, json={"name": word})
    away = application(FakeBus(), engine=engine, broker=no_broker()).test_client()
    for wish in ({"dead": True}, {"after": 1}):
        refused = away.post(f"{PATH}/{word}/redeliver", json=wish, headers=BEARER)
        assert refused.status_code == 503
