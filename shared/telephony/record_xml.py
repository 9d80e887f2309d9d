"""A record in XML, as xml_cdr and format_cdr write it, in the shape of json_cdr's. Pure.

It comes from whoever can reach the port: a document type, and with it every entity, is refused;
depth and number of elements are bounded.
"""

import re
import sys
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote
from xml.parsers import expat

from shared.telephony.record_envelope import NotARecord

_DEEPEST = 32  # a record has 8 levels, two more with each extension that executes another
_MOST_ELEMENTS = 100_000  # a record has 500
# XML has no way to say these, and a phone may have put them into a name.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"&#(x[0-9a-fA-F]{1,8}|[0-9]{1,8});")
_PROFILES = ("originator", "originatee", "origination")


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    children: "list[_Element]" = field(default_factory=list)
    text: str = ""


def read_xml(body: bytes) -> dict[str, Any]:
    """Return a record; its variables are decoded. Raise `NotARecord` for what is none."""
    root = _parse(body)
    if root.name != "cdr":
        raise NotARecord(f"its XML is a <{root.name[:40]}>, not a <cdr>")
    record: dict[str, Any] = dict(root.attributes)
    for child in root.children:
        match child.name:
            case "variables":
                record["variables"] = _variables(child)
            case "call-stats":
                record["callStats"] = {media.name: _statistics(media) for media in child.children}
            case "app_log":
                record["app_log"] = {"applications": [app.attributes for app in child.children]}
            case "hold-record":
                record["hold_record"] = [hold.attributes for hold in child.children]
            case "callflow":
                record.setdefault("callflow", []).append(_flow(child))
            case name:
                record[name] = _plain(child)
    return record


def _parse(body: bytes) -> _Element:
    text = _ILLEGAL.sub("\ufffd", body.decode("utf-8", "replace"))
    text = _REFERENCE.sub(_legal_reference, text)
    top = _Element("", {})
    open_elements = [top]
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(open_elements) > _DEEPEST:
            raise NotARecord(f"its XML is nested deeper than {_DEEPEST} levels")
        if count > _MOST_ELEMENTS:
            raise NotARecord(f"its XML has more than {_MOST_ELEMENTS} elements")
        element = _Element(name, attributes)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def data(text: str) -> None:
        open_elements[-1].text += text

    def document_type(*_: Any) -> None:
        raise NotARecord("its XML declares a document type, which no switch does")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = document_type
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise NotARecord(f"its XML is broken in line {error.lineno}: {reason}") from None
    return top.children[0]


def _legal_reference(reference: re.Match[str]) -> str:
    digits = reference[1]
    code = int(digits[1:], 16) if digits.startswith("x") else int(digits)
    is_legal = code <= sys.maxunicode and not _ILLEGAL.match(chr(code))
    return reference[0] if is_legal else "\ufffd"


def _variables(element: _Element) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for variable in element.children:
        value = unquote(variable.text.strip()).replace("\0", "\ufffd")
        if value:
            values.setdefault(variable.name, []).append(value)
    # An array is so many elements of one name here, and one string in JSON.
    return {
        name: found[0] if len(found) == 1 else f"ARRAY::{'|:'.join(found)}"
        for name, found in values.items()
    }


def _statistics(media: _Element) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for child in media.children:
        if child.name == "error-log":
            figures.setdefault("inbound", {})["errorLog"] = [
                _figures(period) for period in child.children
            ]
        else:
            figures[child.name] = figures.get(child.name, {}) | _figures(child)
    return figures


def _figures(element: _Element) -> dict[str, Any]:
    return {
        _FIGURE_NAMES.get(figure.name, figure.name): _number(figure.text.strip())
        for figure in element.children
    }


_FIGURE_NAMES = {"consecutive-flaws": "consecutiveFlaws", "duration-msec": "durationMS"}


def _number(text: str) -> int | float | str:
    """Return a number as JSON has it: 4.50 is 4.5, and 0.00 is 0."""
    if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", text):
        return text
    number = float(text)
    return int(number) if number.is_integer() else number


def _flow(element: _Element) -> dict[str, Any]:
    flow: dict[str, Any] = dict(element.attributes)
    for child in element.children:
        if child.name == "extension":
            flow["extension"] = _extension(child)
        elif child.name == "caller_profile":
            flow["caller_profile"] = _profile(child)
        else:
            flow[child.name] = _plain(child)
    return flow


def _extension(element: _Element) -> dict[str, Any]:
    extension: dict[str, Any] = {**element.attributes, "applications": []}
    for child in element.children:
        if child.name == "application":
            extension["applications"].append(child.attributes)
        elif child.name == "sub_extensions":
            extension["sub_extensions"] = [_extension(inner) for inner in child.children]
    return extension


def _profile(element: _Element) -> dict[str, Any]:
    profile: dict[str, Any] = {}
    for child in element.children:
        if child.name in _PROFILES:
            inner = [_profile(one) for one in child.children]
            profile[child.name] = {f"{child.name}_caller_profiles": inner}
        else:
            profile[child.name] = _plain(child)
    return profile


def _plain(element: _Element) -> Any:
    if not element.children:
        return element.text
    return dict(element.attributes) | {child.name: _plain(child) for child in element.children}
