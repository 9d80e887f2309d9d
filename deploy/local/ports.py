"""Find ports on 127.0.0.1 that nobody uses."""

import secrets
import socket

LOOPBACK = "127.0.0.1"

# Below Linux's range for outgoing connections (32768 and up): a port from that range can be taken
# by somebody's outgoing connection while a server that wants it back is restarted.
_FIRST, _LAST = 20000, 29999

# What this process promised to somebody; one name per port, so long as the process lives.
_promises: list[socket.socket] = []


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    try:
        with socket.create_server((LOOPBACK, port)):
            return True
    except OSError:
        return False


def free_port() -> int:
    """Return a port that is free and that no other caller gets while this process lives."""
    for _ in range(200):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST + 1)
        if is_free(port) and _promise(port):
            return port
    raise OSError(f"none of 200 ports tried between {_FIRST} and {_LAST} on {LOOPBACK} is free")


def _promise(port: int) -> bool:
    # A name in Linux's abstract namespace: only one process can hold it, and it goes with that
    # process, whatever end it takes. Without it, two servers that are to be started are given one
    # port now and then: it stays free until the first of them listens.
    promise = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        promise.bind(f"\0voice-api-port-{port}")
    except OSError:
        promise.close()
        return False
    _promises.append(promise)
    return True
