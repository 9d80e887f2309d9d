"""The contract with subscribers: the shapes of events, frozen, and events that keep to them."""

import json
from datetime import datetime
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from shared.messages.event_schema import schema_of
from shared.messages.events import CONTENT_TYPE, EVENTS, Event, microseconds
from tests.contract import assert_told, validator
from tests.shared.messages import freeze

NAMESPACE = UUID("a5b0c3de-7f0e-5b6c-8d57-0b3f6c1f9e42")
LATEST = 253_402_300_799_000_000  # the end of the year 9999

NEW_VERSION = """the shape of {kind} v1 is not the one that was published.
Whoever subscribes relies on it. Undo the change, or tell the new shape as v2 beside it: a model,
schema, dataschema and golden/{kind}.v2.json of its own; v1 and its golden file stay.
Only if nobody subscribes to it yet (it was never released): delete golden/{kind}.v1.json and
freeze it anew by `python -m tests.shared.messages.freeze`."""


def sample(kind):
    """Return an event of a type, as it went on the wire once."""
    return json.loads(freeze.file_of(kind, freeze.SAMPLES).read_text())


def without(event, *names):
    """Return an event whose data lack some fields."""
    data = {name: value for name, value in event["data"].items() if name not in names}
    return {**event, "data": data}


@pytest.mark.parametrize("kind", EVENTS)
def test_a_published_shape_never_changes(kind):
    """A subscriber's program goes on reading what it was written for."""
    assert freeze.shape(kind) == freeze.frozen(kind), NEW_VERSION.format(kind=kind)


def test_no_published_type_is_forgotten():
    """What was told once is in the catalogue for ever."""
    for folder in (freeze.GOLDEN, freeze.SAMPLES):
        assert {file.name.removesuffix(".v1.json") for file in folder.iterdir()} == set(EVENTS)


@pytest.mark.parametrize("kind", EVENTS)
def test_every_schema_is_one(kind):
    """And says of each field what it means."""
    schema = schema_of(kind)

    Draft202012Validator.check_schema(schema)
    assert schema["description"]
    for name, field in schema["properties"]["data"]["properties"].items():
        assert field["description"], name


@pytest.mark.parametrize("kind", EVENTS)
def test_a_sample_keeps_to_its_schema(kind):
    """As it is told, and as a program would read it."""
    event = sample(kind)

    assert_told(event)
    EVENTS[kind].model_validate_json(json.dumps(event["data"]))


@pytest.mark.parametrize("kind", EVENTS)
def test_the_wire_is_frozen(kind):
    """The same fact gives the same bytes, but for the order of fields and the id's own input."""
    event = sample(kind)
    again = Event(
        type=kind,
        source=event["source"],
        subject=event["subject"],
        at=1795407637992026,
        data=event["data"],
    )

    sequence = int(event["sequence"]) if "sequence" in event else None
    assert json.loads(again.encode(sequence)) == {**event, "id": again.id}
    assert CONTENT_TYPE == "application/cloudevents+json"


@given(fact=st.text(st.characters(exclude_categories=["Cs"])), at=st.integers(0, LATEST))
def test_the_same_fact_has_the_same_id_and_its_own_time(fact, at):
    """The id is a name's UUID, which any program can make of the fact; the time loses nothing."""
    event = Event(type="call.ended", source="/switch/fs1", subject="c", at=at, fact=fact, data={})
    said = json.loads(event.encode())

    assert said["id"] == event.id == str(uuid5(NAMESPACE, f"/switch/fs1|c|call.ended|{fact}"))
    assert microseconds(datetime.fromisoformat(said["time"])) == at
    assert len(said["time"]) == len("2026-11-24T03:04:05.000006Z")


@pytest.mark.parametrize("kind", EVENTS)
def test_a_field_too_many_or_too_few_is_noticed(kind):
    """In the envelope and in the data."""
    event, check = sample(kind), validator(kind)
    schema = schema_of(kind)
    wrong = [{**event, "more": 1}, {**event, "data": {**event["data"], "more": 1}}]
    wrong += [{name: event[name] for name in event if name != gone} for gone in schema["required"]]
    wrong += [without(event, gone) for gone in schema["properties"]["data"]["required"]]

    for one in wrong:
        with pytest.raises(ValidationError):
            check.validate(one)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": "1"}, r"\$\.id"),
        ({"time": "yesterday"}, r"\$\.time"),
        ({"source": "fs1"}, r"\$\.source"),
        ({"sequence": 1}, r"\$\.sequence"),
        ({"sequence": "0"}, r"\$\.sequence"),
        ({"type": "call.flown"}, "no event has the type 'call.flown'"),
        ({"dataschema": "https://voice-api.invalid/schemas/call.ended/v2"}, r"\$\.dataschema"),
        ({"subject": "another"}, "subject is another"),
    ],
)
def test_what_is_wrong_is_named(change, named):
    """Whoever breaks the contract is told where."""
    with pytest.raises(AssertionError, match=named):
        assert_told(json.dumps({**sample("call.ended"), **change}).encode())


def test_what_is_concluded_says_why():
    """`synthetic` and its reason go together."""
    event = sample("leg.ended")
    for data in ({"synthetic": True}, {"synthetic_reason": "x"}, {"synthetic": False}):
        with pytest.raises(AssertionError, match="synthetic"):
            assert_told({**event, "data": {**event["data"], **data}})
    concluded = {"synthetic": True, "synthetic_reason": "not in show channels"}
    assert_told({**event, "data": {**event["data"], **concluded}})


def test_what_is_corrected_is_there():
    """All that is named, and nothing else."""
    with pytest.raises(AssertionError, match="corrected"):
        assert_told(without(sample("call.corrected"), "talk_ms"))
