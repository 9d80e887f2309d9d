"""Hearing a switch: the simulated one, and some that misbehave."""

import contextlib
import queue
import socket
import threading

import pytest

from services.events.life import SUBSCRIPTION, SwitchLife
from services.events.listener import Listener
from services.events.teller import Teller
from shared.broker.message import Message
from shared.switch.address import SwitchAddress
from simulator.running import RunningSimulator
from simulator.settings import Settings
from tests.simulator.esl_client import EslClient
from tests.waiting import until

PASSWORD = "a-secret"


class Ears:
    """Whatever a listener tells, kept."""

    def __init__(self, port, *, password=PASSWORD):
        self.events: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self.answers: list[bytes] = []
        self.ups: list[str] = []
        self.downs: list[str] = []
        self.listener = Listener(
            SwitchAddress("fs1", "127.0.0.1", port, password),
            SUBSCRIPTION,
            on_event=lambda event: self.events.put(dict(event)),
            on_up=self._up,
            on_down=self.downs.append,
        )

    def _up(self):
        self.ups.append("up")
        self.listener.ask("show registrations as json", self.answers.append)

    def __enter__(self):
        self.listener.start()
        return self

    def __exit__(self, *_):
        self.listener.stop()

    def hear(self, name):
        """Return the next event of this name."""
        while True:
            event = self.events.get(timeout=20)
            if event["Event-Name"] == name:
                return event


class Script:
    """A switch that greets every link and then sends what the script says, once."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.links = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                link, _ = self.server.accept()
            except OSError:
                return
            self.open.append(link)
            self.links += 1
            # Who is connected may go at any moment, as from a switch.
            with contextlib.suppress(OSError):
                self._greet(link)

    def _greet(self, link):
        link.sendall(b"Content-Type: auth/request\n\n")
        for _ in range(2):  # the password, the subscription
            if not link.recv(65536):
                return
            link.sendall(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n")
        if self.pieces:
            link.sendall(self.pieces.pop(0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()
        for link in self.open:
            link.close()


def frame(body, kind=b"text/event-json"):
    """Return an event as the event socket frames it."""
    return b"Content-Length: %d\nContent-Type: %s\n\n%s" % (len(body), kind, body)


GOOD = frame(b'{"Event-Name":"GOOD"}')


def test_a_call_on_the_switch_is_heard():
    """All that the service subscribes to arrives, in the order of the switch."""
    with (
        RunningSimulator(Settings(password=PASSWORD, port=0)) as simulator,
        Ears(simulator.port) as ears,
    ):
        until(lambda: ears.listener.up)
        with EslClient(simulator.port, PASSWORD) as client:
            client.command("bgapi originate sofia/gateway/carrier/13800138486 &park()")
        created = ears.hear("CHANNEL_CREATE")
        gone = ears.hear("CHANNEL_HANGUP_COMPLETE")

    assert created["Unique-ID"] == gone["Unique-ID"]
    assert gone["Hangup-Cause"] == "USER_BUSY"


def test_what_is_asked_on_a_link_is_answered_on_each():
    """Who asks when the link stands asks again on the next one."""
    with (
        RunningSimulator(Settings(password=PASSWORD, port=0)) as simulator,
        Ears(simulator.port) as ears,
    ):
        until(lambda: len(ears.answers) == 1)
        with EslClient(simulator.port, PASSWORD) as client:
            client.command("api simulator drop_links")
        until(lambda: len(ears.answers) == 2)
    assert ears.answers == [b'{"row_count": 0}\n'] * 2


def test_an_answer_that_nobody_asked_for_is_left():
    """And the link goes on."""
    answers = frame(b"+OK", b"api/response") * 3
    with Script(answers + GOOD) as switch, Ears(switch.port) as ears:
        ears.hear("GOOD")

    assert switch.links == 1


@pytest.mark.parametrize(
    "broken",
    [
        b"Content-Length: ten\n\n",
        b"in the middle of an old frame\n\n",
        frame(b"not json"),
        frame(b"[]"),
        frame(b"Disconnected, goodbye.\n", b"text/disconnect-notice"),
    ],
)
def test_a_broken_stream_is_left_and_the_next_link_heard(broken):
    """FreeSWITCH may cut a frame and go on: nothing after it can be trusted."""
    with Script(broken + GOOD, GOOD) as switch, Ears(switch.port) as ears:
        ears.hear("GOOD")
        until(lambda: switch.links == 2)

    assert len(ears.ups) == 2
    assert ears.events.empty()
    assert len(ears.downs) == 1


def test_bytes_that_are_no_text_do_not_end_the_stream():
    """A phone can put anything into a header."""
    odd = frame(b'{"Event-Name":"ODD","x":"\xe9\xff","y":"a\nb"}')
    with Script(odd + GOOD) as switch, Ears(switch.port) as ears:
        assert "\ufffd" in ears.hear("ODD")["x"]
        ears.hear("GOOD")
    assert switch.links == 1


@pytest.mark.parametrize(
    "odd",
    [
        b'{"Event-Name":"CHANNEL_CREATE","Unique-ID":"x","x":"\\ud800"}',
        b'{"Event-Name":"CHANNEL_CREATE","Unique-ID":"x","Caller-Channel-Created-Time":"'
        + b"9" * 5000
        + b'"}',
        b'{"Event-Name":"ODD","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_an_event_that_nobody_expected_does_not_make_us_deaf(odd):
    """What comes after it, on this link or the next, is heard and told."""
    with Script(frame(odd) + GOOD, GOOD) as switch:
        told: queue.SimpleQueue[Message] = queue.SimpleQueue()
        teller = Teller("fs1", SwitchLife("fs1"), told.put)
        teller.speak([])
        with Ears(switch.port) as ears:

            def hear(event):
                teller.hear(event)
                ears.events.put(event)

            ears.listener._on_event = hear
            ears.hear("GOOD")


def test_a_link_that_breaks_at_once_is_not_made_without_a_pause():
    """A switch that accepts and closes is tried a few times a second, not a thousand."""
    goodbye = frame(b"Disconnected, goodbye.\n", b"text/disconnect-notice")
    with Script(*[goodbye] * 10_000) as switch, Ears(switch.port) as ears:
        until(lambda: len(ears.downs) >= 4)
        assert switch.links < 20


def test_a_switch_that_refuses_us_is_tried_again_and_never_up():
    """A wrong password is the operator's to mend; then it works without a restart of ours."""
    with (
        RunningSimulator(Settings(password=PASSWORD, port=0)) as simulator,
        Ears(simulator.port, password="wrong-one") as ears,
        Ears(simulator.port) as good,
    ):
        until(lambda: good.listener.up)

        assert not ears.listener.up
    assert ears.ups == ears.downs == []


def test_stopping_does_not_wait_for_the_switch():
    """A silent link is left at once."""
    with Script() as switch:
        with Ears(switch.port) as ears:
            until(lambda: ears.listener.up)
        assert not ears.listener.running
