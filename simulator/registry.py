"""Registrations: which extensions' phones have announced themselves, and which have left."""

from __future__ import annotations

import time
import uuid

from simulator.directory import Directory
from simulator.events import Origin
from simulator.hub import Hub
from simulator.settings import Settings

_REGISTER_FUNCTION = "sofia_reg_handle_register_token"
_FILE = "sofia_reg.c"
_EXPIRES_SECONDS = 300


class Registry:
    """The phones of this switch; a known user counts as registered until its phone leaves."""

    def __init__(self, settings: Settings, hub: Hub, directory: Directory) -> None:
        self._domain = settings.domain
        self._hub = hub
        self._directory = directory
        self._left: set[str] = set()
        self.rows: dict[str, dict[str, str]] = {}

    def has_left(self, extension: str) -> bool:
        """Say whether this extension's phone has unregistered."""
        return extension in self._left

    def contact(self, extension: str) -> str:
        """Give where the extension's phone is."""
        return f"{extension}@127.0.0.1:16061"

    async def register(self, extension: str) -> bool:
        """Register a phone if the directory knows it; True when it does."""
        call_id = f"{uuid.uuid4()}@127.0.0.1"
        sip = self._sip(extension, call_id)
        self._fire("pre_register", 1810, sip)
        user = await self._directory.sip_auth(extension, self._domain, _auth(extension, sip))
        realm = {"username": extension, "realm": self._domain}
        if user is None:
            self._fire("register_attempt", 1606, {**sip, **realm, "auth-result": "FORBIDDEN"})
            failure = {name: sip[name] for name in _FAILURE_HEADERS if name in sip}
            self._fire("register_failure", 1662, {**failure, "registration-type": "REGISTER"})
            return False
        self._fire("register_attempt", 1606, {**sip, **realm, "auth-result": "RENEWED"})
        known = {
            "sip_number_alias": extension,
            "sip_auth_username": extension,
            "sip_auth_realm": self._domain,
            "number_alias": extension,
            "user_name": extension,
            "domain_name": self._domain,
        }
        registered = {**sip, "presence-hosts": "n/a", **realm, **known, **user.variables}
        self._fire("register", 2059, registered)
        query = {
            "Message-Account": f"sip:{extension}@{self._domain}",
            "VM-Sofia-Profile": "internal",
            "VM-Call-ID": call_id,
        }
        self._hub.fire("MESSAGE_QUERY", Origin(_FILE, _REGISTER_FUNCTION, 2168), query)
        self._left.discard(extension)
        self.rows[extension] = self._row(extension, call_id)
        return True

    def unregister(self, extension: str) -> None:
        """Take a phone off the network: calls to it fail until it registers again."""
        self._left.add(extension)
        row = self.rows.pop(extension, None)
        sip = self._sip(extension, row["token"] if row else str(uuid.uuid4()))
        self._fire("unregister", 1983, {**sip, "expires": "0"})

    def flush(self, who: str = "") -> None:
        """Forget the registrations of `user@domain`, of a call-id, or all of them.

        The phones do not know, and a simulated one can be called as before.
        """
        for extension, row in list(self.rows.items()):
            if who in {"", row["token"], f"{extension}@{self._domain}"}:
                del self.rows[extension]
                expired = {
                    "profile-name": "internal",
                    "user": extension,
                    "host": self._domain,
                    "contact": f"<sip:{self.contact(extension)}>",
                    "call-id": row["token"],
                    "expires": row["expires"],
                    "user-agent": "simulator",
                }
                origin = Origin(_FILE, "sofia_reg_del_callback", 752)
                self._hub.fire("CUSTOM", origin, expired, subclass="sofia::expire")

    def _fire(self, what: str, line: int, headers: dict[str, str]) -> None:
        origin = Origin(_FILE, _REGISTER_FUNCTION, line)
        self._hub.fire("CUSTOM", origin, headers, subclass=f"sofia::{what}")

    def _sip(self, extension: str, call_id: str) -> dict[str, str]:
        return {
            "profile-name": "internal",
            "from-user": extension,
            "from-host": self._domain,
            "contact": f'"" <sip:{self.contact(extension)}>',
            "call-id": call_id,
            "rpid": "unknown",
            "status": "Registered(UDP)",
            "expires": str(_EXPIRES_SECONDS),
            "to-user": extension,
            "to-host": self._domain,
            "network-ip": "127.0.0.1",
            "network-port": "16061",
            "user-agent": "simulator",
        }

    def _row(self, extension: str, call_id: str) -> dict[str, str]:
        return {
            "reg_user": extension,
            "realm": self._domain,
            "token": call_id,
            "url": f"sofia/internal/sip:{self.contact(extension)}",
            "expires": str(int(time.time()) + _EXPIRES_SECONDS + 60),
            "network_ip": "127.0.0.1",
            "network_port": "16061",
            "network_proto": "udp",
            "hostname": self._hub.stamps.switchname,
            "metadata": "",
        }


_FAILURE_HEADERS = (
    "profile-name",
    "to-user",
    "to-host",
    "network-ip",
    "user-agent",
    "network-port",
)


def _auth(extension: str, sip: dict[str, str]) -> dict[str, str]:
    """Give the fields of a digest that a phone sent in answer to the switch's challenge."""
    domain = sip["to-host"]
    return {
        "sip_profile": "internal",
        "sip_user_agent": sip["user-agent"],
        "sip_auth_username": extension,
        "sip_auth_realm": domain,
        "sip_auth_nonce": str(uuid.uuid4()),
        "sip_auth_uri": f"sip:{domain}",
        "sip_contact_user": extension,
        "sip_contact_host": "127.0.0.1",
        "sip_to_user": extension,
        "sip_to_host": domain,
        "sip_via_protocol": "udp",
        "sip_from_user": extension,
        "sip_from_host": domain,
        "sip_call_id": sip["call-id"],
        "sip_request_host": domain,
        "sip_auth_qop": "auth",
        "sip_auth_cnonce": "6b8b4567",
        "sip_auth_nc": "00000001",
        "sip_auth_response": uuid.uuid4().hex,
        "sip_auth_method": "REGISTER",
        "client_port": "16061",
    }
