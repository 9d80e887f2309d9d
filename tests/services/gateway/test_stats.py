"""`/v1/stats`, on a real PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.reports import statistics
from shared.database.engine import open_engine
from tests.services.gateway.building import FakeBus, application
from tests.services.gateway.clients import START, call_row, is_problem, keep, with_token

OVER = {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}


@pytest.fixture(scope="module")
def app(postgres):
    """Give one app for all tests, on the real database."""
    engine = open_engine(postgres.url)
    yield application(FakeBus(), engine=engine)
    engine.dispose()


@pytest.fixture
def client(app):
    """Give the administrator's client."""
    return with_token(app)


def groups(client, **query):
    """Return the groups."""
    response = client.get("/v1/stats", query_string={**OVER, **query})
    assert response.status_code == 200, response.text
    return response.json["groups"]


def test_calls_are_counted(client, engine, word):
    """How many there were, how many were answered, how long they rang and talked."""
    keep(
        engine,
        call_row(f"{word}1", product_code=word, ring_ms=1000, talk_ms=60_000, records=2),
        call_row(f"{word}2", product_code=word, ring_ms=2000, talk_ms=30_001, records=2),
        call_row(f"{word}3", product_code=word, ring_ms=3000, outcome="busy", records=2),
        call_row(
            f"{word}4",
            product_code=word,
            outcome="unreachable",
            hangup_cause="USER_NOT_REGISTERED",
        ),
        call_row(f"{word}5", product_code=word, outcome=None),
    )

    answer = client.get("/v1/stats", query_string={**OVER, "product_code": word}).json

    assert answer == {
        **OVER,
        "tz": "UTC",
        "by": [],
        "groups": [
            {
                "calls": 4,
                "answered": 2,
                "answer_rate": 0.5,
                "asr": 0.6667,
                "acd_ms": 45_000,
                "talk_ms": 90_001,
                "average_ring_ms": 2000,
            }
        ],
    }


def test_what_records_say_counts_where_no_event_was_told(client, engine, word):
    """And what events say goes first."""
    keep(
        engine,
        call_row(
            f"{word}1",
            product_code=word,
            outcome=None,
            recorded_outcome="answered",
            recorded_cause="NORMAL_CLEARING",
            recorded_talk_ms=5,
            recorded_ring_ms=7,
        ),
        call_row(
            f"{word}2",
            product_code=word,
            outcome="busy",
            hangup_cause="USER_BUSY",
            recorded_outcome="answered",
            recorded_cause="X",
        ),
    )

    first, second = groups(client, product_code=word, by="outcome,cause")

    assert (first["outcome"], first["cause"]) == ("answered", "NORMAL_CLEARING")
    assert (first["talk_ms"], first["average_ring_ms"]) == (5, 7)
    assert (second["outcome"], second["cause"], second["asr"]) == ("busy", "USER_BUSY", 0.0)


def test_nothing_is_no_division_by_zero(client, word):
    """One group of no calls; by anything, none."""
    (none,) = groups(client, product_code=word)

    assert (none["calls"], none["answer_rate"], none["asr"], none["acd_ms"]) == (
        0,
        None,
        None,
        None,
    )
    assert groups(client, product_code=word, by="day") == []


@pytest.mark.parametrize(
    "case",
    [
        ("queue", {"queue": "sales@x"}, "sales@x"),
        ("agent", {"agent": "1001@x", "extension": "1001"}, "1001"),
        ("agent", {"agent": "1001@x"}, "1001@x"),
        ("product", {}, None),
        ("cause", {"hangup_cause": "USER_BUSY"}, "USER_BUSY"),
        ("outcome", {"outcome": "busy"}, "busy"),
        ("direction", {"direction": "inbound"}, "inbound"),
        ("campaign", {"campaign": "spring"}, "spring"),
        ("hour", {}, "2026-11-23T04:00:00+00:00"),
        ("day", {}, "2026-11-23"),
        ("queue", {}, None),
    ],
)
def test_every_group_there_is(client, engine, word, case):
    """Also that of calls which have none."""
    by, columns, shown = case
    keep(engine, call_row(word, product_code=word, **columns))

    (group,) = groups(client, product_code=word, by=by)

    assert group[by] == (word if by == "product" else shown)
    assert group["calls"] == 1


@pytest.mark.parametrize("name", ["queue", "agent", "direction", "campaign", "product_code"])
def test_every_filter_there_is(client, engine, word, name):
    """Calls with another value, or with none, are not counted."""
    column = {name: word[:30]}
    keep(engine, call_row(f"{word}1", **column), call_row(f"{word}2", **{name: "other"}))
    keep(engine, call_row(f"{word}3"))

    (group,) = groups(client, **column)
    assert group["calls"] == 1


def test_an_agent_is_found_by_extension_and_by_name(client, engine, word):
    """A click-to-call has the one, a queue's call both."""
    keep(
        engine,
        call_row(f"{word}1", extension=word),
        call_row(f"{word}2", extension=word, agent=f"{word}@x"),
    )

    assert groups(client, agent=word)[0]["calls"] == 2
    assert groups(client, agent=f"{word}@x")[0]["calls"] == 1


def test_the_hour_that_comes_twice_is_two(client, engine, word):
    """When summer ends in Berlin, at 01:00 UTC, it is two o'clock for the second time."""
    for number, at in enumerate(["00:30", "00:59", "01:00", "01:30", "02:00"]):
        moment = datetime.fromisoformat(f"2026-10-25T{at}:00+00:00")
        keep(engine, call_row(f"{word}{number}", product_code=word, at=moment))
    ask = {"product_code": word, "tz": "Europe/Berlin", "from": "2026-10-24T00:00:00Z"}

    assert [(g["hour"], g["calls"]) for g in groups(client, by="hour", **ask)] == [
        ("2026-10-25T02:00:00+02:00", 2),
        ("2026-10-25T02:00:00+01:00", 2),
        ("2026-10-25T03:00:00+01:00", 1),
    ]


def test_a_day_is_the_zone_s_however_long(client, engine, word):
    """25 hours when summer ends; the next one begins at midnight there."""
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)  # midnight in Berlin
    for number, after in enumerate([-1, 0, 24, 25]):
        at = begin + timedelta(hours=after)
        keep(engine, call_row(f"{word}{number}", product_code=word, at=at))
    ask = {"product_code": word, "tz": "Europe/Berlin", "from": "2026-10-24T00:00:00Z"}

    assert [(g["day"], g["calls"]) for g in groups(client, by="day", **ask)] == [
        ("2026-10-24", 1),
        ("2026-10-25", 2),
        ("2026-10-26", 1),
    ]


@pytest.mark.parametrize(
    "case",
    [
        ("UTC", "2026-11-23T04:00:00+00:00", "2026-11-23"),
        ("Asia/Kathmandu", "2026-11-23T09:00:00+05:45", "2026-11-23"),
        ("Asia/Kolkata", "2026-11-23T09:00:00+05:30", "2026-11-23"),
        ("America/Los_Angeles", "2026-11-22T20:00:00-08:00", "2026-11-22"),
        ("Australia/Lord_Howe", "2026-11-23T15:00:00+11:00", "2026-11-23"),
        ("Pacific/Kiritimati", "2026-11-23T18:00:00+14:00", "2026-11-23"),
    ],
)
def test_hours_and_days_begin_where_the_zone_says(client, engine, word, case):
    """Also where that is no whole hour from UTC."""
    zone, hour, day = case
    keep(engine, call_row(word, product_code=word, at=START))

    (group,) = groups(client, product_code=word, tz=zone, by="hour,day")

    assert (group["hour"], group["day"]) == (hour, day)


def test_every_zone_that_is_taken_is_counted_in(client):
    """PostgreSQL knows it too, or the answer says that it does not."""
    for zone in sorted(statistics._zones()):
        response = client.get("/v1/stats", query_string={**OVER, "by": "hour,day", "tz": zone})
        assert response.status_code == 200 or zone in response.json["detail"], zone


def test_groups_are_in_order(client, engine, word):
    """By the first that was asked for, then the next; what has none comes last."""
    for number, (queue, hours) in enumerate([("b", 0), ("a", 1), (None, 0), ("a", 0)]):
        at = START + timedelta(hours=hours)
        keep(engine, call_row(f"{word}{number}", product_code=word, queue=queue, at=at))

    found = groups(client, product_code=word, by="queue,hour")
    assert [(g["queue"], g["hour"][11:13]) for g in found] == [
        ("a", "04"),
        ("a", "05"),
        ("b", "04"),
        (None, "04"),
    ]


def test_the_last_month_is_counted_by_itself(client):
    """31 days up to now."""
    answer = client.get("/v1/stats").json

    since, until = (datetime.fromisoformat(answer[name]) for name in ("from", "to"))
    assert until - since == timedelta(days=31)
    assert abs(datetime.now(UTC) - until) < timedelta(minutes=1)


def test_too_many_groups_are_refused(client, engine, word, monkeypatch):
    """With what to do about it; as many as there may be are given."""
    keep(engine, *[call_row(f"{word}{n}", product_code=word, queue=f"{n}") for n in range(3)])

    monkeypatch.setattr(statistics, "MOST_GROUPS", 3)
    assert len(groups(client, product_code=word, by="queue")) == 3
    monkeypatch.setattr(statistics, "MOST_GROUPS", 2)
    detail = is_problem(
        client.get("/v1/stats", query_string={**OVER, "product_code": word, "by": "queue"}), 400
    )
    assert "shorter time" in detail


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("by=number", "by"),
        ("by=", "by"),
        ("by=day,", "by"),
        ("by=day,day", "by"),
        ("by=day,queue,agent,cause", "by"),
        ("by=day'--", "by"),
        (f"by={'x' * 101}", "by"),
        ("tz=Mars/Olympus", "tz"),
        ("tz=../../etc/passwd", "tz"),
        ("tz=America", "tz"),
        ("tz=", "tz"),
        ("tz=UTC%00", "tz"),
        ("tz=%2B01:00", "tz"),
        ("from=2026-11-01", "from"),
        ("from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z", "from"),
        ("from=2024-11-02T00:00:00Z&to=2026-11-01T00:00:00Z", "from"),
        ("since=2026-11-02T00:00:00Z", "since"),
        ("queue=%00", "queue"),
    ],
)
def test_what_cannot_be_asked_is_named(client, query, named):
    """And nothing is counted as if it had not been there."""
    assert named in is_problem(client.get(f"/v1/stats?{query}"), 400)
