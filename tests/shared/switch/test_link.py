"""The link for commands, to the simulated switch and to switches that misbehave."""

import contextlib
import socket
import threading
import time
from uuid import uuid4

import pytest

from shared.switch.address import SwitchAddress
from shared.switch.dial_string import UnsafeValue
from shared.switch.handshake import SwitchAway, connect
from shared.switch.link import SwitchLink, SwitchSilent
from simulator.running import RunningSimulator
from simulator.settings import Settings
from tests.waiting import until

PASSWORD = "a-secret"


@pytest.fixture
def simulator():
    """Give a simulated switch."""
    with RunningSimulator(Settings(password=PASSWORD, port=0)) as running:
        yield running


@pytest.fixture
def link(simulator):
    """Give a link to it that is up."""
    link = SwitchLink(SwitchAddress("fs1", "127.0.0.1", simulator.port, PASSWORD))
    link.start()
    until(lambda: link.up)
    yield link
    link.stop()


def cut_all_links(simulator):
    """Have the switch cut every link without a farewell, the one that asks for it included."""
    address = SwitchAddress("fs1", "127.0.0.1", simulator.port, PASSWORD)
    with connect(address, timeout=3) as link:
        link.sendall(b"api simulator drop_links\n\n")
        try:
            said = link.recv(4096)
        except ConnectionError:
            said = b""
    assert said == b""


class Mute:
    """A switch that greets, takes the password, and answers nothing after that."""

    def __init__(self, *, answers=2):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.answers = answers
        self.received = b""
        self.links = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                link, _ = self.server.accept()
            except OSError:
                return
            self.links.append(link)
            threading.Thread(target=self._serve, args=[link], daemon=True).start()

    def _serve(self, link):
        commands = 0
        # Who is connected may go at any moment, as from a switch.
        with contextlib.suppress(OSError):
            link.sendall(b"Content-Type: auth/request\n\n")
            while data := link.recv(4096):
                self.received += data
                for _ in range(data.count(b"\n\n")):
                    commands += 1
                    if commands <= self.answers:
                        link.sendall(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n")

    def leave(self):
        """End every link; when it returns, the far end can know."""
        for link in self.links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def close(self):
        """End it."""
        self.server.close()
        for link in self.links:
            link.close()


@pytest.fixture
def mute():
    """Give a mute switch."""
    mute = Mute()
    yield mute
    mute.close()


def test_a_call_is_handed_over_under_our_id(link):
    """The reply names the job, which is the call."""
    call_id = uuid4()
    reply = link.originate("null/x &park()", job_id=call_id, timeout=3)

    assert reply == f"+OK Job-UUID: {call_id}"


def test_a_question_is_answered_with_what_the_switch_says(link):
    """On the same link as calls, one after the other."""
    assert link.ask("switchname", "", timeout=3) == "fs1"
    assert link.ask("sofia_contact", "*/1001@test.local", timeout=3) == "error/user_not_registered"
    with pytest.raises(UnsafeValue):
        link.ask("sofia_contact", "*/1001\n\napi hupall", timeout=3)


def test_a_control_character_never_reaches_the_switch(link):
    """It would begin a second command."""
    with pytest.raises(UnsafeValue):
        link.originate("null/x &park()\n\napi hupall", job_id=uuid4(), timeout=3)


def test_a_link_that_broke_comes_back_by_itself(link, simulator):
    """The next call works."""
    cut_all_links(simulator)

    def works():
        try:
            reply = link.originate("null/x &park()", job_id=uuid4(), timeout=3)
        except (SwitchAway, SwitchSilent):
            return False
        return reply.startswith("+OK")

    assert until(works)


def test_nothing_is_sent_to_a_switch_that_has_left(mute):
    """However soon after it: the answer is that the call was certainly not made."""
    link = SwitchLink(SwitchAddress("fs1", "127.0.0.1", mute.port, PASSWORD))
    link.start()
    for _ in range(3):
        until(lambda: link.up)
        mute.leave()
        with pytest.raises(SwitchAway):
            link.originate("null/x &park()", job_id=uuid4(), timeout=3)
    link.stop()


def test_no_switch_is_told_at_once():
    """Certainly not sent."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    link = SwitchLink(SwitchAddress("fs1", "127.0.0.1", port, PASSWORD))
    link.start()
    with pytest.raises(SwitchAway):
        link.originate("null/x &park()", job_id=uuid4(), timeout=3)
    link.stop()


def test_a_switch_that_says_nothing_is_not_waited_for(mute):
    """The command may have been carried out; the link is given up and made anew."""
    link = SwitchLink(SwitchAddress("fs1", "127.0.0.1", mute.port, PASSWORD))
    link.start()
    until(lambda: link.up)
    before = time.monotonic()
    with pytest.raises(SwitchSilent):
        link.originate("null/x &park()", job_id=uuid4(), timeout=0.5)

    assert time.monotonic() - before < 3
    until(lambda: len(mute.links) > 1)
    link.stop()


def test_what_waits_behind_a_silent_command_was_not_sent(mute):
    """Its caller may try again without ringing anybody twice."""
    link = SwitchLink(SwitchAddress("fs1", "127.0.0.1", mute.port, PASSWORD))
    link.start()
    until(lambda: link.up)
    errors = []

    def call(timeout):
        try:
            link.originate(f"null/{timeout} &park()", job_id=uuid4(), timeout=timeout)
        except (SwitchAway, SwitchSilent) as error:
            errors.append(type(error))

    first = threading.Thread(target=call, args=[1.5])
    first.start()
    until(lambda: b"null/1.5" in mute.received)
    call(0.2)
    first.join()
    link.stop()

    assert sorted(errors, key=str) == [SwitchAway, SwitchSilent]
    assert b"null/0.2" not in mute.received


def test_a_wrong_password_is_named_as_the_reason(simulator):
    """And it is not in the message."""
    with pytest.raises(SwitchAway, match="password") as error:
        connect(SwitchAddress("fs1", "127.0.0.1", simulator.port, "wrong-one"), timeout=3)
    assert "wrong-one" not in str(error.value)


@pytest.mark.parametrize(
    "greeting",
    [
        b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"x" * 5000,
        b"",
    ],
)
def test_what_is_no_event_socket_is_told_as_such(greeting):
    """A wrong port in VOICE_SWITCHES is a clear error, in bounded time and memory."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            link, _ = server.accept()
            with link, contextlib.suppress(OSError):
                link.sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(SwitchAway, match="fs1"):
            connect(SwitchAddress("fs1", "127.0.0.1", server.getsockname()[1], "x"), timeout=2)
        thread.join()


def test_a_name_that_does_not_resolve_is_told():
    """python-esl would close file descriptor 0 for it."""
    with pytest.raises(SwitchAway, match="fs1"):
        connect(SwitchAddress("fs1", "no-such-host.invalid", 8021, "x"), timeout=2)
