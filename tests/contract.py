"""What is published, held to the contract."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from shared.messages.event_data import CallData, CallEnded
from shared.messages.event_schema import schema_of
from shared.messages.events import EVENTS

_OF_THE_END = set(CallEnded.model_fields) - set(CallData.model_fields)


def assert_told(event: bytes | Mapping[str, Any]) -> None:
    """Fail for an event that is not as its schema says; the message names the place."""
    told = orjson.loads(event) if isinstance(event, bytes) else event
    assert told.get("type") in EVENTS, f"no event has the type {told.get('type')!r}"
    error = best_match(validator(told["type"]).iter_errors(told))
    assert error is None, f"{told['type']}: {error.json_path}: {error.message}"
    if "sequence" in told:
        assert told["subject"] == told["data"]["call_id"], "the subject is another than the call"
    if told["type"] == "call.corrected":
        said = _OF_THE_END & set(told["data"])
        assert set(told["data"]["corrected"]) == said, "corrected names other fields than are there"


@cache
def validator(kind: str) -> Draft202012Validator:
    """Return what checks events of a type, formats too."""
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(schema_of(kind), format_checker=checker)
