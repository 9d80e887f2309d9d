"""Rows as one JSON text: PostgreSQL makes rows of a table of it, each column by its own type.

One parameter instead of fifty for each row: neither driver nor server looks at them one by one.
"""

import json
from typing import Any

import orjson


def encoded(value: Any) -> str:
    """Return rows for `jsonb_populate_recordset`, or one value; times and bytes are texts."""
    try:
        return orjson.dumps(value, default=_written).decode()
    except TypeError:
        # Numbers of any size are JSON, and may stand in a record.
        return json.dumps(value, default=_written)


def _written(value: Any) -> str:
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)
