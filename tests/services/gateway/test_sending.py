"""One webhook's way out: signed, only where it may go, and never for long."""

import socket
import threading
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.webhooks.address import NotPermitted, Permitted, split
from services.gateway.webhooks.delivery import jittered
from services.gateway.webhooks.sender import Sender
from services.gateway.webhooks.signature import new_secret, signed
from tests.services.gateway.receiver import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOCAL = Permitted.parse("127.0.0.0/8")


@pytest.fixture
def receiver():
    """Give a server of somebody's."""
    with Receiver() as receiver:
        yield receiver


def test_the_signature_is_that_of_standard_webhooks():
    """The vector of its specification's libraries."""
    body = b'{"test": 2432232314}'
    headers = signed(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_every_secret_is_another():
    """Random, and long enough."""
    assert new_secret() != new_secret()
    assert len(new_secret()) == len("whsec_") + len(b64encode(b"x" * 32))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "2001:db8::1",
    ],
)
def test_no_webhook_leads_into_a_private_network(address):
    """Nor by an address that a gateway would turn into one."""
    with pytest.raises(NotPermitted, match="private"):
        Permitted().check(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_a_public_address_is_permitted(address):
    """That is what webhooks are for."""
    Permitted().check(address)


def test_networks_that_were_permitted_are():
    """They and no others; `allow` is all."""
    permitted = Permitted.parse("10.1.0.0/16, fd00::/8")
    permitted.check("10.1.2.3")
    permitted.check("fd00::5")
    with pytest.raises(NotPermitted):
        permitted.check("10.2.0.1")
    Permitted.parse("allow").check("127.0.0.1")
    Permitted.parse("allow").check("::1")
    with pytest.raises(ValueError, match="nonsense"):
        Permitted.parse("nonsense")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/",
        "a.example",
        "http://",
        "http:///x",
        "http://user@a.example/",
        "http://:password@a.example/",
        "http://a.example/#x",
        "http://a.example:99999/",
        "http://[::1/",
        "http://a.example/a b",
        "http://a.example/\r\nX: y",
        "http://a.example/" + "x" * 2000,
    ],
)
def test_a_url_that_is_none_of_a_webhook_is_refused(url):
    """With the reason."""
    with pytest.raises(NotPermitted):
        split(url)


@given(st.text())
def test_no_text_is_taken_for_a_url_by_a_fault(url):
    """It is one, or it is refused."""
    try:
        parts, host, port = split(url)
    except NotPermitted:
        return
    assert parts.scheme in {"http", "https"}
    assert host
    assert 0 <= port <= 65535


def test_an_event_is_posted_with_its_signature(receiver):
    """As it was told, to the whole of the URL."""
    body = b'{"subject": "c"}'
    outcome = Sender(LOCAL).send(receiver.url, SECRET, "id-1", 1614265330, body)

    assert outcome.is_delivered
    (posted,) = receiver.posted
    assert (posted.path, posted.body) == ("/hook?x=1", body)
    for name, value in signed(SECRET, "id-1", 1614265330, body).items():
        assert posted.headers[name] == value
    assert posted.headers["content-type"] == "application/cloudevents+json"


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 429, 500, 503])
def test_what_is_not_taken_is_told_and_no_redirection_followed(receiver, status):
    """The answer is cut where it is long."""
    receiver.answer = lambda _: status
    receiver.headers = {"Location": receiver.url}
    receiver.body = b"because " * 1000
    outcome = Sender(LOCAL).send(receiver.url, SECRET, "i", 0, b"{}")

    assert (outcome.is_delivered, outcome.status) == (False, status)
    assert outcome.error is not None
    assert outcome.error.startswith("because")
    assert len(outcome.error) <= 500
    assert len(receiver.posted) == 1


def test_where_a_name_leads_is_looked_at_when_it_is_used(receiver, monkeypatch):
    """A name that led elsewhere when it was checked is not trusted (DNS rebinding)."""
    places = iter(["8.8.8.8", "127.0.0.1"])
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _, *args, **kw: resolve(next(places), *args, **kw)
    )
    url = receiver.url.replace("127.0.0.1", "rebinding.example")
    Sender(Permitted()).check(url)
    outcome = Sender(Permitted()).send(url, SECRET, "i", 0, b"{}")

    assert not outcome.is_delivered
    assert outcome.error is not None
    assert "127.0.0.1 is a private address" in outcome.error
    assert receiver.posted == []


def test_a_name_with_one_private_address_is_refused(monkeypatch):
    """Whichever would be taken."""
    both = [(0, 0, 0, "", ("8.8.8.8", 80)), (0, 0, 0, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)

    with pytest.raises(NotPermitted, match=r"10\.0\.0\.1"):
        Sender(Permitted()).check("https://both.example/")


def test_a_receiver_that_drips_does_not_hold_us():
    """The whole of it has a limit, however often a byte comes."""
    ended = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def drip():
        link, _ = server.accept()
        with link:
            try:
                while not ended.wait(0.05):
                    link.sendall(b"H")
            except OSError:
                pass

    dripping = threading.Thread(target=drip)
    dripping.start()
    url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    outcome = Sender(LOCAL, total_seconds=0.3).send(url, SECRET, "i", 0, b"{}")
    ended.set()
    dripping.join()
    server.close()

    assert outcome.status is None
    assert outcome.error


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_receiver_that_is_away_is_told(receiver, scheme):
    """Nobody listens, or it is no TLS that answers."""
    url = receiver.url.replace("http", scheme)
    if scheme == "http":
        url = "http://127.0.0.1:1/"
    outcome = Sender(LOCAL).send(url, SECRET, "i", 0, b"{}")

    assert (outcome.status, outcome.is_delivered) == (None, False)
    assert outcome.error


def test_pauses_grow_with_jitter_and_have_a_bound():
    """Anything between nothing and twice the last one's longest."""
    assert all(0 <= jittered(1) <= 2 for _ in range(100))
    assert max(jittered(50) for _ in range(1000)) <= 900
    assert len({jittered(5) for _ in range(10)}) > 1
