"""`POST /web/click-on-call/`, as a CRM sees it."""

import json
import re
import time
from uuid import UUID

import pytest
import structlog

from services.gateway.commands import CommandBus
from shared.broker.commands import CommandConsumer
from shared.broker.connection import Broker
from shared.dependency import DependencyAway
from shared.messages.commands import OriginateCall, Owner
from shared.messages.replies import Refused
from tests.services.gateway.building import TOKEN, FakeBus, application, encrypted, no_broker
from tests.waiting import until

PLACE = "/web/click-on-call/"
NUMBER = "+8613800138000"


@pytest.fixture(scope="module")
def given():
    """Give one app for all tests, and its bus."""
    bus = FakeBus()
    return application(bus), bus


@pytest.fixture
def bus(given):
    """Give a bus on which every call succeeds."""
    given[1].forget_all()
    return given[1]


@pytest.fixture
def client(given, bus):  # noqa: ARG001
    """Give a CRM in front of a gateway whose dialer is the fake bus."""
    return given[0].test_client()


@pytest.fixture
def dialer(rabbit, channel):  # noqa: ARG001
    """Give a service that takes `dialer.commands` and answers as its `act` says."""
    dialer = RespondingDialer(Broker(rabbit.url, name="responder"))
    dialer.broker.start()
    until(lambda: dialer.broker.connected)
    yield dialer
    dialer.consumer.stop()
    dialer.broker.stop()


class RespondingDialer:
    """A dialer without a switch."""

    def __init__(self, broker):
        self.broker = broker
        self.seen = []
        self.act = lambda ordered: {
            "call_id": str(ordered.id),
            "reply": f"+OK Job-UUID: {ordered.id}",
        }
        self.consumer = CommandConsumer(broker, Owner.DIALER, {OriginateCall: self.originate})

    def originate(self, ordered):
        """Remember the command and do what the test says."""
        self.seen.append(ordered)
        return self.act(ordered)


def body(**changes):
    """Return a good body, different in `token` or in one field of `data`; None leaves one out."""
    data = {
        "crm_uuid": "0123456789abcdef0123456789abcdef",
        "extensin_number": "1001",
        "customer_number": encrypted(NUMBER),
        "product_code": "C68",
        **changes,
    }
    token = data.pop("token", TOKEN)
    said = {"token": token, "data": {k: v for k, v in data.items() if v is not None}}
    return {name: value for name, value in said.items() if value is not None}


def is_error(response, status):
    """Tell whether this is an error in the contract's form; return what it says."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    assert set(response.json) == {"data", "msg"}
    assert response.json["data"].startswith("-ERR ")
    assert "\n" not in response.json["data"]
    assert response.json["msg"]
    return response.json["data"]


def test_a_good_call_is_answered_byte_for_byte(dialer, broker):
    """What the switch said, with the id that the command has on the broker."""
    response = application(CommandBus(broker)).test_client().post(PLACE, json=body())

    (ordered,) = dialer.seen
    assert response.status_code == 200
    assert response.text == f'{{"data": "+OK Job-UUID: {ordered.id}", "msg": "Call OK"}}'
    assert response.mimetype == "application/json"
    assert ordered.command == OriginateCall(
        extension="1001",
        customer_number=NUMBER,
        crm_uuid="0123456789abcdef0123456789abcdef",
        product_code="C68",
    )


@pytest.mark.parametrize("path", [PLACE, PLACE.rstrip("/")])
@pytest.mark.parametrize("field", ["extensin_number", "extension_number"])
@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}])
def test_the_contract_is_taken_as_crms_send_it(client, bus, path, field, headers):
    """Either spelling of the extension, no content type or a wrong one, slash forgotten."""
    said = body(extensin_number=None)
    said["data"][field] = "1002"
    response = client.post(path, data=json.dumps(said), headers=headers)

    ((command, command_id),) = bus.commands
    assert response.status_code == 200
    assert response.json == {"data": f"+OK Job-UUID: {command_id}", "msg": "Call OK"}
    assert command.extension == "1002"


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (("123", "1", "C"), "123"),
        (("a" * 32, "agent_.-", "C.6-_"), "123456789012345"),
        (("A-b_c.9", "1001", "C68"), "+12"),
        (("123", "1001", "C68"), "+12345678901234"),
    ],
)
def test_lengths_are_maxima(client, bus, words, number):
    """The shortest and the longest of everything is a call."""
    fields = dict(zip(("crm_uuid", "extensin_number", "product_code"), words, strict=True))
    said = body(**fields, customer_number=encrypted(number).upper())

    assert client.post(PLACE, json=said).status_code == 200
    ((command, _),) = bus.commands
    assert command.customer_number == number


WRONG_TOKENS = ["", "x", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "é", "\ud800", "t" * 60000]


@pytest.mark.parametrize("token", [None, 3, True, [TOKEN], {TOKEN: TOKEN}, *WRONG_TOKENS])
def test_nobody_comes_in_without_the_token(client, bus, token):
    """Missing, of another type, or almost right: 401."""
    is_error(client.post(PLACE, json=body(token=token)), 401)
    assert bus.commands == []


@pytest.mark.parametrize("data", [None, 3, {}, {"customer_number": "x"}])
def test_who_has_no_token_learns_nothing_about_the_body(client, data):
    """401 comes before 400."""
    said = is_error(client.post(PLACE, json={"token": "wrong", "data": data}), 401)

    assert "data" not in said


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"3",
        b"\xff\xfe",
        b"\x00",
        b"NaN",
        b"token=" + TOKEN.encode(),
        b"[" * 30000,
        b'{"token":' * 5000,
        b"9" * 5000,
    ],
)
def test_a_body_that_is_no_json_object_is_said_to_be_none(client, bus, text):
    """However it fails to be one; nesting without end is no fault of ours."""
    assert "body" in is_error(client.post(PLACE, data=text), 400)
    assert bus.commands == []


def test_deep_nesting_behind_a_right_token_is_the_body_s_fault(client, bus):
    """Whether it can still be read or not."""
    for depth in (100, 900, 5000):
        text = f'{{"token": "{TOKEN}", "data": {"[" * depth}{"]" * depth}}}'
        is_error(client.post(PLACE, data=text), 400)
    assert bus.commands == []


NOT_STRINGS = [3, 1.5, True, [], {}, ["1001"]]
NOT_WORDS = ["", " ", "a b", "a\n", "a,b", "${x}", "a'", "é", "\u0661", "a\0", "\ud800", "{x}"]
WORDS = {"extensin_number": 8, "extension_number": 8, "crm_uuid": 32, "product_code": 5}


@pytest.mark.parametrize("value", [*NOT_STRINGS, *NOT_WORDS, "too long"])
@pytest.mark.parametrize("field", WORDS)
def test_what_is_no_word_is_refused_by_name(client, bus, field, value):
    """Letters, digits, `_`, `.` and `-`, as many as the contract says: all else is 400."""
    said = body()
    if field == "extension_number":
        del said["data"]["extensin_number"]
    said["data"][field] = "x" * (WORDS[field] + 1) if value == "too long" else value

    assert re.search(
        f"{field}|extensin_number" if "ext" in field else field,
        is_error(client.post(PLACE, json=said), 400),
    )
    assert bus.commands == []


@pytest.mark.parametrize("field", ["crm_uuid", "extensin_number", "customer_number"])
@pytest.mark.parametrize("how", ["missing", "null"])
def test_a_field_that_is_not_there_is_named(client, bus, field, how):
    """So is one that is null."""
    said = body()
    if how == "missing":
        del said["data"][field]
    else:
        said["data"][field] = None

    assert f"data.{field}" in is_error(client.post(PLACE, json=said), 400)
    assert bus.commands == []


@pytest.mark.parametrize("data", ["missing", None, 3, "text", []])
def test_data_that_is_no_object_is_named(client, bus, data):
    """Or is not there."""
    said = {"token": TOKEN} if data == "missing" else {"token": TOKEN, "data": data}

    assert "data" in is_error(client.post(PLACE, json=said), 400).split()[1]
    assert bus.commands == []


@pytest.mark.parametrize(
    "value",
    [
        *NOT_STRINGS,
        "",
        "+8613800138000",
        "0" * 32,
        "g" * 32,
        encrypted("12345")[:-1],
        encrypted("12345") + "0",
        encrypted("12345") + "\n",
        " " + encrypted("12345")[1:],
        "\u0661" * 32,
        encrypted("12345678901234567"),
        *map(
            encrypted,
            [
                "",
                "1",
                "12",
                "+1",
                "+",
                "++12",
                "12+3",
                "1 23",
                "123\n",
                "123\x00",
                "a123",
                "*43",
                "١٢٣",
                "0x123",
                "-123",
                "123,456",
            ],
        ),
    ],
)
def test_what_is_no_encrypted_number_never_reaches_the_switch(client, bus, value):
    """Nor does the answer tell what it decrypts to."""
    said = is_error(client.post(PLACE, json=body(customer_number=value)), 400)

    assert "data.customer_number" in said
    assert bus.commands == []


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_a_field_of_no_meaning_is_named(client, bus, where):
    """A misspelt one does not pass for a missing optional one."""
    said = body()
    (said if where == "outside" else said["data"])["trunc"] = "x"

    assert "trunc" in is_error(client.post(PLACE, json=said), 400)
    assert bus.commands == []


def test_a_huge_body_is_refused_in_the_same_form(client, bus):
    """Before it is read."""
    is_error(client.post(PLACE, json=body() | {"x": "x" * 70000}), 413)
    assert bus.commands == []


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_method_is_refused_in_the_same_form(client, method):
    """And the answer names the right one."""
    response = client.open(PLACE, method=method, json=body())

    is_error(response, 405)
    assert "POST" in response.headers["Allow"]


def test_another_path_is_refused_in_the_same_form(client):
    """Everything under /web speaks the contract."""
    is_error(client.post("/web/click-of-call/", json=body()), 404)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DependencyAway("no switch can be reached"), 503),
        (Refused("switch_refused", "-ERR no such thing\n"), 503),
        (Refused("no_answer", "the switch\ndoes not answer"), 504),
        (Refused("unknown_trunk", "trunk: no 'x'"), 400),
        (Refused("idempotency_conflict", "was another command"), 400),
    ],
)
def test_what_the_dialer_says_is_told_in_the_contract_s_words(dialer, broker, error, status):
    """No switch is 503, a silent one 504; through the broker and back."""

    def refuse(_):
        raise error

    dialer.act = refuse
    started = time.monotonic()
    response = application(CommandBus(broker)).test_client().post(PLACE, json=body())

    said = is_error(response, status)
    assert said.removeprefix("-ERR ").startswith(str(error).removeprefix("-ERR ").split()[0])
    assert time.monotonic() - started < 5


def test_a_fault_of_the_dialer_is_told_as_one(dialer, broker):
    """After its last try, and not by silence."""

    def fail(_):
        raise RuntimeError("broken")

    dialer.act = fail

    is_error(application(CommandBus(broker)).test_client().post(PLACE, json=body()), 500)


def test_no_answer_in_time_is_told_in_time(broker, channel):
    """Nobody takes the command: 504, and it expires before somebody takes it late."""
    bus = CommandBus(broker, answer_seconds=0.2)

    is_error(application(bus).test_client().post(PLACE, json=body()), 504)
    method, properties, _ = channel.basic_get("dialer.commands", auto_ack=True)
    assert method is not None
    assert 0 < int(properties.expiration) < 5000


def test_the_time_limit_is_within_the_contract_s(broker):
    """An answer within 5 s, the way back included."""
    assert 4 < CommandBus(broker)._answer_seconds < 5


def test_without_a_broker_the_answer_comes_at_once():
    """503, and the CRM may try again."""
    started = time.monotonic()
    response = application(CommandBus(no_broker())).test_client().post(PLACE, json=body())

    is_error(response, 503)
    assert response.headers["Retry-After"]
    assert time.monotonic() - started < 1


def test_a_repeated_key_is_the_same_command(dialer, broker):
    """The dialer knows it by its id, so both get the same answer; another key is another call."""
    client = application(CommandBus(broker)).test_client()
    first, second, third, slashless = (
        client.post(path, json=body(), headers={"Idempotency-Key": key})
        for path, key in ((PLACE, "a"), (PLACE, "a"), (PLACE, "b"), (PLACE.rstrip("/"), "a"))
    )

    assert first.data == second.data == slashless.data
    assert third.data != first.data
    assert len({ordered.id for ordered in dialer.seen}) == 2


def test_without_a_key_every_request_is_a_call_of_its_own(client, bus):
    """Two clicks are two calls."""
    for _ in range(2):
        client.post(PLACE, json=body())

    (_, first), (_, second) = bus.commands
    assert isinstance(first, UUID)
    assert first != second


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_that_is_none_is_refused_by_name(client, bus, key):
    """It would be the same for everybody."""
    response = client.post(PLACE, json=body(), headers={"Idempotency-Key": key})

    assert "Idempotency-Key" in is_error(response, 400)
    assert bus.commands == []


def test_neither_token_nor_number_is_ever_logged(client, bus, caplog, capfd):
    """Not of a good call, not of a bad one, and not when we fail."""
    wrong = "wrong-token-of-somebody"
    with structlog.testing.capture_logs() as logs:
        client.post(PLACE, json=body())
        client.post(PLACE, json=body(token=wrong))
        client.post(PLACE, json=body(customer_number=encrypted(NUMBER + "x")))
        client.post(PLACE, json=body(extensin_number="no word"))
        bus.error = RuntimeError("broken")
        assert client.post(PLACE, json=body()).status_code == 500

    assert [line["event"] for line in logs] == ["request failed"]
    told = repr(logs) + caplog.text + "".join(capfd.readouterr())
    for secret in (TOKEN, wrong, NUMBER, NUMBER[1:], encrypted(NUMBER)):
        assert secret not in told
