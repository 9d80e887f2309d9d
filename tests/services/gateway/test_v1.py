"""The resources under `/v1`, on a real RabbitMQ and a real PostgreSQL."""

import json
import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from openapi_spec_validator import validate

from services.directory.handlers import Users
from services.gateway.commands import CommandBus
from services.gateway.paging import cursor
from shared.broker.commands import CommandConsumer
from shared.broker.connection import Broker
from shared.database.tables import CallEventRow, CallRow, CommandRow, RegistrationRow
from shared.messages.commands import Owner
from tests.services.directory.building import VAULT
from tests.services.gateway.building import DOMAIN, TOKEN, application, no_broker
from tests.services.gateway.clients import START, is_problem, keep, with_token
from tests.waiting import until

CALL = {
    "extension": "1001",
    "customer_number": "+8613800138000",
    "crm_uuid": "123",
    "product_code": "C68",
}
FORGETS = ("DELETE", "/v1/cdrs")
ROUTES = [
    ("POST", "/v1/calls"),
    ("GET", "/v1/calls"),
    ("GET", "/v1/calls/x"),
    ("GET", "/v1/cdrs"),
    ("DELETE", "/v1/cdrs"),
    ("GET", "/v1/cdrs.csv"),
    ("GET", "/v1/stats"),
    ("POST", "/v1/tokens"),
    ("GET", "/v1/tokens"),
    ("DELETE", "/v1/tokens/x"),
    ("POST", "/v1/users"),
    ("GET", "/v1/users"),
    ("GET", "/v1/users/1001"),
    ("PATCH", "/v1/users/1001"),
    ("POST", "/v1/users/1001/password"),
    ("DELETE", "/v1/users/1001"),
    ("POST", "/v1/subscriptions"),
    ("GET", "/v1/subscriptions"),
    ("GET", "/v1/subscriptions/x"),
    ("DELETE", "/v1/subscriptions/x"),
    ("POST", "/v1/subscriptions/x/redeliver"),
    ("GET", "/v1/subscriptions/x/deliveries"),
    ("GET", "/v1/events"),
    ("GET", "/v1/events/stream"),
]


@pytest.fixture
def client(app):
    """Give a client with the token."""
    return with_token(app)


@pytest.fixture
def lonely():
    """Give a client whose gateway reaches neither broker nor database."""
    return with_token(application(CommandBus(no_broker())))


@pytest.fixture
def directory(rabbit, channel, engine):  # noqa: ARG001
    """Give the directory's real command handlers, at work."""
    broker = Broker(rabbit.url, name="directory")
    consumer = CommandConsumer(
        broker, Owner.DIRECTORY, Users(engine, DOMAIN, VAULT, broker.publish).handlers, workers=2
    )
    broker.start()
    until(lambda: broker.connected)
    yield broker
    consumer.stop()
    broker.stop()


@pytest.fixture
def users(directory, engine):
    """Give a client in front of a gateway that reaches the real directory."""
    return with_token(application(CommandBus(directory), engine=engine))


def pages(client, path, name):
    """Return what all pages of a list hold, two at a time."""
    found, following = [], None
    while True:
        sign = "&" if "?" in path else "?"
        on = f"&cursor={following}" if following else ""
        page = client.get(f"{path}{sign}limit=2{on}").json
        found += page[name]
        following = page["next_cursor"]
        if following is None:
            return found
        assert len(page[name]) == 2


def call_row(call_id, **columns):
    """Return a call that lives."""
    given = {
        "at": START,
        "sequence": 1,
        "state": "created",
        "created_at": START,
        "records": 0,
        **columns,
    }
    return CallRow(call_id=call_id, **given)


# -- who may come in -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"), [*ROUTES, ("GET", "/v1/nothing"), ("PUT", "/v1/calls")]
)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        TOKEN,
        f"Basic {TOKEN}",
        f"Token {TOKEN}",
        "Bearer éÿ",
    ],
)
def test_nobody_comes_in_without_a_bearer_token(app, bus, method, path, authorization):
    """On no route, and nobody learns which routes there are."""
    headers = {} if authorization is None else {"Authorization": authorization}
    response = app.test_client().open(path, method=method, headers=headers, json=CALL)

    is_problem(response, 401)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert bus.commands == []


def test_every_route_under_v1_was_tried(app):
    """A route that is added later must be added above."""
    rules = {
        (method, re.sub(r"<\w+>", "x", str(rule)).replace("/users/x", "/users/1001"))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if str(rule).startswith("/v1/") and method not in {"HEAD", "OPTIONS"}
    }

    assert rules == set(ROUTES)


def test_the_scheme_s_case_does_not_matter(client):
    """RFC 9110, 11.1."""
    response = client.get("/v1/calls", headers={"Authorization": f"bearer  {TOKEN}"})

    assert response.status_code == 200


# -- POST /v1/calls --------------------------------------------------------------------------


def test_a_call_is_accepted_and_its_command_is_on_the_queue(broker, channel, engine):
    """Exactly as a CRM could have published it itself."""
    client = with_token(application(CommandBus(broker), engine=engine))
    response = client.post("/v1/calls", json={**CALL, "trunk": "carrier", "caller_id": "4930123"})

    method, properties, body = channel.basic_get("dialer.commands", auto_ack=True)
    call_id = response.json["call_id"]
    assert response.status_code == 202
    assert response.headers["Location"] == response.json["location"] == f"/v1/calls/{call_id}"
    assert (method.exchange, method.routing_key) == ("voice.commands", "call.originate")
    assert properties.type == "call.originate"
    assert properties.message_id == call_id == str(UUID(call_id))
    assert properties.content_type == "application/json"
    assert properties.delivery_mode == 2
    assert properties.reply_to is None
    assert orjson.loads(body) == {**CALL, "trunk": "carrier", "caller_id": "4930123"}


def test_what_is_not_given_is_not_in_the_command(client, bus):
    """No null for it."""
    client.post("/v1/calls", json=CALL)

    ((command, _),) = bus.commands
    assert orjson.loads(command.encode()) == CALL


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("extension", "10 01"),
        ("extension", "123456789"),
        ("extension", 1001),
        ("customer_number", "12"),
        ("customer_number", "+1234567890123456"),
        ("customer_number", "1234\n"),
        ("customer_number", "${x}"),
        ("customer_number", None),
        ("crm_uuid", "a" * 33),
        ("crm_uuid", "\ud800"),
        ("product_code", "C68\0"),
        ("trunk", "carrier,other"),
        ("caller_id", "Anna"),
        ("caller_id", ["4930123"]),
        ("token", TOKEN),
        ("a\0b", "x"),
    ],
)
def test_a_wrong_field_is_named(client, bus, field, value):
    """400, and no command."""
    assert field in is_problem(client.post("/v1/calls", json={**CALL, field: value}), 400)
    assert bus.commands == []


@pytest.mark.parametrize("field", CALL)
def test_a_missing_field_is_named(client, bus, field):
    """Each of the four is needed."""
    said = {name: value for name, value in CALL.items() if name != field}

    assert field in is_problem(client.post("/v1/calls", json=said), 400)
    assert bus.commands == []


@pytest.mark.parametrize(
    "text", [b"", b"x", b"3", b"[]", b"null", b"\xff", b"[" * 30000, b'{"\\ud800": 1}']
)
def test_a_body_that_is_no_object_is_refused(client, bus, text):
    """400, and not a fault of ours."""
    assert "body" in is_problem(client.post("/v1/calls", data=text), 400)
    assert bus.commands == []


def test_a_huge_body_is_refused(client):
    """Nobody needs more than 64 KiB."""
    is_problem(client.post("/v1/calls", data=b"x" * 70000), 413)


def test_a_wrong_method_is_told_the_right_ones(client):
    """RFC 9110, 15.5.6."""
    response = client.delete("/v1/calls")

    is_problem(response, 405)
    assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))


def test_the_same_key_is_the_same_call(client, bus, engine, word):
    """Before somebody began to carry it out and after; then it is not even sent again."""
    key = {"Idempotency-Key": word}
    first, second = (client.post("/v1/calls", json=CALL, headers=key) for _ in range(2))
    (_, call_id), (_, again) = bus.commands
    assert call_id == again
    assert first.json == second.json == {"call_id": str(call_id), "location": first.location}

    keep(engine, command_row(call_id))
    third = client.post("/v1/calls", json=CALL, headers=key)
    assert (third.status_code, third.json) == (202, first.json)
    assert len(bus.commands) == 2


def test_the_same_key_for_another_call_is_a_conflict(client, bus, engine, word):
    """Which of the two was meant, only the client knows."""
    key = {"Idempotency-Key": word}
    client.post("/v1/calls", json=CALL, headers=key)
    ((_, call_id),) = bus.commands
    keep(engine, command_row(call_id))

    response = client.post("/v1/calls", json={**CALL, "crm_uuid": "other"}, headers=key)
    assert "Idempotency-Key" in is_problem(response, 409)
    assert len(bus.commands) == 1


def command_row(command_id):
    """Return the row of a call that the dialer began."""
    return CommandRow(
        id=command_id, name="call.originate", data=CALL, switch="fs1", claimed_at=START
    )


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_that_is_none_is_named(client, bus, key):
    """An empty one would be everybody's."""
    response = client.post("/v1/calls", json=CALL, headers={"Idempotency-Key": key})

    assert "Idempotency-Key" in is_problem(response, 400)
    assert bus.commands == []


# -- reading calls ---------------------------------------------------------------------------


def test_only_calls_that_live_are_listed(client, engine, word):
    """Each once, in the order of their ids, however many pages it takes."""
    live = [f"{word}-{number}" for number in range(5)]
    keep(
        engine,
        *(call_row(call_id, crm_uuid="123", switch="fs1") for call_id in reversed(live)),
        call_row(f"{word}-1-over", state="ended", ended_at=START, outcome="answered"),
        call_row(f"{word}-2-of-which-only-records-are-there", state="recorded", created_at=None),
    )

    listed = pages(client, "/v1/calls", "calls")
    ours = [call for call in listed if call["call_id"].startswith(word)]
    assert [call["call_id"] for call in ours] == live
    assert ours[0] == {
        "call_id": live[0],
        "state": "created",
        "crm_uuid": "123",
        "product_code": None,
        "direction": None,
        "switch": "fs1",
        "created_at": "2026-11-23T04:00:00Z",
        "answered_at": None,
        "ended_at": None,
        "outcome": None,
        "hangup_cause": None,
        **dict.fromkeys(("extension", "number", "queue", "agent", "campaign", "ring_ms")),
        **dict.fromkeys(("talk_ms", "recorded_outcome", "recorded_cause", "disagrees", "missing")),
        "records": 0,
    }


WRONG_CURSORS = [
    "x",
    "%00",
    "%ff",
    "!!!!",
    "W10",
    cursor("a", "b"),
    cursor("a\0"),
    "ImEi",
    "WzFd",
    "W1tbW1tb",
    "é",
]


@pytest.mark.parametrize("wrong", [*WRONG_CURSORS, "x" * 601])
@pytest.mark.parametrize("path", ["/v1/calls?", "/v1/users?", "/v1/cdrs?call_id=x&"])
def test_a_cursor_that_no_list_gave_is_named(client, path, wrong):
    """Whatever it decodes to."""
    if path.startswith("/v1/cdrs"):
        wrong = wrong.replace(cursor("a", "b"), cursor("a"))

    assert "cursor" in is_problem(client.get(f"{path}cursor={wrong}"), 400)


@pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "1.5", "", "%00", "9" * 5000])
def test_a_limit_that_is_none_is_named(client, limit):
    """From 1 to 500."""
    assert "limit" in is_problem(client.get(f"/v1/calls?limit={limit}"), 400)


def test_a_call_is_shown_with_its_life_in_order(client, engine, word):
    """Whichever order the events were stored in."""
    types = ["call.created", "leg.created", "leg.answered", "call.ended"]
    keep(engine, call_row(word, state="ended", sequence=4, ended_at=START, outcome="cancelled"))
    for number, name in reversed(list(enumerate(types, 1))):
        at = START + timedelta(seconds=number)
        keep(
            engine, CallEventRow(call_id=word, sequence=number, type=name, at=at, data={"n": name})
        )

    shown = client.get(f"/v1/calls/{word}").json
    assert (shown["call_id"], shown["state"], shown["outcome"]) == (word, "ended", "cancelled")
    assert [moment["type"] for moment in shown["timeline"]] == types
    assert [moment["sequence"] for moment in shown["timeline"]] == [1, 2, 3, 4]
    assert shown["timeline"][0]["data"] == {"n": "call.created"}
    assert shown["timeline"][0]["at"] == "2026-11-23T04:00:01Z"


def test_a_call_of_which_nothing_was_told_is_not_found(client):
    """Its command may still wait."""
    unknown = str(uuid4())

    assert unknown in is_problem(client.get(f"/v1/calls/{unknown}"), 404)


ODD = ["%00", "a%00b", "%0a", "a%0a", "%20", "%C3%A9", "x" * 257, "%7F"]


@pytest.mark.parametrize(
    "path",
    [f"/v1/calls/{odd}" for odd in ODD]
    + [f"/v1/users/{odd}" for odd in ODD]
    + [f"/v1/users/1001?domain={odd}" for odd in ODD]
    + [f"/v1/users?domain={odd}" for odd in ODD]
    + [f"/v1/cdrs?call_id={odd}" for odd in [*ODD, ""]]
    + [f"/v1/cdrs?crm_uuid={odd}" for odd in [*ODD, "x" * 33, ""]],
)
def test_odd_characters_are_the_client_s_fault(client, path):
    """They never reach the database, which cannot hold all of them."""
    assert is_problem(client.get(path), 400)


@pytest.mark.parametrize("odd", ["%ff", "%ED%A0%80", "%f0%28%8c%28"])
@pytest.mark.parametrize("path", ["calls/", "users/", "users?domain=", "cdrs?call_id="])
def test_bytes_that_are_no_utf_8_find_nothing(client, path, odd):
    """Nor do they break anything."""
    response = client.get(f"/v1/{path}{odd}")

    assert response.status_code == 400 or response.json["cdrs"] == []


@pytest.mark.parametrize("path", ["/v1/calls/a%2Fb", "/v1/calls/'%3B--", "/v1/users/..", "/v1/"])
def test_what_is_nowhere_is_not_found(client, path):
    """A problem, like everything else."""
    is_problem(client.get(path), 404)


# -- users -----------------------------------------------------------------------------------


def test_a_user_lives_from_its_creation_to_its_deletion(users, extension):
    """Created, shown, listed, changed, deleted; each is true from the answer on."""
    place = f"/v1/users/{extension}"
    created = users.post("/v1/users", json={"extension": extension, "password": "s3cret-enough"})
    assert (created.status_code, created.headers["Location"]) == (201, place)
    assert created.json == {"extension": extension, "domain": DOMAIN}

    shown = users.get(place).json
    assert (shown["enabled"], shown["registered"], shown["group"]) == (True, False, None)
    assert shown["has_password"] is True
    assert shown in pages(users, "/v1/users", "users")

    change = {"enabled": False, "display_name": "Ann", "variables": {"region": "north"}}
    changed = users.patch(place, json=change)
    assert changed.status_code == 200
    assert changed.json == users.get(place).json
    assert changed.json == shown | change | {"changed_at": changed.json["changed_at"]}
    assert users.patch(place, json={"display_name": None}).json["display_name"] is None

    deleted = users.delete(place)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert extension in is_problem(users.get(place), 404)
    assert extension in is_problem(users.delete(place), 404)
    assert extension in is_problem(users.patch(place, json=change), 404)
    assert extension in is_problem(users.post(f"{place}/password"), 404)


def test_a_password_that_we_make_is_shown_once(users, extension):
    """In the answer to the creation or the rotation, and nowhere else."""
    place = f"/v1/users/{extension}"
    made = users.post("/v1/users", json={"extension": extension}).json["password"]
    rotated = users.post(f"{place}/password")
    assert rotated.status_code == 201

    assert len(made) >= 20
    assert made != rotated.json["password"]
    assert made not in users.get(place).text
    assert rotated.json["password"] not in users.get(place).text
    changed = users.patch(place, json={"password": "an0ther-one-of-mine"})
    assert "an0ther-one-of-mine" not in changed.text


def test_no_answer_shows_a_voicemail_password(users, extension):
    """It is a secret as the other one is."""
    said = {"extension": extension, "voicemail_password": "471147114711"}
    answers = [users.post("/v1/users", json=said), users.get(f"/v1/users/{extension}")]

    assert not any("4711" in answer.text for answer in answers)


def test_a_user_who_exists_is_not_created_again(users, extension, word):
    """409, unless it is the same request that came twice."""
    said = {"extension": extension}
    key = {"Idempotency-Key": word}
    first = users.post("/v1/users", json=said, headers=key)

    assert first.status_code == 201
    assert users.post("/v1/users", json=said, headers=key).json == first.json
    assert "exists" in is_problem(users.post("/v1/users", json=said), 409)


def test_a_user_of_another_domain_is_found_where_its_location_says(users, extension, word):
    """A domain is the same in capitals."""
    domain = f"{word}.Example"
    created = users.post("/v1/users", json={"extension": extension, "domain": domain})
    place = created.headers["Location"]

    assert users.get(place).json["domain"] == domain.lower()
    assert users.get(f"/v1/users/{extension}?domain={domain.upper()}").status_code == 200
    assert len(users.get(f"/v1/users?domain={domain}").json["users"]) == 1
    assert users.get(f"/v1/users/{extension}").status_code == 404
    assert users.delete(place).status_code == 204


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("extension", ""),
        ("extension", "1"),
        ("extension", "abc"),
        ("extension", "a b"),
        ("extension", "123456789"),
        ("extension", "1\0"),
        ("password", "short"),
        ("password", "with a blank in it"),
        ("password", "p" * 129),
        ("password", 123456789012),
        ("password", "password12345"),
        ("domain", "a/b"),
        ("domain", "-a.example"),
        ("domain", "a..b"),
        ("domain", "d" * 254),
        ("group", "a b"),
        ("callgroup", "<a>"),
        ("display_name", "x" * 129),
        ("display_name", "a\nb"),
        ("display_name", "<b>"),
        ("effective_caller_id_name", "${system id}"),
        ("effective_caller_id_number", "12345678901234567"),
        ("outbound_caller_id_name", "X-PRE-PROCESS"),
        ("outbound_caller_id_number", "anonymous"),
        ("toll_allow", "a b"),
        ("accountcode", "a&b"),
        ("user_context", ""),
        ("voicemail_password", "abcd"),
        ("voicemail_password", "471"),
        ("enabled", "yes"),
        ("variables", {"x": "$${y}"}),
        ("variables", {"a b": "c"}),
        ("variables", {"accountcode": "c"}),
        ("variables", {"api_hangup_hook": "system id"}),
        ("variables", {"group_confirm_file": "system id"}),
        ("variables", {"transfer_after_bridge": "1002"}),
        ("variables", {"EXPORT_VARS": "x"}),
        ("password", "a-g00d-pa$word"),
        ("variables", {"x": 1}),
        ("variables", {f"x{number}": "y" for number in range(51)}),
        ("admin", True),
    ],
)
def test_a_wrong_field_of_a_user_is_named_and_not_repeated(client, bus, field, value):
    """Whether it is to be created or changed; a secret stays out of the answer."""
    answers = [
        client.post("/v1/users", json={"extension": "1001", field: value}),
        client.post("/v1/users", json=[{"extension": "1002"}, {"extension": "1001", field: value}]),
    ]
    if field not in {"extension", "domain"}:
        answers.append(client.patch("/v1/users/1001", json={field: value}))
    for response in answers:
        detail = is_problem(response, 400)
        assert field in detail
        assert "password" not in field or str(value) not in detail
    assert is_problem(answers[1], 400).startswith("row 2: ")
    assert bus.commands == []


def test_a_list_of_users_is_created_as_json_or_csv(users, word, extension):
    """Every field that has a cell; passwords come back in the order of the list."""
    numbers = [f"{int(extension) + number}" for number in range(4)]
    rows = "".join(
        f"{number},{word}.example,Ann \u00fc,{enabled},north,\r\n"
        for number, enabled in zip(numbers[:2], ("true", "FALSE"), strict=True)
    )
    header = "\ufeffextension,domain,display_name,enabled,variables.region,group\r\n"
    by_csv = users.post(
        "/v1/users",
        data=(header + rows + ",,,,,\r\n\r\n").encode(),
        content_type="text/csv; charset=utf-8",
    )
    listed = [{"extension": number, "domain": f"{word}.example"} for number in numbers[2:]]
    by_json = users.post("/v1/users", json=listed)

    assert (by_csv.status_code, by_json.status_code) == (201, 201), by_csv.text
    made = by_csv.json["users"] + by_json.json["users"]
    assert [user["extension"] for user in made] == numbers
    assert len({user["password"] for user in made}) == 4
    found = pages(users, f"/v1/users?domain={word}.example", "users")
    assert [user["extension"] for user in found] == numbers
    assert [user["enabled"] for user in found] == [True, False, True, True]
    assert found[0]["display_name"] == "Ann \u00fc"
    assert (found[0]["variables"], found[0]["group"]) == ({"region": "north"}, None)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"extension\n1001\n10\n1\n", "row 3: extension"),
        (b"extension,color\n1001,red\n", "row 1: color"),
        (b"extension\n1001,2\n", "row 1"),
        (b"extension,extension\n1001,1002\n", "extension"),
        (b'extension,display_name\n1001,"a\nb"\n', "row 1: display_name"),
        (b'extension\n"1001', "CSV"),
        (b"extension\n\xff\n", "UTF-8"),
        (b"extension\n", "body"),
        (b"", "body"),
        (b"extension,enabled\n1001,perhaps\n", "row 1: enabled"),
        (b"extension\n1001\n\n1002\n", "row 2: extension"),
    ],
)
def test_a_table_with_a_fault_creates_nobody(client, bus, body, told):
    """The row, the column and the reason are named."""
    response = client.post("/v1/users", data=body, content_type="text/csv")

    assert told in is_problem(response, 400)
    assert bus.commands == []


def test_of_ten_thousand_rows_the_bad_one_is_named(client, bus):
    """Nothing is ordered; and one row more is too many."""
    good = [f"{10_000 + number}" for number in range(10_000)]
    for rows, told in (
        ([*good[:9_998], "x", good[-1]], "row 9999: extension"),
        ([*good, "30000"], "10000"),
    ):
        table = "extension\n" + "\n".join(rows)
        response = client.post("/v1/users", data=table, content_type="text/csv")
        assert told in is_problem(response, 400)
    assert bus.commands == []


def test_only_a_list_of_users_may_be_long(client):
    """Every other body is small."""
    long = json.dumps([{"extension": "1001", "display_name": "x" * 100}] * 1000)
    assert len(long) > 100_000

    assert "row" in is_problem(client.post("/v1/users", data=long.replace('"x', '"<')), 400)
    assert client.post("/v1/calls", data=long).status_code == 413
    assert client.post("/v1/users", data=b" " * (13 << 20)).status_code == 413


def test_users_are_listed_page_by_page(users, engine, word):
    """By extension, of one domain; by group and by who is registered where it is asked."""
    domain = f"{word}.example"
    for number in (3, 1, 2, 5, 4):
        fields = {"group": "sales"} if number % 2 else {}
        said = {"extension": f"100{number}", "domain": domain, **fields}
        assert users.post("/v1/users", json=said).status_code == 201
    registrations = [
        RegistrationRow(
            domain=domain, extension=number, switch=switch, registered=registered, at=START
        )
        for number, switch, registered in (
            ("1001", "fs1", True),
            ("1001", "fs2", True),
            ("1002", "fs1", False),
            ("1004", "fs1", True),
        )
    ]
    for registration in registrations:
        keep(engine, registration)

    def listed(query=""):
        found = pages(users, f"/v1/users?domain={domain}{query}", "users")
        return [user["extension"][-1] for user in found]

    assert listed() == ["1", "2", "3", "4", "5"]
    assert listed("&group=sales") == ["1", "3", "5"]
    assert listed("&group=default") == ["2", "4"]
    assert listed("&registered=true") == ["1", "4"]
    assert listed("&registered=false") == ["2", "3", "5"]
    assert listed("&registered=true&group=sales") == ["1"]
    assert users.get(f"/v1/users/1004?domain={domain}").json["registered"] is True
    assert "registered" in is_problem(users.get("/v1/users?registered=perhaps"), 400)


# -- what we need is away --------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_what_is_away_is_a_problem_that_passes(lonely, method, path):
    """503, and when to try again."""
    said: Any = {"extension": "1001"} if "users" in path and method == "POST" else CALL
    said = {} if method == "PATCH" else said
    said = {"name": "x"} if "subscriptions" in path else said
    said = {"event_ids": ["x"]} if "redeliver" in path else said
    said = {"name": "x", "scopes": ["calls"]} if "tokens" in path else said
    where = f"{path}?before=2020-01-01T00:00:00Z" if (method, path) == FORGETS else path
    response = lonely.open(where, method=method, json=said, headers={"Idempotency-Key": "k"})

    assert "away" in is_problem(response, 503) or "broker" in response.json["detail"]
    assert int(response.headers["Retry-After"]) >= 1


def test_a_call_without_a_key_needs_no_database(broker, channel):
    """The command is safe with the broker; nothing else is needed to accept it."""
    response = with_token(application(CommandBus(broker))).post("/v1/calls", json=CALL)

    assert response.status_code == 202
    assert (
        channel.basic_get("dialer.commands", auto_ack=True)[1].message_id
        == (response.json["call_id"])
    )


# -- what it says of itself ------------------------------------------------------------------


def test_the_openapi_document_is_valid_and_names_every_route(app):
    """And says of every resource that it takes a token."""
    document = app.test_client().get("/openapi.json").json

    validate(json.loads(json.dumps(document)))
    named = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(rule)))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if str(rule).startswith(("/v1/", "/web/")) and method not in {"HEAD", "OPTIONS"}
    }
    assert named == served
    for path, item in document["paths"].items():
        for operation in item.values():
            resource = path.startswith("/v1/")
            assert operation.get("security") == ([{"token": []}] if resource else None)
            assert {"400", "401", "503"} <= set(operation["responses"])
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_the_documentation_needs_nobody_else_s_server(app):
    """A page with assets of our own, which are there."""
    client = app.test_client()
    page = client.get("/docs", follow_redirects=True)

    assert page.status_code == 200
    assert not re.search(r"""(?:src|href|url)\s*[=(:]\s*["']?(?:https?:)?//""", page.text)
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 3
    for asset in assets:
        with client.get(f"/docs/{asset}") as answer:
            assert answer.status_code == 200, asset
    assert client.get("/docs/openapi.json").json == client.get("/openapi.json").json


def test_it_lives_whatever_is_away_and_is_ready_when_nothing_is(bus):
    """`/readyz` names what is missing."""
    there = {"broker": True, "database": False}
    checks = {name: lambda name=name: there[name] for name in there}
    client = application(bus, checks=checks).test_client()

    assert client.get("/healthz").status_code == 200
    waiting = client.get("/readyz")
    assert (waiting.status_code, waiting.json["checks"]) == (503, there)
    there["database"] = True
    assert client.get("/readyz").status_code == 200
    assert "python_info" in client.get("/metrics").text
