"""What each lookup of a switch is answered."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog

from services.directory.cache import UserCache
from services.directory.documents import Documents, UnsafeValue
from services.directory.lookup import DomainLookup, GroupLookup, UserLookup, read
from services.directory.users import KnownUser, a1_hash, owner
from shared.dependency import DependencyAway
from shared.vault import CannotOpen, Vault

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Answers from what is known of users, in any of the names that our domain has."""

    domain: str
    aliases: Collection[str]
    users: UserCache
    in_group: Callable[[str, str], Sequence[str]]
    has_users: Callable[[str], bool]
    vault: Vault
    documents: Documents

    def answer(self, form: Mapping[str, str]) -> bytes:
        """Return the document for any request. "Not found" is one: only a fault is an error.

        Raise `DependencyAway` where the database, or a key, is needed and not there.
        """
        lookup = read(form)
        try:
            match lookup:
                case UserLookup():
                    found = self._user(lookup)
                case GroupLookup():
                    found = self._group(lookup)
                case DomainLookup():
                    found = self._domain(lookup)
                case None:
                    found = None
        except UnsafeValue as error:
            log.error("not told to the switch", lookup=lookup, error=str(error))  # noqa: TRY400
            found = None
        except CannotOpen as error:
            # Another directory may have the key.
            raise DependencyAway(str(error)) from error
        return self.documents.not_found() if found is None else found

    def _user(self, lookup: UserLookup) -> bytes | None:
        entry = self.users.find(self._canonical(lookup.domain), lookup.extension)
        if entry is None:
            return None
        if lookup.reverse:
            return self._render(lookup, entry.user)
        key = (lookup.domain, lookup.realm)
        document = entry.documents.get(key)
        if document is None:
            document = self._render(lookup, entry.user)
            # Any other realm is a stranger's invention, and would push out the right ones.
            if lookup.realm in self._names(entry.user):
                entry.keep(key, document)
        return document

    def _render(self, lookup: UserLookup, user: KnownUser) -> bytes:
        whose = owner(user.domain, user.extension)
        password = self.vault.open(user.password, whose)
        secrets = {"a1-hash": a1_hash(user.extension, lookup.realm, password)}
        if user.voicemail_password is not None:
            secrets["vm-password"] = self.vault.open(user.voicemail_password, whose)
        if lookup.reverse:
            secrets |= {"reverse-auth-user": user.extension, "reverse-auth-pass": password}
        return self.documents.user(lookup.domain, user, secrets)

    def _group(self, lookup: GroupLookup) -> bytes | None:
        extensions = self.in_group(self._canonical(lookup.domain), lookup.group)
        return self.documents.group(lookup.domain, lookup.group, extensions) if extensions else None

    def _domain(self, lookup: DomainLookup) -> bytes | None:
        domain = self._canonical(lookup.domain)
        is_ours = domain == self.domain or self.has_users(domain)
        return self.documents.domain(lookup.domain) if is_ours else None

    def _names(self, user: KnownUser) -> Collection[str]:
        return {user.domain, *self.aliases} if user.domain == self.domain else {user.domain}

    def _canonical(self, domain: str) -> str:
        return self.domain if domain in self.aliases else domain
