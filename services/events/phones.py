"""Who is registered on one switch, by its registration events, repaired by its list."""

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from services.events.observed import Observed
from shared.messages.events import Event

User: TypeAlias = tuple[str, str]  # extension and domain

_MOST_GONE = 100_000
_ADDRESS = re.compile(r"sips?:([^;>?]+)")


@dataclass(frozen=True, slots=True)
class _Phone:
    """A phone of a user: where it is, and the Call-ID under which it registered last."""

    user: User
    address: str
    call_id: str


class Phones:
    """The users of whom at least one phone is registered.

    FreeSWITCH tells every refresh; told here is only what changes a user's being reachable. It does
    not tell that a phone took another one's place (`multiple-registrations` false), so whether a
    user who had two phones has one left is looked up in its list.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._known: dict[User, dict[str, _Phone]] = {}
        # Phones that may have gone without a word.
        self._doubtful: set[_Phone] = set()
        self._is_asking = False
        # FreeSWITCH's list goes on naming phones that were thrown out, or expired, until their
        # registration would have ended (sofia_reg.c takes only those out of it that unregister).
        self._gone: OrderedDict[tuple[User, str], None] = OrderedDict()

    def registered(self, event: Observed) -> list[Event]:
        """Return `user.registered` where the user had no phone before."""
        phone = _seen(event)
        if phone is not None:
            self._gone.pop((phone.user, phone.call_id), None)
        if phone is None or not self._add(phone):
            return []
        return [self._event("user.registered", phone.user, event.stamp, _fact(event), _told(event))]

    def gone(self, event: Observed) -> list[Event]:
        """Return `user.unregistered` where this was the user's last phone."""
        phone = _seen(event)
        if phone is None:
            return []
        self._gone[phone.user, phone.call_id] = None
        while len(self._gone) > _MOST_GONE:
            self._gone.popitem(last=False)
        known = self._known.get(phone.user, {})
        leaving = known.get(phone.address) or next(
            (other for other in known.values() if other.call_id == phone.call_id), None
        )
        if known and (leaving is None or len(known) > 1):
            if leaving is not None:
                self._remove(leaving)
            self._doubtful |= set(known.values())
            self._is_asking = True
            return []
        self._known.pop(phone.user, None)
        return [
            self._event("user.unregistered", phone.user, event.stamp, _fact(event), _told(event))
        ]

    def recall(self, kind: str, said: Mapping[str, Any]) -> None:
        """Take in who was told to be registered, or not to be any more; the list may differ."""
        extension, domain = _text(said, "extension"), _text(said, "domain")
        if extension is None or domain is None:
            return
        user = (extension, domain)
        if kind == "user.unregistered":
            self._known.pop(user, None)
        elif not self._known.get(user):
            phone = _Phone(user, _address(_text(said, "contact") or ""), "")
            self._known[user] = {phone.address: phone}
            self._doubtful.add(phone)

    def doubt(self) -> None:
        """Take nothing for certain any more: the link broke."""
        self._doubtful = {phone for known in self._known.values() for phone in known.values()}

    def are_in_doubt(self) -> bool:
        """Tell, once, that `compare` is wanted."""
        is_asking, self._is_asking = self._is_asking, False
        return is_asking

    def compare(self, rows: Iterable[Mapping[str, Any]], at: int) -> list[Event]:
        """Return what changed without a word, by the rows of `show registrations`.

        The list may be a moment behind the events, so a phone that was heard since it came into
        doubt is not taken for gone because it is not in it.
        """
        events = []
        listed = {}
        for row in rows:
            phone = _listed(row)
            if phone is not None and (phone.user, phone.call_id) not in self._gone:
                listed[phone.user, phone.address] = (phone, row)
        for phone in sorted(self._doubtful, key=lambda phone: (phone.user, phone.address)):
            if (phone.user, phone.address) not in listed and self._remove(phone):
                seen = {"synthetic": True, "synthetic_reason": "not in show registrations"}
                fact = f"missed/{phone.call_id}/{at}"
                events.append(self._event("user.unregistered", phone.user, at, fact, seen))
        for phone, row in listed.values():
            if self._add(phone):
                seen = {
                    "contact": _text(row, "url"),
                    "network_ip": _text(row, "network_ip"),
                    "synthetic": True,
                    "synthetic_reason": "found in show registrations",
                }
                # The same whoever finds it, and another once the phone has registered anew.
                fact = f"found/{phone.call_id}/{row.get('expires')}"
                events.append(self._event("user.registered", phone.user, at, fact, seen))
        self._doubtful.clear()
        return events

    def _add(self, phone: _Phone) -> bool:
        """Note a phone; tell whether it is the user's first."""
        known = self._known.setdefault(phone.user, {})
        is_first = not known
        self._doubtful.discard(known.get(phone.address, phone))
        # A router gave the same phone another address.
        for other in [other for other in known.values() if other.call_id == phone.call_id]:
            del known[other.address]
        known[phone.address] = phone
        return is_first

    def _remove(self, phone: _Phone) -> bool:
        """Forget a phone; tell whether the user has none left."""
        known = self._known.get(phone.user, {})
        known.pop(phone.address, None)
        self._doubtful.discard(phone)
        if known:
            return False
        return self._known.pop(phone.user, None) is not None

    def _event(self, kind: str, user: User, at: int, fact: str, seen: Mapping[str, Any]) -> Event:
        extension, domain = user
        return Event(
            type=kind,
            source=self._source,
            subject=f"{extension}@{domain}",
            at=at,
            fact=fact,
            data={
                "extension": extension,
                "domain": domain,
                "switch": self._source.removeprefix("/switch/"),
                **seen,
            },
        )


def _fact(event: Observed) -> str:
    return f"{event.text('Core-UUID')}/{event.text('Event-Sequence')}"


def _told(event: Observed) -> dict[str, Any]:
    return {
        "contact": event.text("contact"),
        "user_agent": event.text("user-agent"),
        "network_ip": event.text("network-ip"),
    }


def _seen(event: Observed) -> _Phone | None:
    # An expiry names the same things otherwise than a registration does.
    extension = event.text("from-user") or event.text("user")
    domain = event.text("from-host") or event.text("host")
    if extension is None or domain is None:
        return None
    address = _address(event.text("contact") or "")
    return _Phone((extension, domain), address, event.text("call-id") or "")


def _listed(row: Mapping[str, Any]) -> _Phone | None:
    extension, domain, url, token = (
        _text(row, name) or "" for name in ("reg_user", "realm", "url", "token")
    )
    if not extension or not domain:
        return None
    return _Phone((extension, domain), _address(url), token)


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) else None


def _address(contact: str) -> str:
    """Return where a phone is, of `"" <sip:…;…>` and of `sofia/<profile>/sip:…` alike."""
    found = _ADDRESS.search(contact)
    return found[1] if found else contact
