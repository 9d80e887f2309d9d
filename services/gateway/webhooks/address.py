"""Where a webhook may lead: not into our own network, unless that was permitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

_EVERYWHERE = ("0.0.0.0/0", "::/0")
_NAT64 = IPv6Network("64:ff9b::/96")
_LONGEST_URL = 2000
_PORTS = {"http": 80, "https": 443}


class NotPermitted(ValueError):
    """No webhook may lead there; the text says why."""


@dataclass(frozen=True, slots=True)
class Permitted:
    """Networks of ours into which webhooks may lead."""

    networks: Sequence[str] = ()

    @classmethod
    def parse(cls, text: str) -> "Permitted":
        """Return what a setting says: networks by comma, or `allow` for all; raise `ValueError`."""
        if text.strip() == "allow":
            return cls(_EVERYWHERE)
        networks = tuple(part.strip() for part in text.split(",") if part.strip())
        for network in networks:
            ip_network(network)
        return cls(networks)

    def check(self, address: str) -> None:
        """Raise `NotPermitted` for an address that is not on the public Internet."""
        # A zone (`fe80::1%eth0`) is of no meaning to anybody else.
        ip = ip_address(address.partition("%")[0])
        if any(ip in ip_network(network) for network in self.networks):
            return
        reached: Sequence[IPv4Address | IPv6Address] = _inside(ip) or [ip]
        for each in reached:
            if not each.is_global or each.is_multicast or each.is_reserved:
                raise NotPermitted(f"{ip} is a private address (VOICE_WEBHOOK_PRIVATE)")


def _inside(ip: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses to which gateways would carry on what is sent to this one."""
    if isinstance(ip, IPv4Address):
        return []
    found = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in _NAT64:
        found.append(IPv4Address(int(ip) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def split(url: str) -> tuple[SplitResult, str, int]:
    """Return the parts of a webhook's URL, its host and its port; raise `NotPermitted`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise NotPermitted(f"is no URL: {error}") from None
    if parts.scheme not in _PORTS or not host:
        raise NotPermitted("must be http://… or https://…, with a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise NotPermitted("must have neither user nor password nor fragment")
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise NotPermitted(f"must be at most {_LONGEST_URL} ASCII characters, without blanks")
    return parts, host, port or _PORTS[parts.scheme]
