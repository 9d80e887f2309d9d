"""A switch's event stream, made of recordings: many calls at once, each with ids of its own.

Pure and the same every time: who reads a stream and who knows what it holds need not talk.
"""

import itertools
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from urllib.parse import quote

import orjson

from tests import recordings

# One after the other: mostly calls that work, as in life.
SCENARIOS = ("s01", "s05", "s09", "s14", "s18", "s02")
LANES = 60

# The recordings' ids end in their scenario's number, in calls and legs and in the CRM's ids.
_LEG, _LEG_DIGITS = "-0000-4000-8000-", 12
_CRM, _CRM_DIGITS = "c0ffee", 26


def stream(names: Collection[str], calls: int, lanes: int = LANES) -> list[bytes]:
    """Return the events of so many calls, in JSON, that a subscriber of the names gets."""
    return list(streamed(names, calls, lanes))


def streamed(names: Collection[str], calls: int, lanes: int = LANES) -> Iterator[bytes]:
    """Return the same one by one, each made when it is asked for."""
    recorded = [_template(scenario, names) for scenario in SCENARIOS]
    made = (
        _call(recorded[rank % len(recorded)], SCENARIOS[rank % len(recorded)], rank + 1)
        for rank in range(calls)
    )
    return (text.encode() for text in interleave(made, lanes))


def interleave(calls: Iterable[Sequence[str]], lanes: int) -> Iterator[str]:
    """Return the events of the calls, so many calls at a time, one event of each in turn."""
    waiting = iter(calls)
    live = deque(iter(call) for call in itertools.islice(waiting, lanes))
    while live:
        call = live.popleft()
        try:
            yield next(call)
        except StopIteration:
            if (following := next(waiting, None)) is not None:
                live.append(iter(following))
        else:
            live.append(call)


def json_frame(event: bytes) -> bytes:
    """Return the event as a switch sends it after `event json`."""
    return b"Content-Length: %d\nContent-Type: text/event-json\n\n%b" % (len(event), event)


def plain_frame(event: bytes) -> bytes:
    """Return the event as a switch sends it after `event plain`."""
    headers = orjson.loads(event)
    body = headers.pop("_body", "").encode()
    lines = [f"{name}: {quote(value, safe='/,')}\n" for name, value in headers.items()]
    if body and "Content-Length" not in headers:
        lines.append(f"Content-Length: {len(body)}\n")
    block = "".join(lines).encode() + b"\n" + body
    return b"Content-Length: %d\nContent-Type: text/event-plain\n\n%b" % (len(block), block)


def _template(scenario: str, names: Collection[str]) -> list[str]:
    return [
        orjson.dumps(event).decode()
        for event in recordings.events(scenario)
        if event["Event-Name"] in names
        and (event["Event-Name"] != "CUSTOM" or event.get("Event-Subclass") in names)
    ]


def _call(template: Sequence[str], scenario: str, rank: int) -> list[str]:
    """Return the scenario's events with the ids of another call."""
    recorded = int(scenario.removeprefix("s"))
    leg, crm = (
        (f"{stem}{recorded:0{digits}d}", f"{stem}{rank:0{digits}d}")
        for stem, digits in ((_LEG, _LEG_DIGITS), (_CRM, _CRM_DIGITS))
    )
    return [text.replace(*leg).replace(*crm) for text in template]
