"""Find ports on 127.0.0.1 that nobody uses."""

import secrets
import socket

LOOPBACK = "127.0.0.1"

# Below Linux's range for outgoing connections (32768 and up): a port from that range can be taken
# by somebody's outgoing connection while a server that wants it back is restarted.
_FIRST, _LAST = 20000, 29999


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    try:
        with socket.create_server((LOOPBACK, port)):
            return True
    except OSError:
        return False


def free_port() -> int:
    """Return a port that is free; random, so that two who ask at once do not get the same."""
    for _ in range(200):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST + 1)
        if is_free(port):
            return port
    raise OSError(f"none of 200 ports tried between {_FIRST} and {_LAST} on {LOOPBACK} is free")
