"""What a request of mod_xml_curl asks for. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from shared.messages.users import WORD

_LONGEST = 253


@dataclass(frozen=True, slots=True)
class UserLookup:
    """This user of this domain.

    `realm` is what the phone's digest was made for. With `reverse` a phone has challenged the
    switch, which needs the password in plain to answer.
    """

    domain: str
    extension: str
    realm: str
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class GroupLookup:
    """All users of a group, to be called at once."""

    domain: str
    group: str


@dataclass(frozen=True, slots=True)
class DomainLookup:
    """The domain itself, and none of its users."""

    domain: str


Lookup: TypeAlias = UserLookup | GroupLookup | DomainLookup


def read(form: Mapping[str, str]) -> Lookup | None:
    """Return what a request asks of the directory; None for what we do not serve.

    `key_value` is the domain that the switch will compare the answer with; the `domain` field may
    be another name for it. The fields may come in any order, and some of them from a stranger's
    phone.
    """
    if form.get("section") != "directory" or form.get("tag_name") != "domain":
        return None
    domain = form.get("key_value", "").lower()
    if form.get("key_name") != "name" or not _is_word(domain):
        return None
    if form.get("purpose"):
        # Gateways of a profile, entries of an access list, a voicemail for everybody: users have
        # nothing of the kind, and a domain without users says so.
        return DomainLookup(domain)
    action = form.get("action")
    if action == "group_call":
        group = form.get("group_name") or form.get("group", "")
        return GroupLookup(domain, group) if _is_word(group) else None
    return _about_user(form, domain) if form.get("user") else DomainLookup(domain)


def _about_user(form: Mapping[str, str], domain: str) -> UserLookup | None:
    user, action = form["user"], form.get("action")
    # No user has another name than its extension, and none may command a switch (ESL's `userauth`).
    if form.get("key", "id") != "id" or not _is_word(user) or action == "event_socket_auth":
        return None
    realm = form.get("sip_auth_realm", domain) if action == "sip_auth" else domain
    return UserLookup(domain, user, realm, reverse=action == "reverse-auth-lookup")


def _is_word(text: str) -> bool:
    """Tell whether a user, a group or a domain can have this name at all."""
    return len(text) <= _LONGEST and re.fullmatch(WORD.strip("^$"), text) is not None
