"""The XML that FreeSWITCH takes, built and never pasted.

FreeSWITCH runs its preprocessor over every answer, line by line (switch_xml.c): it would expand
`$${…}`, carry out an `X-PRE-PROCESS`, and drop a line that holds `<?`. Values pass an allow-list
on which none of these can be written, and a document has no prolog.
"""

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

# What `user/…` is dialled as. The switch fills in ${…} at the call; a document of ours never
# holds another value with a `$`.
_DIAL_STRING = (
    "{^^:sip_invite_domain=${dialed_domain}:presence_id=${dialed_user}@${dialed_domain}}"
    "${sofia_contact(*/${dialed_user}@${dialed_domain})}"
)
_SAFE = re.compile(r"[A-Za-z0-9_.,+@:/ -]*", re.ASCII)


class UnsafeValue(ValueError):
    """The value could mean something to the switch's preprocessor."""


def user_found(domain: str, extension: str, *, a1_hash: str, variables: Mapping[str, str]) -> bytes:
    """Return the answer that lets a user register, and be called.

    The hash is MD5(extension:domain:password), for a switch whose challenge names this domain. An
    answer without a password would let anybody in, so the switch is also told that none is no
    password.
    """
    document, section = _document("directory")
    place = ET.SubElement(section, "domain", name=_safe(domain))
    _list(place, "params", "param", {"dial-string": _DIAL_STRING})
    groups = ET.SubElement(place, "groups")
    users = ET.SubElement(ET.SubElement(groups, "group", name="default"), "users")
    user = ET.SubElement(users, "user", id=_safe(extension))
    password = {"a1-hash": _safe(a1_hash), "allow-empty-password": "false"}
    _list(user, "params", "param", password)
    safe = {name: _safe(value) for name, value in variables.items()}
    _list(user, "variables", "variable", safe)
    return _render(document)


def domain_found(domain: str) -> bytes:
    """Return the answer to who asks for the domain and for no user of it."""
    document, section = _document("directory")
    place = ET.SubElement(section, "domain", name=_safe(domain))
    _list(place, "params", "param", {"dial-string": _DIAL_STRING})
    return _render(document)


def not_found() -> bytes:
    """Return the answer that sends the switch away without a line in its log."""
    document, section = _document("result")
    ET.SubElement(section, "result", status="not found")
    return _render(document)


def _document(section: str) -> tuple[ET.Element, ET.Element]:
    document = ET.Element("document", type="freeswitch/xml")
    return document, ET.SubElement(document, "section", name=section)


def _list(parent: ET.Element, name: str, item: str, values: Mapping[str, str]) -> None:
    holder = ET.SubElement(parent, name)
    for key, value in values.items():
        ET.SubElement(holder, item, name=key, value=value)


def _render(document: ET.Element) -> bytes:
    ET.indent(document)
    return bytes(ET.tostring(document, encoding="us-ascii", xml_declaration=False))


def _safe(value: str) -> str:
    if not _SAFE.fullmatch(value):
        raise UnsafeValue(f"{value[:40]!r} must not reach a switch")
    return value
