"""The published shape of each type of event, as JSON Schema 2020-12, made from the catalogue."""

from shared.messages.event_data import CallData
from shared.messages.events import EVENTS, dataschema
from shared.messages.shapes import Schema, shape_of

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(kind: str) -> Schema:
    """Return the schema of a whole event of a type; raise `KeyError` for one that is not told."""
    data = EVENTS[kind]
    properties = _envelope(kind)
    if issubclass(data, CallData):
        properties |= {"subject": _SUBJECT_OF_CALL, "sequence": _SEQUENCE}
    properties["data"] = shape_of(data)
    return {
        "$schema": _DIALECT,
        "$id": dataschema(kind),
        "title": kind,
        "description": data.__doc__,
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _envelope(kind: str) -> Schema:
    """Return what the attributes of a CloudEvent hold, for events of a type."""
    return {
        "specversion": {"type": "string", "const": "1.0"},
        "id": {
            "type": "string",
            "format": "uuid",
            "description": "The same fact always has the same id.",
        },
        "source": {
            "type": "string",
            "pattern": "^/(switch|service)/.+$",
            "description": "Who tells it: /switch/<name> or /service/<name>.",
        },
        "type": {"type": "string", "const": kind},
        "subject": {"type": "string", "minLength": 1, "description": "Whom or what it is about."},
        "time": {
            "type": "string",
            "format": "date-time",
            "description": "When it happened, UTC, in microseconds: the switch's own stamp.",
        },
        "datacontenttype": {"type": "string", "const": "application/json"},
        "dataschema": {"type": "string", "const": dataschema(kind)},
    }


_SUBJECT_OF_CALL: Schema = {"type": "string", "minLength": 1, "description": "The call_id."}
_SEQUENCE: Schema = {
    "type": "string",
    "pattern": "^[1-9][0-9]*$",
    "description": "Counts the events of the call: 1, 2, 3 … without a gap.",
}
