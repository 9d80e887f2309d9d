"""The simulator's ESL dialogue against the recorded bytes of a real switch."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from simulator.running import RunningSimulator
from simulator.settings import Settings
from tests.simulator.esl_client import EslClient
from tests.simulator.recordings import load_transcript

# The phones of the recordings behaved by port, the simulated ones behave by number.
_SPOKEN = {
    "auth ClueCon": "auth x",
    "user/1009@": "user/1404@",
    "external/1@127.0.0.1:16066": "external/1404@127.0.0.1:16066",
    "external/1@127.0.0.1:16065": "external/1603@127.0.0.1:16065",
    "{originate_timeout=2}sofia/external/1@": "{originate_timeout=1}sofia/external/1408@",
    "external/1001@127.0.0.1:16063": "external/1486@127.0.0.1:16063",
}
# mod_callcenter is not simulated, nor is a host that nobody listens on.
_NOT_SPOKEN = ("api callcenter_config", "api originate sofia/external/1@127.0.0.1:1 ")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CLOSED = "<<closed>>"


@pytest.fixture(scope="module")
def switch() -> Iterator[RunningSimulator]:
    settings = Settings(password="x", port=0, switchname="vm", ring_seconds=0.02)
    with RunningSimulator(settings) as running:
        yield running


def _frames(text: str) -> list[str]:
    """Cut recorded bytes into what must be equal: replies whole, events by name alone."""
    found = []
    while text and not text.startswith(_CLOSED):
        head, _, text = text.partition("\n\n")
        size = re.search(r"Content-Length: (\d+)", head)
        body = text[: int(size.group(1))] if size else ""
        text = text[len(body) :]
        found.append(_shown(head, body))
    if text:
        found.append(_CLOSED)
    return found


def _shown(head: str, body: str) -> str:
    if "text/event-" in head:
        name = re.search(r'"?Event-Name"?: ?"?(\w+)', body)
        assert list(re.findall(r"^[\w-]+(?=:)", head, re.M)) == ["Content-Length", "Content-Type"]
        return name.group(1) if name else body
    if body.startswith("UP "):
        # Counts and times differ; the words and their order do not.
        return re.sub(r"(?<=N )([a-z]+?)s?(?=[,\n])", r"\1", re.sub(r"[\d.]+", "N", body))
    return _UUID.sub("UUID", f"{head}\n\n{body}")


def _read(client: EslClient, count: int) -> list[str]:
    seen = []
    for _ in range(count):
        head, _, body = client.read_frame().decode().partition("\n\n")
        seen.append(_shown(head, body) if head else _CLOSED)
    return seen


@pytest.mark.parametrize(
    "name",
    [
        "api-and-errors",
        "auth-rejected",
        "command-before-auth",
        "events-json",
        "events-plain",
        "originate-errors",
    ],
)
def test_every_command_is_answered_as_recorded(name: str, switch: RunningSimulator) -> None:
    """Each command of a recorded dialogue gets the recorded bytes, events apart."""
    dialogue = [turn for turn in load_transcript(name) if turn != ("switch", _CLOSED)]
    with EslClient(switch.port, None) as client:
        assert client.greeting.decode() == dialogue[0][1]
        skipped = 0
        for position, (side, text) in enumerate(dialogue[1:], 1):
            if side == "client":
                if text.startswith(_NOT_SPOKEN):
                    skipped += 1
                    continue
                for recorded, spoken in _SPOKEN.items():
                    text = text.replace(recorded, spoken)  # noqa: PLW2901 - the same text, spoken
                client.send(text.removesuffix("\n\n"))
                continue
            wanted = _frames(text)
            if skipped:
                alone = dialogue[position - 1][0] == "client" and len(wanted) == 1
                wanted = [] if alone else _without_unspoken(wanted)
                skipped = 0
            assert _read(client, len(wanted)) == wanted


def _without_unspoken(wanted: list[str]) -> list[str]:
    # Of the two equal answers in a row the second is that of the command not spoken.
    position = next(i for i, one in enumerate(wanted) if wanted[i - 1] == one and i)
    return wanted[:position] + wanted[position + 1 :]
