"""mod_xml_curl's part: asking the directory for a user, and reading its answer."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from xml.etree import ElementTree

from simulator.events import Origin, Stamps
from simulator.frames import url_encode
from simulator.http_post import PostFailed, Sender, post
from simulator.settings import Settings

_log = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 2.0
_USUAL_DIAL_STRING = (
    "{^^:sip_invite_domain=${dialed_domain}:presence_id=${dialed_user}@${dialed_domain}}"
    "${sofia_contact(*/${dialed_user}@${dialed_domain})}"
)
_USER_CALL = Origin("mod_dptools.c", "user_outgoing_channel", 4368)
_SIP_AUTH = Origin("sofia_reg.c", "sofia_reg_parse_auth", 3124)


@dataclass(frozen=True, slots=True)
class User:
    """A user as the directory describes it, group and domain merged in."""

    extension: str
    domain: str
    params: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def dial_string(self) -> str:
        """The user's dial string, with what it says of the dialled user put in."""
        text = self.params.get("dial-string", "")
        text = text.replace("${dialed_user}", self.extension)
        return text.replace("${dialed_domain}", self.domain)


def form(stamps: Stamps, origin: Origin, domain: str, fields: dict[str, str]) -> bytes:
    """Give the body of a lookup: five raw fields, then a whole REQUEST_PARAMS event encoded."""
    head = f"hostname={stamps.switchname}&section=directory&tag_name=domain&key_name=name"
    head += f"&key_value={domain}"
    # A form of curl is ASCII: what was cut or is not valid must not break it.
    headers = stamps.standard("REQUEST_PARAMS", origin) | fields
    pairs = (f"{name}={url_encode(value)}" for name, value in headers.items())
    return "&".join((head, *pairs)).encode()


def read_user(document: bytes, extension: str, domain: str) -> User | None:
    """Give the user that the answer describes, or None where it does not hold this one."""
    try:
        root = ElementTree.fromstring(document)  # noqa: S314 - expat of today, a server of ours
    except ElementTree.ParseError:
        return None
    for found_domain in root.iterfind("section/domain"):
        if found_domain.get("name", "").lower() != domain.lower():
            continue
        for holders in _holders(found_domain):
            user = holders[-1]
            if extension in {user.get("id"), user.get("number-alias")}:
                return User(
                    extension,
                    domain,
                    _merged(holders, "params/param"),
                    _merged(holders, "variables/variable"),
                )
    return None


def _holders(domain: ElementTree.Element) -> list[list[ElementTree.Element]]:
    found = [
        [domain, group, user]
        for group in domain.iterfind("groups/group")
        for user in group.iterfind("users/user")
    ]
    found += [[domain, user] for user in domain.iterfind("users/user")]
    return found + [[domain, user] for user in domain.iterfind("user")]


def _merged(holders: list[ElementTree.Element], path: str) -> dict[str, str]:
    return {
        item.get("name", ""): item.get("value", "")
        for holder in holders
        for item in holder.iterfind(path)
    }


class Directory:
    """The directory as the switch sees it: a server that may be slow, away or wrong."""

    def __init__(self, settings: Settings, stamps: Stamps) -> None:
        self._url = settings.directory_url
        self._stamps = stamps
        self._sender = Sender(
            "freeswitch-xml/1.0",
            "application/x-www-form-urlencoded",
            settings.http_user,
            settings.http_password,
        )

    async def user_call(
        self, extension: str, domain: str, variables: dict[str, str]
    ) -> User | None:
        """Look up a user that is to be called; every variable of the call goes along."""
        fields = {"as_channel": "true", "action": "user_call", **variables}
        return await self._ask(_USER_CALL, extension, domain, fields)

    async def sip_auth(self, extension: str, domain: str, fields: dict[str, str]) -> User | None:
        """Look up a user that registers."""
        return await self._ask(_SIP_AUTH, extension, domain, {"action": "sip_auth", **fields})

    async def _ask(
        self, origin: Origin, extension: str, domain: str, fields: dict[str, str]
    ) -> User | None:
        if self._url is None:
            return User(extension, domain, {"dial-string": _USUAL_DIAL_STRING})
        fields = {**fields, "key": "id", "user": extension, "domain": domain}
        if origin is _SIP_AUTH:
            fields["ip"] = "127.0.0.1"
        body = form(self._stamps, origin, domain, fields)
        try:
            status, answer = await post(self._sender, self._url, body, _TIMEOUT_SECONDS)
        except PostFailed as error:
            _log.warning("the directory did not answer: %s", error)
            return None
        if status != 200:  # noqa: PLR2004 - the only status that mod_xml_curl takes
            _log.warning("the directory answered %d", status)
            return None
        return read_user(answer, extension, domain)
