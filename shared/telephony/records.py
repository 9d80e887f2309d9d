"""Call detail records as mod_json_cdr posts them: JSON, which phones may have spoilt."""

import json
from typing import Any

import orjson


class NotARecord(ValueError):
    """The body is no CDR of a leg, and never will be."""


def load(body: bytes) -> dict[str, Any]:
    """Return a record, storable as text anywhere; raise `NotARecord` for what is none."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            # A phone may have put bytes that are no UTF-8 into it.
            raw = json.loads(body.decode("utf-8", "replace"), strict=False)
        except (ValueError, RecursionError):
            raise NotARecord("it is not JSON") from None
    if not isinstance(raw, dict):
        raise NotARecord("it is not a JSON object")
    return _storable(raw) if b"\\u0000" in body or b"\0" in body else raw


def _storable(value: Any) -> Any:
    """Return the value without the one character that PostgreSQL's text cannot hold."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value
