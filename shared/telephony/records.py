"""Call detail records in any format that a switch posts or spills, which phones may have spoilt.

A record has the shape that mod_json_cdr gives it, whatever it came as; the values of its variables
are decoded. mod_json_cdr's `encode-values` (its default) URL-encodes them inside the JSON, and
nothing says so but they themselves.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from shared.telephony.record_envelope import NotARecord, unwrap
from shared.telephony.record_xml import read_xml

__all__ = ["NotARecord", "load", "oldest_profile", "text_of", "texts"]

_DEEPEST = 64  # a record has 8 levels
_MOST_DIGITS = 18
_STAMPS = ("start_stamp", "end_stamp", "profile_start_stamp", "answer_stamp")
# A character that switch_url_encode replaces, or a % that it did not write.
_NOT_ENCODED = re.compile(r"[^!$'()*,\-./0-9A-Z_a-z~%]|%(?![0-9A-Fa-f]{2})")
_BREAK = "\0"  # stands in no value: what was one has been replaced
_ESCAPE = re.compile("(%[0-7][0-9A-Fa-f])")
_BEYOND_ASCII = re.compile("%[89A-Fa-f][0-9A-Fa-f]")
_CHARACTERS = {f"%{c:02{case}}": chr(c) for c in range(1, 128) for case in "Xx"} | {"%00": "\ufffd"}
_NEXT_VARIABLE = re.compile(r'","(?=[^"\s]{1,200}":")')


def load(body: bytes) -> dict[str, Any]:
    """Return a record, storable as text and as JSON anywhere; raise `NotARecord` for none."""
    text, was_encoded = unwrap(body)
    if text.startswith(b"<"):
        return read_xml(text)
    record = _load_json(text, was_encoded)
    variables = record.get("variables")
    if isinstance(variables, dict) and _are_encoded(variables):
        variables.update(_decoded(variables))
    return record


def texts(values: Any) -> dict[str, str]:
    """Return those of a JSON object's values that can be read as text."""
    if not isinstance(values, dict):
        return {}
    return {name: text for name, value in values.items() if (text := text_of(value)) is not None}


def text_of(value: Any) -> str | None:
    """Return what a record says where text belongs; None for a list, an object, null or ""."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value if isinstance(value, str) and value else None


def oldest_profile(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return who called whom at first: the last caller profile in the list."""
    flow = record.get("callflow")
    oldest = flow[-1] if isinstance(flow, list) and flow else None
    profile = oldest.get("caller_profile") if isinstance(oldest, dict) else None
    return profile if isinstance(profile, dict) else {}


def _load_json(text: bytes, was_encoded: bool) -> dict[str, Any]:
    try:
        record = orjson.loads(text)
        is_clean = b"\\u0000" not in text
    except orjson.JSONDecodeError:
        # A phone may have put bytes that are no UTF-8 into it, or half a character.
        record, is_clean = _load_spoilt(text.decode("utf-8", "replace"), was_encoded), False
    if not isinstance(record, dict):
        raise NotARecord("its JSON is not an object")
    if text.count(b"{") + text.count(b"[") > _DEEPEST:
        _check_depth(record, _DEEPEST)
    return record if is_clean else _storable(record)


def _load_spoilt(text: str, was_encoded: bool) -> Any:
    try:
        return json.loads(text, strict=False, parse_int=_whole)
    except RecursionError:
        raise NotARecord(_TOO_DEEP) from None
    except ValueError as error:
        mended = _mended(text) if was_encoded else None
        if mended is not None:
            return _load_spoilt(mended, was_encoded=False)
        place = f" at {error.pos}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
        raise NotARecord(f"its JSON of {len(text)} characters is broken{place}") from None


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


_TOO_DEEP = f"its JSON is nested deeper than {_DEEPEST} levels"


def _mended(text: str) -> str | None:
    """Return what mod_json_cdr meant, with both `encode` and `encode-values`; None for no idea.

    It encodes nothing twice: the quotes in values, decoded, are bare among those of the JSON.
    """
    before, begin, rest = text.partition('"variables":{"')
    inner, end, after = rest.partition('"},"app_log":')
    if not end:
        inner, end, after = rest.partition('"},"callflow":')
    if not (begin and end):
        return None
    pairs = (one.partition('":"') for one in _NEXT_VARIABLE.split(inner))
    variables = json.dumps({name: value for name, _, value in pairs})
    return f'{before}"variables":{variables}{end[2:]}{after}'


def _are_encoded(variables: Mapping[str, Any]) -> bool:
    for name in _STAMPS:  # 2026-11-23 04:19:49: the surest sign
        stamp = variables.get(name)
        if isinstance(stamp, str) and ("%20" in stamp) != (" " in stamp):
            return "%20" in stamp
    values = "/".join(value for value in variables.values() if isinstance(value, str))
    return "%" in values and _NOT_ENCODED.search(values) is None


def _decoded(variables: Mapping[str, Any]) -> dict[str, str]:
    """Return those variables that hold an escape, decoded.

    All in one go, as ASCII escapes nearly always are: each by itself takes twice as long, which is
    a third of what the whole record takes.
    """
    values = {n: v for n, v in variables.items() if isinstance(v, str) and "%" in v}
    together = _BREAK.join(values.values())
    if _BEYOND_ASCII.search(together):
        return {name: unquote(value).replace(_BREAK, "\ufffd") for name, value in values.items()}
    pieces = _ESCAPE.split(together)
    pieces[1::2] = map(_CHARACTERS.__getitem__, pieces[1::2])
    return dict(zip(values, "".join(pieces).split(_BREAK), strict=True))


def _check_depth(value: Any, left: int) -> None:
    if not left:
        raise NotARecord(_TOO_DEEP)
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            _check_depth(item, left - 1)


def _storable(value: Any) -> Any:
    """Return the value without what PostgreSQL, or JSON itself, cannot hold.

    That is the character NUL, half a character, and a number that is none.
    """
    if isinstance(value, str):
        return (
            value.replace("\0", "\ufffd")
            .encode("utf-16", "surrogatepass")
            .decode("utf-16", "replace")
        )
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    if isinstance(value, float) and value - value != 0:
        return None
    return value
