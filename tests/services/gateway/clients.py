"""Clients of the gateway with tokens, and rows for them to read."""

from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy.orm import Session

from shared.database.tables import CallRow, CdrRow
from tests.services.gateway.building import BEARER

START = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def with_token(app, token=None):
    """Return a client that sends a token, by itself the administrator's."""
    client = app.test_client()
    sent = BEARER["Authorization"] if token is None else f"Bearer {token}"
    client.environ_base["HTTP_AUTHORIZATION"] = sent
    return client


def with_rights(app, *scopes):
    """Return a client with a new token that has these rights."""
    made = with_token(app).post("/v1/tokens", json={"name": f"t-{uuid4()}", "scopes": list(scopes)})
    assert made.status_code == 201, made.text
    return with_token(app, made.json["token"])


def is_problem(response, status):
    """Tell whether this is a problem as RFC 9457 has it; return its detail."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    assert response.json["status"] == status
    assert response.json["title"]
    return response.json["detail"]


def keep(engine, *rows):
    """Store rows."""
    with Session(engine) as session, session.begin():
        session.add_all(rows)


def cdr_row(call_id, leg_id, **columns):
    """Return a leg's record."""
    given = {
        "switch": "fs1",
        "at": columns.get("started_at", START),
        "stored_at": START,
        "raw": {},
        "marks": [],
        **columns,
    }
    return CdrRow(call_id=call_id, leg_id=leg_id, **given)


def call_row(call_id, **columns):
    """Return a call that is over."""
    given = {
        "at": START,
        "sequence": 1,
        "state": "ended",
        "records": 0,
        "outcome": "answered",
        **columns,
    }
    return CallRow(call_id=call_id, **given)
