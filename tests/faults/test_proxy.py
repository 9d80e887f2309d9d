"""A network that breaks as networks do."""

import socket
import threading
from collections.abc import Iterator

import pytest

from deploy.local.ports import LOOPBACK, free_port
from faults.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Give a proxy to a server that says everything back."""
    with socket.create_server((LOOPBACK, 0)) as server:
        threading.Thread(target=echo, args=[server], daemon=True).start()
        with Proxy(free_port(), to=server.getsockname()[1]) as proxy:
            yield proxy


def echo(server):
    while True:
        try:
            link, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=say_back, args=[link], daemon=True).start()


def say_back(link):
    with link:
        while data := link.recv(4096):
            link.sendall(data)


def connect(proxy):
    return socket.create_connection((LOOPBACK, proxy.port), 5)


def says_back(link, text=b"x"):
    """Tell whether what is sent comes back; None where nothing does, and nobody hung up."""
    link.settimeout(0.2)
    try:
        link.sendall(text)
        return link.recv(4096) == text
    except TimeoutError:
        return None
    except OSError:
        return False


def test_it_passes_bytes_on(proxy):
    """Both ways, for each connection."""
    with connect(proxy) as one, connect(proxy) as other:
        assert says_back(one, b"1")
        assert says_back(other, b"2")
    assert proxy.accepted == 2


def test_in_silence_nobody_learns_of_anything(proxy):
    """What was connected stays so and hears nothing, for good; who comes after it is served."""
    with connect(proxy) as before:
        assert says_back(before)
        proxy.fall_silent()
        with connect(proxy) as during:
            assert says_back(before) is None
            assert says_back(during) is None
            proxy.heal()
            assert says_back(before) is None
        with connect(proxy) as after:
            assert says_back(after)


def test_cut_connections_end_at_once(proxy):
    """Also those that are tried meanwhile."""
    with connect(proxy) as before:
        assert says_back(before)
        proxy.shut()
        assert says_back(before) is False
        with connect(proxy) as during:
            assert says_back(during) is False
        proxy.heal()
        with connect(proxy) as after:
            assert says_back(after)
