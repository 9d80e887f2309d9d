"""What a token opens. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """A right that a token may have."""

    ADMIN = "admin"  # all of the others, tokens, and forgetting records
    CALLS = "calls"  # place and read calls
    USERS = "users"
    EVENTS = "events"  # the journal, the stream, subscriptions
    REPORTS = "reports"  # records, statistics, and reading calls
    NUMBERS = "numbers"  # sees customers' numbers unmasked


@dataclass(frozen=True, slots=True)
class Client:
    """Who comes with a token: its name and its rights."""

    name: str
    scopes: frozenset[str]

    def may(self, *scopes: Scope) -> bool:
        """Tell whether the client has one of these rights."""
        return Scope.ADMIN in self.scopes or not self.scopes.isdisjoint(scopes)

    @property
    def sees_numbers(self) -> bool:
        """Whether customers' numbers are shown as they are."""
        return self.may(Scope.NUMBERS)


# The one of VOICE_TOKEN; no other token may take its name.
ADMINISTRATOR = Client("administrator", frozenset({Scope.ADMIN}))

_READS = {"GET", "HEAD", "OPTIONS"}
_RESOURCES = {
    "users": (Scope.USERS,),
    "events": (Scope.EVENTS,),
    "subscriptions": (Scope.EVENTS,),
    "cdrs.csv": (Scope.REPORTS,),
    "stats": (Scope.REPORTS,),
}


def needed(method: str, path: str) -> tuple[Scope, ...]:
    """Return the rights of which one opens a path under `/v1/`.

    What nobody listed is the administrator's.
    """
    match path.split("/")[2], method in _READS:
        case "calls", True:
            return (Scope.CALLS, Scope.REPORTS)
        case "calls", False:
            return (Scope.CALLS,)
        case "cdrs", True:
            return (Scope.REPORTS,)
        case resource, _:
            return _RESOURCES.get(resource, (Scope.ADMIN,))
