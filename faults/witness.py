"""The truth of a real switch: somebody who only listens, on a link that nobody breaks.

It writes the lines that a simulated switch writes by itself (`simulator/truth.py`).
"""

import contextlib
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from shared.switch.address import SwitchAddress
from shared.switch.frames import BadFrame, Frame, FrameReader
from shared.switch.handshake import SwitchAway, connect

_NAMES = (
    "CHANNEL_CREATE CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE"
    " BACKGROUND_JOB"
)
_RETRY_SECONDS = 0.1

Line = dict[str, Any]


@dataclass(slots=True)
class _Leg:
    leg: str
    core: str
    answered_at: int | None = None
    cause: str = ""
    by: str = "switch"
    gone: bool = False


@dataclass(slots=True)
class _Call:
    legs: dict[str, _Leg] = field(default_factory=dict)
    bridged: list[tuple[str, str, int]] = field(default_factory=list)

    @property
    def established_at(self) -> int | None:
        moments = []
        for *pair, at in self.bridged:
            answers = [leg.answered_at for name in pair if (leg := self.legs.get(name)) is not None]
            if len(answers) == len(pair) and all(answers):
                moments.append(max(at, *(answer or 0 for answer in answers)))
        return min(moments, default=None)


class Notes:
    """What a listener knows of calls, and the lines that follow from what it hears. Pure."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}
        self._call_of: dict[str, str] = {}
        self.core = ""

    def hear(self, event: Mapping[str, Any]) -> list[Line]:
        """Return the lines that an event of the switch adds."""
        self.core = event["Core-UUID"]
        at = int(event["Event-Date-Timestamp"])
        if event["Event-Name"] == "BACKGROUND_JOB":
            return self._job(event, at)
        name = event.get("Unique-ID", "")
        call_id = event.get("variable_call_id") or self._call_of.get(name)
        if call_id is None:
            return []
        lines = self._seen(call_id, name, at)
        call = self._calls[call_id]
        leg = call.legs[name]
        answered = int(event.get("Caller-Channel-Answered-Time") or 0)
        leg.answered_at = leg.answered_at or answered or None
        match event["Event-Name"]:
            case "CHANNEL_BRIDGE":
                pair = (event["Bridge-A-Unique-ID"], event["Bridge-B-Unique-ID"])
                call.bridged.append((*pair, at))
            case "CHANNEL_HANGUP":
                leg.cause = event["Hangup-Cause"]
                if all(one.cause for one in call.legs.values()):
                    lines.append(self._story("ending", call_id, at))
            case "CHANNEL_HANGUP_COMPLETE":
                lines += self._gone(call_id, leg, event, at)
        return lines

    def listed(self, uuids: Iterable[str], at: int) -> list[Line]:
        """Return the lines that the list of a switch's channels adds: it took these calls up."""
        known = [(self._call_of[name], name) for name in uuids if name in self._call_of]
        return [line for call_id, name in known for line in self._seen(call_id, name, at)]

    def _seen(self, call_id: str, name: str, at: int) -> list[Line]:
        call = self._calls.setdefault(call_id, _Call())
        leg = call.legs.get(name)
        if leg is not None and leg.core == self.core:
            return []
        taken_up = {} if leg is None else {"taken_up": True}
        if leg is None:
            leg = call.legs[name] = _Leg(name, self.core)
            self._call_of[name] = call_id
        leg.core = self.core
        return [self._line("begun", call_id, at, leg=name, **taken_up)]

    def _gone(self, call_id: str, leg: _Leg, event: Mapping[str, Any], at: int) -> list[Line]:
        leg.cause, leg.gone = event["Hangup-Cause"], True
        if event.get("variable_sip_hangup_disposition", "").startswith("recv_"):
            leg.by = "phone"
        rest = [one for one in self._calls[call_id].legs.values() if not one.gone]
        if any(one.core == self.core for one in rest):
            return []
        # What is left of the call went with a run of the switch that was killed, for all we know.
        return [self._story("over", call_id, at) | ({"partly_lost": True} if rest else {})]

    def _job(self, event: Mapping[str, Any], at: int) -> list[Line]:
        body, call_id = str(event.get("_body", "")), event["Job-UUID"]
        if not body.startswith("-ERR") or event["Job-Command"] != "originate":
            return []
        if call_id in self._calls:
            return []
        return [self._line("refused", call_id, at, cause=body.removeprefix("-ERR").strip())]

    def _story(self, fact: str, call_id: str, at: int) -> Line:
        call = self._calls[call_id]
        legs = [
            {"leg": one.leg, "answered_at": one.answered_at, "cause": one.cause, "by": one.by}
            for one in call.legs.values()
            if one.cause
        ]
        return self._line(fact, call_id, at, established_at=call.established_at, legs=legs)

    def _line(self, fact: str, call_id: str, at: int, **more: Any) -> Line:
        return {"fact": fact, "at": at, "core_uuid": self.core, "call_id": call_id, **more}


class Witness:
    """Listens to a switch in all its runs, and writes down the truth."""

    def __init__(self, switch: SwitchAddress, path: Path) -> None:
        self._switch = switch
        self._path = path
        self._notes = Notes()
        self._listening = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness")

    def start(self) -> None:
        """Begin to listen, and return when the switch is heard."""
        self._thread.start()
        self._listening.wait(10)

    def stop(self) -> None:
        """Listen no more."""
        self._stopping.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(SwitchAway, BadFrame, OSError):
                self._listen()
            self._stopping.wait(_RETRY_SECONDS)

    def _listen(self) -> None:
        frames = FrameReader()
        with connect(self._switch, timeout=1) as link, self._path.open("ab", buffering=0) as file:
            asked = f"event json {_NAMES}\n\napi global_getvar core_uuid\n\n"
            link.sendall(f"{asked}api show channels as json\n\n".encode())
            link.settimeout(0.2)
            while not self._stopping.is_set():
                try:
                    data = link.recv(1 << 16)
                except TimeoutError:
                    continue
                if not data:
                    return
                for frame in frames.feed(data):
                    for line in self._take(frame):
                        file.write(orjson.dumps(line) + b"\n")

    def _take(self, frame: Frame) -> list[Line]:
        if frame.kind == "text/event-json":
            return self._notes.hear(orjson.loads(frame.body))
        if frame.kind == "api/response" and frame.body.startswith(b"{"):
            self._listening.set()
            rows = orjson.loads(frame.body).get("rows", [])
            return self._notes.listed((row["uuid"] for row in rows), time.time_ns() // 1000)
        if frame.kind == "api/response":
            self._notes.core = frame.body.decode()
        return []
