"""The replay is a switch that the events service can listen to."""

from collections.abc import Mapping
from typing import Any

from bench.replay import Plan, Replay
from bench.stream import stream
from services.events.comparison import rows
from services.events.life import SUBSCRIPTION
from services.events.listener import Listener
from tests.waiting import until

CALLS = 6


def test_it_answers_what_is_asked_and_sends_the_stream_when_told():
    """Nothing goes on there until `go`; then comes all of the stream."""
    expected = len(stream(SUBSCRIPTION, CALLS))
    heard: list[Mapping[str, Any]] = []
    answers: list[bytes] = []

    def ask():
        for command in ("global_getvar core_uuid", "show channels as json"):
            listener.ask(command, answers.append)

    with Replay(Plan(CALLS)) as replay:
        listener = Listener(
            replay.address(),
            SUBSCRIPTION,
            on_event=heard.append,
            on_up=ask,
            on_down=lambda _error: None,
        )
        listener.start()
        try:
            replay.wait_subscribed()
            until(lambda: len(answers) == 2)
            assert not heard
            replay.go(10)
            until(lambda: len(heard) == 10)
            replay.wait_sent(10)
            replay.go()
            until(lambda: len(heard) == expected)
        finally:
            listener.stop()

    core, channels = answers
    assert heard[0]["Core-UUID"] == core.decode()
    assert rows(channels) == []
