"""What really became of each call, line by line in a file, for whoever checks what others tell.

Each line is a JSON object, written before any link hears of what it says, so that the file knows
at least as much as they do, also of a switch that was killed. Moments are microseconds since the
epoch. `fact` is one of

- `begun`: a leg was made, its call's first one or a later one;
- `ending`: the last leg of a call was hung up, and will be gone soon;
- `over`: it is gone, its CDR posted; as in `ending`, all that there is to say of the call;
- `refused`: a call was to be dialled and got no leg at all.

A call that has begun and is never over was lost with its switch, the run that `core_uuid` names;
of one that was ending some may know how it would have ended.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from simulator.events import now
from simulator.leg import Leg


@dataclass(slots=True)
class _Call:
    crm_uuid: str
    legs: list[Leg] = field(default_factory=list)
    living: int = 0
    bridges: list[tuple[Leg, Leg, int]] = field(default_factory=list)

    @property
    def established_at(self) -> int | None:
        """When two legs first heard each other: bridged, and both answered."""
        moments = [
            max(at, *(leg.profile.times.answered for leg in pair))
            for *pair, at in self.bridges
            if all(leg.answered for leg in pair)
        ]
        return min(moments, default=None)


class Truth:
    """Writes the lines of one run of a switch, if there is a file for them."""

    def __init__(self, path: Path | None, core_uuid: str) -> None:
        self._core_uuid = core_uuid
        self._calls: dict[str, _Call] = {}
        self._call_of: dict[str, str] = {}
        # Appended to, without a buffer of ours: a killed process loses no line.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._file = None if path is None else os.open(path, flags, 0o600)

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def begun(self, leg: Leg) -> None:
        """Note a new leg."""
        if self._file is None:
            return
        caller = leg.originator.unique_id if leg.originator else ""
        call_id = leg.get("call_id") or self._call_of.get(caller) or leg.uuid
        call = self._calls.setdefault(call_id, _Call(leg.get("crm_uuid")))
        call.legs.append(leg)
        call.living += 1
        self._call_of[leg.uuid] = call_id
        self._write("begun", call_id, crm_uuid=call.crm_uuid, leg=leg.uuid)

    def bridged(self, caller: Leg, callee: Leg) -> None:
        """Note that two legs were joined."""
        call = self._calls.get(self._call_of.get(caller.uuid, ""))
        if call is not None:
            call.bridges.append((caller, callee, caller.profile.times.bridged))

    def hung_up(self, leg: Leg) -> None:
        """Note that a leg was hung up: with the last one its call is about to end."""
        call_id = self._call_of.get(leg.uuid)
        if call_id is not None and not any(one.up for one in self._calls[call_id].legs):
            self._tell_all("ending", call_id, self._calls[call_id])

    def gone(self, leg: Leg) -> None:
        """Note that a leg's figures are final; with the last leg its call is over."""
        call_id = self._call_of.pop(leg.uuid, None)
        if call_id is None:
            return
        call = self._calls[call_id]
        call.living -= 1
        if not call.living:
            del self._calls[call_id]
            self._tell_all("over", call_id, call)

    def refused(self, variables: dict[str, str], cause: str) -> None:
        """Note that a dial string made no leg; a call that lives already is not concerned."""
        call_id = variables.get("call_id")
        if self._file is not None and call_id and call_id not in self._calls:
            self._write("refused", call_id, crm_uuid=variables.get("crm_uuid", ""), cause=cause)

    def _tell_all(self, fact: str, call_id: str, call: _Call) -> None:
        self._write(
            fact,
            call_id,
            crm_uuid=call.crm_uuid,
            established_at=call.established_at,
            legs=[_figures(leg) for leg in call.legs],
        )

    def _write(self, fact: str, call_id: str, **more: Any) -> None:
        if self._file is None:
            return
        line = {"fact": fact, "at": now(), "core_uuid": self._core_uuid, "call_id": call_id, **more}
        os.write(self._file, orjson.dumps(line) + b"\n")


def _figures(leg: Leg) -> dict[str, Any]:
    times = leg.profile.times
    return {
        "leg": leg.uuid,
        "created_at": times.created,
        "answered_at": times.answered or None,
        "hung_up_at": times.hangup or None,
        "cause": leg.cause,
        "by": _who(leg),
    }


def _who(leg: Leg) -> str:
    return "phone" if leg.hangup_disposition.startswith("recv_") else "switch"
