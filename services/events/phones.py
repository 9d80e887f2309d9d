"""Who is registered on one switch, by its registration events."""

from services.events.observed import Observed
from shared.messages.events import Event


class Phones:
    """The users of whom at least one phone is registered.

    FreeSWITCH tells every refresh; told here is only what changes a user's being reachable.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._contacts: dict[str, set[str]] = {}

    def registered(self, event: Observed) -> list[Event]:
        """Return `user.registered` where the user had no phone before."""
        user, domain, contact = _who(event)
        if user is None or domain is None:
            return []
        contacts = self._contacts.setdefault(f"{user}@{domain}", set())
        is_first = not contacts
        contacts.add(contact)
        return [self._event("user.registered", user, domain, event)] if is_first else []

    def gone(self, event: Observed) -> list[Event]:
        """Return `user.unregistered` where this was the user's last phone."""
        user, domain, contact = _who(event)
        if user is None or domain is None:
            return []
        contacts = self._contacts.get(f"{user}@{domain}", set())
        contacts.discard(contact)
        if contacts:
            return []
        self._contacts.pop(f"{user}@{domain}", None)
        return [self._event("user.unregistered", user, domain, event)]

    def _event(self, kind: str, user: str, domain: str, event: Observed) -> Event:
        return Event(
            type=kind,
            source=self._source,
            subject=f"{user}@{domain}",
            at=event.stamp,
            fact=f"{event.text('Core-UUID')}/{event.text('Event-Sequence')}",
            data={
                "extension": user,
                "domain": domain,
                "switch": self._source.removeprefix("/switch/"),
                "contact": event.text("contact"),
                "user_agent": event.text("user-agent"),
                "network_ip": event.text("network-ip"),
            },
        )


def _who(event: Observed) -> tuple[str | None, str | None, str]:
    # An expiry names the same things otherwise than a registration does.
    user = event.text("from-user") or event.text("user")
    domain = event.text("from-host") or event.text("host")
    return user, domain, event.text("call-id") or event.text("contact") or ""
