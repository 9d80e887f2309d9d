"""`/asyncapi.json` and `/schemas/…`, as a program reads them."""

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from services.gateway.asyncapi import REPLIES
from shared.messages.commands import CATALOGUE
from shared.messages.event_schema import schema_of
from shared.messages.events import EVENTS, dataschema
from tests.services.gateway.building import FakeBus, application
from tests.shared.messages import freeze

# https://github.com/asyncapi/spec-json-schemas, schemas/3.0.0-without-$id.json at 7dd3990, as it
# is there; under the Apache License 2.0, which lies beside it.
OFFICIAL = Path(__file__).parent / "asyncapi" / "3.0.0.json"


@pytest.fixture(scope="module")
def client():
    """Give a client without a token, in front of a gateway without broker and database."""
    return application(FakeBus()).test_client()


@pytest.fixture(scope="module")
def document(client):
    """Give the document."""
    answer = client.get("/asyncapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    return answer.json


@pytest.fixture(scope="module")
def official():
    """Give the check that AsyncAPI publishes for its documents."""
    return Draft7Validator(json.loads(OFFICIAL.read_text()))


def at(document, reference):
    """Return what a reference within the document leads to."""
    node = document
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def references(node):
    """Return all references of a document."""
    if isinstance(node, list):
        return {found for item in node for found in references(item)}
    if not isinstance(node, dict):
        return set()
    here = {node["$ref"]} if "$ref" in node else set()
    return here.union(*(references(item) for item in node.values()))


def test_the_document_is_one(document, official):
    """By the official schema of AsyncAPI 3.0, bindings included."""
    assert [error.message for error in official.iter_errors(document)] == []


@pytest.mark.parametrize(
    "place",
    [
        ("operations", "receiveEvents", "action"),
        ("channels", "events", "bindings", "amqp", "is"),
        ("components", "messages", "call.ended", "traits"),
        ("components", "schemas", "call.ended", "type"),
    ],
)
def test_the_check_finds_what_is_wrong(document, official, place):
    """It looks into operations, bindings, messages and payloads."""
    wrong = copy.deepcopy(document)
    node = wrong
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = "nonsense"

    assert not official.is_valid(wrong)


def test_nothing_is_referred_to_that_is_not_there(document):
    """Every reference leads somewhere within the document."""
    for reference in references(document):
        assert at(document, reference), reference


def test_every_event_and_every_command_is_in_it(document):
    """Under its routing key; every command with its reply."""
    channels = document["channels"]
    assert channels["events"]["bindings"]["amqp"]["exchange"]["name"] == "voice.events"
    assert channels["commands"]["bindings"]["amqp"]["exchange"]["name"] == "voice.commands"
    for channel in ("events", "subscription", "journal"):
        assert list(channels[channel]["messages"]) == list(EVENTS)
    sent = {name: said for name, said in document["operations"].items() if said["action"] == "send"}
    assert set(sent) == set(CATALOGUE) == set(channels["commands"]["messages"]) == set(REPLIES)
    for name, operation in sent.items():
        (message,) = operation["messages"]
        (reply,) = operation["reply"]["messages"]
        assert at(document, at(document, message["$ref"])["$ref"])["name"] == name
        assert at(document, at(document, reply["$ref"])["$ref"])["name"] == f"{name}.reply"


@pytest.mark.parametrize("kind", EVENTS)
def test_the_schema_that_an_event_names_is_served(client, document, kind):
    """The same that the document has; a recorded event keeps to it in either dialect."""
    path = dataschema(kind).removeprefix("https://voice-api.invalid")
    answer = client.get(path)
    event = json.loads(freeze.file_of(kind, freeze.SAMPLES).read_text())

    assert (answer.status_code, answer.mimetype) == (200, "application/schema+json")
    assert answer.json == schema_of(kind)
    Draft202012Validator(answer.json).validate(event)
    Draft7Validator(document["components"]["schemas"][kind]).validate(event)


@pytest.mark.parametrize(
    ("name", "body", "good"),
    [
        ("user.create", {"extension": "1001"}, True),
        ("user.create", {"users": [{"extension": "1001"}]}, True),
        ("user.create", {"users": []}, False),
        ("user.delete", {"extension": "1001", "domain": "test.local"}, True),
        ("user.delete", {"extension": "1 1"}, False),
        ("call.originate", {"extension": "1001"}, False),
        ("user.delete.reply", {"ok": True, "data": {"extension": "1001", "domain": "x"}}, True),
        ("user.delete.reply", {"ok": False, "error": {"code": "not_found", "message": ""}}, True),
        ("user.delete.reply", {"ok": False, "data": {}}, False),
    ],
)
def test_bodies_and_replies_are_described(document, name, body, good):
    """As the services take and give them."""
    assert Draft7Validator(document["components"]["schemas"][name]).is_valid(body) == good


@pytest.mark.parametrize("path", ["/schemas/call.flown/v1", "/schemas/call.ended/v2", "/schemas/"])
def test_a_schema_that_is_none_is_not_found(client, path):
    """In the form of all errors."""
    answer = client.get(path)

    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
