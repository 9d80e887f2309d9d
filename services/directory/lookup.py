"""Which user a request of mod_xml_curl is about. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.messages.commands import WORD


@dataclass(frozen=True, slots=True)
class Lookup:
    """A question of the switch's: this user of this domain, or the domain alone."""

    domain: str
    extension: str | None


def read(form: Mapping[str, str]) -> Lookup | None:
    """Return what a request asks of the directory; None for what we do not serve.

    `key_value` is the domain that the switch will compare the answer with; the `domain` field may
    be another name for it. The fields may come in any order.
    """
    if form.get("section") != "directory" or form.get("tag_name") != "domain":
        return None
    domain = form.get("key_value", "").lower()
    if form.get("key_name") != "name" or not _is_word(domain):
        return None
    if form.get("purpose"):
        # Gateways and access lists: a domain that has none.
        return Lookup(domain, None)
    key, user = form.get("key", "id"), form.get("user")
    if user and (key != "id" or not _is_word(user)):
        return None
    return Lookup(domain, user or None)


def _is_word(text: str) -> bool:
    """Tell whether a user or a domain can have this name at all."""
    return re.fullmatch(WORD.strip("^$"), text) is not None
