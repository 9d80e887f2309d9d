"""Tokens and what they open, on a real PostgreSQL."""

import re
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.gateway.auth import Tokens, digest_of, new_token
from services.gateway.reports import records
from services.gateway.rights import ADMINISTRATOR, Client, Scope, needed
from services.gateway.tokens.store import TokenStore
from shared.database.tables import CallEventRow, TokenRow
from shared.dependency import DependencyAway
from shared.telephony.identity import command_id
from tests.services.gateway.building import TOKEN, FakeBus, application, encrypted, event, tell
from tests.services.gateway.clients import (
    START,
    call_row,
    cdr_row,
    is_problem,
    keep,
    with_rights,
    with_token,
)
from tests.waiting import until

CALL = {
    "extension": "1001",
    "customer_number": "+8613800138000",
    "crm_uuid": "123",
    "product_code": "C68",
}
OPENED = {
    ("GET", "/v1/calls"): {"calls", "reports"},
    ("GET", "/v1/calls/x"): {"calls", "reports"},
    ("POST", "/v1/calls"): {"calls"},
    ("GET", "/v1/users"): {"users"},
    ("POST", "/v1/users"): {"users"},
    ("DELETE", "/v1/users/1001"): {"users"},
    ("GET", "/v1/events"): {"events"},
    ("GET", "/v1/events/stream"): {"events"},
    ("GET", "/v1/subscriptions"): {"events"},
    ("DELETE", "/v1/subscriptions/x"): {"events"},
    ("GET", "/v1/cdrs"): {"reports"},
    ("HEAD", "/v1/cdrs"): {"reports"},
    ("GET", "/v1/cdrs.csv"): {"reports"},
    ("GET", "/v1/stats"): {"reports"},
    ("DELETE", "/v1/cdrs"): set(),
    ("GET", "/v1/tokens"): set(),
    ("POST", "/v1/tokens"): set(),
    ("DELETE", "/v1/tokens/x"): set(),
    ("GET", "/v1/nothing"): set(),
    ("GET", "/v1//cdrs"): set(),
    ("GET", "/v1/cdrsx"): set(),
}


@pytest.fixture
def admin(app):
    """Give the administrator's client."""
    return with_token(app)


def make(admin, name, *scopes):
    """Make a token and return it."""
    made = admin.post("/v1/tokens", json={"name": name, "scopes": list(scopes)})
    assert made.status_code == 201, made.text
    return made.json["token"]


# -- their life ------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_kept_as_a_digest(admin, engine, word):
    """The list names it, and what it opens."""
    made = admin.post("/v1/tokens", json={"name": word, "scopes": ["users", "calls", "calls"]})

    token = made.json.pop("token")
    assert made.status_code == 201
    assert made.headers["Location"] == f"/v1/tokens/{word}"
    assert re.fullmatch(r"vt_[A-Za-z0-9_-]{29}", token)
    assert made.json["scopes"] == ["calls", "users"]
    with Session(engine) as session:
        row = session.scalars(select(TokenRow).where(TokenRow.name == word)).one()
        assert (row.digest, row.scopes) == (digest_of(token), ["calls", "users"])
    listed = admin.get("/v1/tokens?limit=500")
    assert token not in listed.text
    expected = {name: made.json[name] for name in ("name", "scopes", "created_at")}
    assert expected in listed.json["tokens"]


def test_tokens_are_listed_page_by_page(admin, word):
    """By name."""
    for number in range(3):
        make(admin, f"{word}-{number}", "calls")

    names, following = [], None
    while True:
        on = f"&cursor={following}" if following else ""
        page = admin.get(f"/v1/tokens?limit=2{on}").json
        names += [token["name"] for token in page["tokens"]]
        following = page["next_cursor"]
        if following is None:
            break

    assert names == sorted(names)
    assert [name for name in names if name.startswith(word)] == [f"{word}-{n}" for n in range(3)]


def test_a_name_is_one_token_s(admin, app, word):
    """The first one goes on working."""
    token = make(admin, word, "users")

    assert word in is_problem(
        admin.post("/v1/tokens", json={"name": word, "scopes": ["admin"]}), 409
    )
    assert with_token(app, token).get("/v1/users").status_code == 200


def test_a_revoked_token_opens_nothing_any_more(admin, app, word):
    """Here at once; and there is nothing to revoke a second time."""
    client = with_token(app, make(admin, word, "users"))
    assert client.get("/v1/users").status_code == 200

    assert admin.delete(f"/v1/tokens/{word}").status_code == 204
    is_problem(client.get("/v1/users"), 401)
    is_problem(admin.delete(f"/v1/tokens/{word}"), 404)


def test_a_token_opens_as_soon_as_it_is_there(admin, app, engine, word):
    """Also where somebody tried it before."""
    token = new_token()
    is_problem(with_token(app, token).get("/v1/users"), 401)
    TokenStore(engine).add(word, digest_of(token), ["users"])

    make(admin, f"{word}-other", "calls")
    assert with_token(app, token).get("/v1/users").status_code == 200


def test_what_is_being_sent_ends_when_its_token_is_revoked(broker, engine, word, monkeypatch):
    """A stream of events, which would go on for ever, and a table, which is cut short."""
    monkeypatch.setattr(records, "_BATCH", 1)
    keep(engine, *[cdr_row(word, f"{word}-{number}") for number in range(3)])
    app = application(FakeBus(), engine=engine, broker=broker)
    admin = with_token(app)
    client = with_token(app, make(admin, word, "events", "reports"))
    table = client.get(f"/v1/cdrs.csv?call_id={word}", buffered=False)
    stream = client.get("/v1/events/stream", buffered=False)
    rows, events = table.iter_encoded(), stream.iter_encoded()
    assert next(rows)
    assert next(rows)
    assert next(events)

    admin.delete(f"/v1/tokens/{word}")

    with pytest.raises(Exception, match="revoked"):
        list(rows)
    assert b"data: " not in b"".join(events)
    table.close()
    stream.close()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
        {"name": "x", "scopes": "admin"},
        {"name": "x", "scopes": ["calls"], "token": "mine"},
        {"name": "", "scopes": ["calls"]},
        {"name": "a/b", "scopes": ["calls"]},
        {"name": "a\n", "scopes": ["calls"]},
        {"name": "x" * 65, "scopes": ["calls"]},
        {"name": "administrator", "scopes": ["calls"]},
        {"name": 5, "scopes": ["calls"]},
        {"name": "x", "scopes": ["calls"] * 100},
        [],
        None,
    ],
)
def test_a_token_that_cannot_be_is_refused(admin, body):
    """400, and none is made."""
    is_problem(admin.post("/v1/tokens", json=body), 400)


# -- what they open --------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), OPENED)
@pytest.mark.parametrize("scope", Scope)
def test_a_right_opens_what_is_its_own(method, path, scope):
    """And `admin` all."""
    opens = Client("x", frozenset({scope})).may(*needed(method, path))

    assert opens == (scope == "admin" or scope in OPENED[method, path])


@pytest.mark.parametrize(("method", "path"), OPENED)
def test_who_has_not_the_right_is_told_which(app, method, path):
    """403, on every route, before anything is looked at."""
    client = with_rights(app, "numbers")

    response = client.open(path, method=method, data="{")
    if response.status_code == 308:  # two slashes are one
        return
    if method == "HEAD":
        assert response.status_code == 403
        return
    detail = is_problem(response, 403)
    for scope in OPENED[method, path] or {"admin"}:
        assert f"`{scope}`" in detail


def test_a_token_places_calls_for_its_owner(given, app, word):
    """By both ways; others get an answer of the contract."""
    calls, users = with_rights(app, "calls"), with_rights(app, "users")
    assert calls.post("/v1/calls", json=CALL).status_code == 202
    click = {
        "data": {
            "crm_uuid": word,
            "extensin_number": "1001",
            "customer_number": encrypted("13800138905"),
            "product_code": "C68",
        }
    }

    def clicked(client):
        token = client.environ_base["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
        return client.post("/web/click-on-call/", json={"token": token, **click})

    assert clicked(calls).json["msg"] == "Call OK"
    refused = clicked(users)
    assert (refused.status_code, refused.json["msg"]) == (403, "Forbidden")
    assert refused.json["data"].startswith("-ERR ")
    assert len(given[1].commands) == 2


def test_the_same_key_of_two_clients_is_two_calls(given, app, admin, word):
    """And of one client one."""
    token = make(admin, word, "calls")
    for client in (admin, with_token(app, token), with_token(app, token)):
        client.post("/v1/calls", json=CALL, headers={"Idempotency-Key": word})

    ids = [command_id for _, command_id in given[1].commands]
    assert ids == [
        command_id("administrator", f"POST /v1/calls {word}"),
        command_id(word, f"POST /v1/calls {word}"),
        command_id(word, f"POST /v1/calls {word}"),
    ]
    assert isinstance(ids[0], UUID)


# -- looking them up -------------------------------------------------------------------------


class Book:
    """Knows tokens, counts the questions, and may be away."""

    def __init__(self):
        self.known, self.asked, self.away, self.now = {}, 0, False, 0.0

    def find(self, digest):
        """Return who comes with it."""
        self.asked += 1
        if self.away:
            raise DependencyAway("the database is away")
        return self.known.get(digest)


@pytest.fixture
def book():
    """Give a book of no tokens."""
    return Book()


@pytest.fixture
def tokens(book):
    """Give the tokens of a gateway that looks into the book."""
    return Tokens(TOKEN, book.find, clock=lambda: book.now)


def test_a_token_is_asked_for_once_in_a_few_seconds(tokens, book):
    """One that opens nothing as well."""
    right, wrong = new_token(), new_token()
    book.known[digest_of(right)] = client = Client("x", frozenset({"calls"}))

    for _ in range(5):
        assert tokens.client_of(right) == client
        assert tokens.client_of(wrong) is None
    assert book.asked == 2


def test_a_token_that_another_gateway_revoked_is_believed_for_less_than_ten_seconds(tokens, book):
    """And one that it made is taken as soon."""
    old, new = new_token(), new_token()
    book.known[digest_of(old)] = Client("x", frozenset())
    assert tokens.client_of(old)
    assert not tokens.client_of(new)
    book.known = {digest_of(new): Client("y", frozenset())}

    book.now = 9.0
    assert not tokens.client_of(old)
    assert tokens.client_of(new)


def test_without_a_database_the_administrator_comes_in(tokens, book):
    """Of others nobody can say; but for those who were here a moment ago."""
    known = new_token()
    book.known[digest_of(known)] = Client("x", frozenset())
    tokens.client_of(known)
    book.away = True

    assert tokens.client_of(TOKEN) is ADMINISTRATOR
    assert tokens.client_of(known)
    with pytest.raises(DependencyAway):
        tokens.client_of(new_token())
    book.now = 9.0
    with pytest.raises(DependencyAway):
        tokens.client_of(known)
    assert tokens.still_opens(known, Client("x", frozenset()))


def test_what_is_away_is_told_to_those_who_may_have_a_token():
    """503 in both forms; a token that cannot be one is wrong all the same."""
    app = application(FakeBus())
    token = new_token()

    is_problem(with_token(app, token).get("/v1/users"), 503)
    is_problem(with_token(app, "x" * 32).get("/v1/users"), 401)
    clicked = app.test_client().post("/web/click-on-call/", json={"token": token, "data": {}})
    assert (clicked.status_code, set(clicked.json)) == (503, {"data", "msg"})


@pytest.mark.parametrize(
    "token", [None, 5, "", [], {}, "vt_", "vt_" + "é" * 29, "vt_" + "a" * 30, "\ud800"]
)
def test_what_is_no_token_is_not_asked_for(tokens, book, token):
    """Guessing costs the database nothing."""
    assert tokens.client_of(token) is None
    assert book.asked == 0


def test_whoever_guesses_fills_no_memory(tokens):
    """What is remembered is bounded, and the true ones go on working."""
    for _ in range(5000):
        tokens.client_of(new_token())

    assert len(tokens._remembered) <= 4096


# -- numbers ---------------------------------------------------------------------------------


def test_a_call_s_life_hides_the_number(app, engine, word):
    """From those who may read calls and not see numbers."""
    number = "+4930123456"
    keep(engine, call_row(word, number=number, extension="1001"))
    said = [
        ("call.created", {"from": "1001", "to": number, "extension": "1001"}),
        ("leg.created", {"role": "agent", "address": "1001"}),
        ("leg.created", {"role": "customer", "address": number}),
    ]
    for sequence, (kind, data) in enumerate(said, 1):
        at = START + timedelta(seconds=sequence)
        row = CallEventRow(call_id=word, sequence=sequence, type=kind, at=at, data=data)
        keep(engine, row)

    seen = with_rights(app, "calls", "numbers").get(f"/v1/calls/{word}")
    hidden = with_rights(app, "calls").get(f"/v1/calls/{word}")

    assert [moment["data"] for moment in seen.json["timeline"]] == [data for _, data in said]
    assert (seen.json["number"], hidden.json["number"]) == (number, "********456")
    assert "30123456" not in hidden.text
    assert hidden.json["timeline"][0]["data"]["from"] == "1001"
    assert hidden.json["timeline"][1]["data"] == {"role": "agent", "address": "1001"}
    assert hidden.json["timeline"][2]["data"] == {"role": "customer", "address": "********456"}


def test_live_calls_hide_their_numbers(app, engine, word):
    """In the list as well."""
    keep(engine, call_row(f"!{word}", number="+4930123456", outcome=None, created_at=START))

    shown = with_rights(app, "calls").get("/v1/calls?limit=500").json["calls"]

    assert [call["number"] for call in shown if call["call_id"] == f"!{word}"] == ["********456"]


def test_the_journal_hides_numbers(broker, engine, word):
    """In replay and in the stream."""
    app = application(FakeBus(), engine=engine, broker=broker)
    seeing, blind = with_rights(app, "events", "numbers"), with_rights(app, "events")
    created = event(
        "call.created", word, **{"from": "1001", "extension": "1001", "to": "+4930123456"}
    )
    tell(broker, event(subject=f"{word}-before"), created)

    def told(client):
        found = client.get(f"/v1/events?call_id={word}")
        return found if found.json["events"] else None

    seen, hidden = until(lambda: told(seeing)), until(lambda: told(blind))
    assert seen.json["events"][0]["event"]["data"]["to"] == "+4930123456"
    assert hidden.json["events"][0]["event"]["data"]["to"] == "********456"
    assert hidden.json["events"][0]["event"]["data"]["from"] == "1001"

    before = hidden.json["events"][0]["offset"] - 1
    path = f"/v1/events/stream?after={before}&call_id={word}"
    with blind.get(path, buffered=False) as stream:
        pieces, text = stream.iter_encoded(), b""
        while b"data: " not in text:
            text += next(pieces)
    assert b"********456" in text
    assert b"30123456" not in text


def test_a_webhook_needs_the_right_to_see_numbers(app, word):
    """It brings events as they are."""
    blind = with_rights(app, "events")

    refused = blind.post("/v1/subscriptions", json={"name": word, "url": "https://crm.example/x"})
    assert "numbers" in is_problem(refused, 403)


def test_two_tokens_are_never_alike():
    """32 characters, which is what the contract has room for."""
    made = {new_token() for _ in range(1000)}

    assert len(made) == 1000
    assert {len(token) for token in made} == {32}
