"""The credentials with which switches come."""

from base64 import b64encode

import pytest
from flask import Flask

from shared import basic_auth


@pytest.fixture
def client():
    """Give a client of an app that lets in the switch only."""
    app = Flask(__name__)
    app.before_request(basic_auth.required("switch", "pässword:with:colons"))
    app.add_url_rule("/", view_func=lambda: "in")
    return app.test_client()


def basic(text, encoding="utf-8"):
    """Return the header that carries these credentials."""
    return f"Basic {b64encode(text.encode(encoding)).decode()}"


def test_the_right_credentials_open(client):
    """Colons and letters beyond ASCII in the password included."""
    authorization = basic("switch:pässword:with:colons")

    assert client.get("/", headers={"Authorization": authorization}).text == "in"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic =",
        "Basic \xff",
        basic(""),
        basic(":"),
        basic("switch"),
        basic("switch:"),
        basic(":pässword:with:colons"),
        basic("switch:wrong"),
        basic("other:pässword:with:colons"),
        basic("switch:pässword:with:colons", "latin-1"),
        basic("switch:pässword:with:colons "),
        basic("Switch:pässword:with:colons"),
        basic("switch\0pässword:with:colons"),
        basic("switch\0pässword:with:colons:"),
        "Bearer switch:password",
        basic("switch:pässword:with:colons").replace("Basic", "Digest"),
    ],
)
def test_everything_else_is_answered_alike(client, authorization):
    """The answer does not tell what was wrong."""
    headers = {} if authorization is None else {"Authorization": authorization}
    response = client.get("/", headers=headers)

    assert (response.status_code, response.text) == (401, "wrong credentials\n")
    assert response.headers["WWW-Authenticate"] == 'Basic realm="switch"'
