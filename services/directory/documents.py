"""The XML that FreeSWITCH takes, built and never pasted.

FreeSWITCH runs its preprocessor over every answer, line by line (switch_xml.c): it would expand
`$${…}`, carry out an `X-PRE-PROCESS`, and drop a line that holds `<?`. No value on which one of
these can be written gets in, and a document has no prolog.
"""

from collections.abc import Iterable, Mapping
from xml.etree import ElementTree as ET

from services.directory.users import KnownUser
from shared.messages.users import plain

# What `user/…` is dialled as. The switch fills in ${…} at the call; a document of ours never
# holds another value with a `$`.
_SOFIA = (
    "{^^:sip_invite_domain=${dialed_domain}:presence_id=${dialed_user}@${dialed_domain}}"
    "${sofia_contact(*/${dialed_user}@${dialed_domain})}"
)
_VERTO = ",${verto_contact(${dialed_user}@${dialed_domain})}"


class UnsafeValue(ValueError):
    """The value could mean something to the switch's preprocessor."""


class Documents:
    """Answers; with `verto` users are called in browsers as well (mod_verto)."""

    def __init__(self, *, verto: bool = False) -> None:
        self._dial_string = _SOFIA + _VERTO if verto else _SOFIA

    def user(self, domain: str, user: KnownUser, secrets: Mapping[str, str]) -> bytes:
        """Return the answer that lets a user register, and be called.

        `secrets` are parameters such as `a1-hash`. An answer without one would let anybody in, so
        the switch is also told that no password is none.
        """
        document, place = self._domain(domain)
        element = _user(_group(place, user.group), user.extension)
        _list(element, "params", "param", {**secrets, "allow-empty-password": "false"})
        _list(element, "variables", "variable", user.channel_variables())
        return _render(document)

    def group(self, domain: str, group: str, extensions: Iterable[str]) -> bytes:
        """Return the answer to who calls a group: who is in it, and nobody's password."""
        document, place = self._domain(domain)
        users = _group(place, group)
        for extension in extensions:
            params = {"allow-empty-password": "false"}
            _list(_user(users, extension), "params", "param", params)
        return _render(document)

    def domain(self, domain: str) -> bytes:
        """Return the answer to who asks for the domain and for no user of it."""
        return _render(self._domain(domain)[0])

    @staticmethod
    def not_found() -> bytes:
        """Return the answer that sends the switch away without a line in its log."""
        document, section = _document("result")
        ET.SubElement(section, "result", status="not found")
        return _render(document)

    def _domain(self, name: str) -> tuple[ET.Element, ET.Element]:
        document, section = _document("directory")
        place = ET.SubElement(section, "domain", name=_safe(name))
        params = ET.SubElement(place, "params")
        ET.SubElement(params, "param", name="dial-string", value=self._dial_string)
        return document, place


def _document(section: str) -> tuple[ET.Element, ET.Element]:
    document = ET.Element("document", type="freeswitch/xml")
    return document, ET.SubElement(document, "section", name=section)


def _group(place: ET.Element, name: str) -> ET.Element:
    group = ET.SubElement(ET.SubElement(place, "groups"), "group", name=_safe(name))
    return ET.SubElement(group, "users")


def _user(users: ET.Element, extension: str) -> ET.Element:
    return ET.SubElement(users, "user", id=_safe(extension))


def _list(parent: ET.Element, name: str, item: str, values: Mapping[str, str]) -> None:
    holder = ET.SubElement(parent, name)
    for key, value in values.items():
        ET.SubElement(holder, item, name=_safe(key), value=_safe(value, of=key))


def _render(document: ET.Element) -> bytes:
    ET.indent(document)
    return bytes(ET.tostring(document, encoding="us-ascii", xml_declaration=False))


def _safe(value: str, of: str = "a name") -> str:
    try:
        return plain(value)
    except ValueError:
        # Without the value: it may be a password.
        raise UnsafeValue(f"what {of} holds must not reach a switch") from None
