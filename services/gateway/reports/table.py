"""Records as a spreadsheet reads them: RFC 4180. Pure."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

# What a spreadsheet would take for a formula. A number begins with a plus sign and is none.
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"\+[0-9*]+", re.ASCII)


def lines(names: Iterable[str], records: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the lines of some records: lists as words, times as RFC 3339 in UTC."""
    written = io.StringIO(newline="")
    table = csv.writer(written, lineterminator="\r\n")
    table.writerows([_cell(record[name]) for name in names] for record in records)
    return written.getvalue().encode("utf-8", "replace")


def header(names: Iterable[str]) -> bytes:
    """Return the first line."""
    return ",".join(names).encode() + b"\r\n"


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if not isinstance(value, str) or not _FORMULA.match(value) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"
