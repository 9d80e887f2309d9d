"""A user as the switch is to know it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import md5

from shared.messages.users import DEFAULT_GROUP

_TOLL_ALLOW = "domestic,international,local"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownUser:
    """A user who may register; both passwords are sealed."""

    domain: str
    extension: str
    password: str
    voicemail_password: str | None = None
    group: str = DEFAULT_GROUP
    callgroup: str | None = None
    display_name: str | None = None
    effective_caller_id_name: str | None = None
    effective_caller_id_number: str | None = None
    outbound_caller_id_name: str | None = None
    outbound_caller_id_number: str | None = None
    toll_allow: str | None = None
    accountcode: str | None = None
    user_context: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def channel_variables(self) -> dict[str, str]:
        """Return the variables of the user's calls: what was said, else what goes by itself.

        `sip-force-contact` has the switch call a phone back where it registered from, through
        whatever router stands in between.
        """
        said = {
            "toll_allow": self.toll_allow if self.toll_allow is not None else _TOLL_ALLOW,
            "accountcode": self.accountcode or self.extension,
            "user_context": self.user_context or "default",
            "directory_full_name": self.display_name,
            "effective_caller_id_name": (
                self.effective_caller_id_name or self.display_name or self.extension
            ),
            "effective_caller_id_number": self.effective_caller_id_number or self.extension,
            "outbound_caller_id_name": self.outbound_caller_id_name,
            "outbound_caller_id_number": self.outbound_caller_id_number,
            "callgroup": self.callgroup or self.group,
            "sip-force-contact": "NDLB-connectile-dysfunction",
        }
        return {name: value for name, value in said.items() if value} | dict(self.variables)


def owner(domain: str, extension: str) -> str:
    """Return whose a sealed secret is."""
    return f"{extension}@{domain}"


def a1_hash(extension: str, realm: str, password: str) -> str:
    """Return what digest authentication makes of a password (RFC 2617, 3.2.2.2).

    MD5 is the protocol's choice, not ours.
    """
    return md5(f"{extension}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()
