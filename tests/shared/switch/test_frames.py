"""The event socket's framing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.switch.frames import BadFrame, Frame, FrameReader
from tests.recordings import RECORDINGS


def transcript(name):
    """Return all bytes that a real switch sent in a recorded dialogue."""
    turns = json.loads((RECORDINGS / "esl-transcripts" / f"{name}.json").read_text())
    sent = "".join(turn["bytes"] for turn in turns if turn["from"] == "switch")
    return sent.replace("<<closed>>", "").encode()


def test_a_real_dialogue_is_cut_into_its_frames():
    """Greeting, answers and events of a real switch are told apart."""
    frames = list(FrameReader().feed(transcript("events-json")))

    kinds = [frame.kind for frame in frames]
    assert kinds[:3] == ["auth/request", "command/reply", "command/reply"]
    events = [frame for frame in frames if frame.kind == "text/event-json"]
    assert json.loads(events[0].body)["Event-Name"] == "CHANNEL_CREATE"


@given(st.lists(st.integers(1, 400), min_size=1))
def test_where_the_network_cuts_does_not_matter(cuts):
    """The same frames come out, whatever pieces go in."""
    stream = transcript("api-and-errors")
    reader, start = FrameReader(), 0
    frames: list[Frame] = []
    for cut in cuts:
        frames += reader.feed(stream[start : start + cut])
        start += cut
    frames += reader.feed(stream[start:])

    assert frames == list(FrameReader().feed(stream))


@pytest.mark.parametrize(
    "stream",
    [
        b"Content-Length: -1\n\n",
        b"Content-Length: 99999999999\n\n",
        b"Content-Length: ten\n\n",
        b"Content-Length: 1\xc2\xb2\n\n",
        b"in the middle of nothing\n\n",
        b"x" * (1 << 20) + b"xx",
    ],
)
def test_a_broken_stream_is_not_read_on(stream):
    """After one wrong frame nothing means what it says."""
    with pytest.raises(BadFrame):
        list(FrameReader().feed(stream))
