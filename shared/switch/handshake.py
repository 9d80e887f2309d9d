"""Connecting to an event socket: in Python, with a time limit and a reason for each failure."""

import socket

from shared.switch.address import SwitchAddress

_LONGEST_GREETING = 4096


class SwitchAway(Exception):
    """No link to the switch could be made."""


def connect(address: SwitchAddress, *, timeout: float) -> socket.socket:
    """Return a socket on which the switch has accepted our password.

    Exactly the bytes of the greeting and of the answer are read, so that whoever gets the socket
    misses nothing. Keep-alives are on: the server side sends none, and would leave us on a dead
    link for ever.
    """
    try:
        link = socket.create_connection((address.host, address.port), timeout)
    except OSError as error:
        raise SwitchAway(f"{address.name} at {address.host}:{address.port}: {error}") from error
    try:
        _authenticate(link, address)
    except BaseException:
        link.close()
        raise
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def _authenticate(link: socket.socket, address: SwitchAddress) -> None:
    try:
        greeting = _block(link)
        if "auth/request" not in greeting:
            said = "it refuses our address" if "rude-rejection" in greeting else repr(greeting[:60])
            raise SwitchAway(f"{address.name}: {said}")
        link.sendall(f"auth {address.password}\n\n".encode())
        answer = _block(link)
    except OSError as error:
        raise SwitchAway(f"{address.name}: {error or 'no answer in time'}") from error
    if "+OK" not in answer:
        raise SwitchAway(f"{address.name}: it refuses our password")


def _block(link: socket.socket) -> str:
    received = b""
    while not received.endswith(b"\n\n"):
        byte = link.recv(1)
        if not byte:
            raise ConnectionError("it closed the link during the greeting")
        received += byte
        if len(received) > _LONGEST_GREETING:
            raise ConnectionError("it does not greet as an event socket does")
    return received.decode("utf-8", "replace")
