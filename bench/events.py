"""How many business events a second get from a switch to the broker, beside two peers.

All three read the same stream from a replay that sends as fast as it is read, and publish to the
same exchange; a run ends when the queue and the journal hold every message, whoever published it:
a message that both hold is one that is confirmed.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median

import orjson

from bench.replay import Plan, Replay
from bench.stacks import directory
from bench.stream import SCENARIOS, stream
from bench.table import Row, number, spread
from bench.telling import environment, held, named, rabbit, started
from bench.waiting import BenchError, until
from deploy.local.processes import ROOT
from services.events.life import SUBSCRIPTION, SwitchLife

CALLS = 1530
GOAL_OF_READER = 0.6
GOAL_OF_GREENSWITCH = 4.0
GREENSWITCH = "greenswitch==0.0.19"
_VENV = ROOT / ".local" / "bench-venv"
_RUN_SECONDS = 180


@dataclass(slots=True)
class Contender:
    """A program that makes business events of the stream, and its figures so far."""

    name: str
    command: Sequence[str | Path]
    tells_of_link: bool = False  # publishes one message when it is there
    rates: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the stream holds, and what is to be told of it."""

    heard: int
    told: int
    last: tuple[str, str]  # the type and the subject of the last business event


def run(rounds: int) -> list[Row]:
    """Measure, telling each round as it is done."""
    contenders = _contenders()
    expected = _expected()
    print(
        f"events: {rounds} rounds of {expected.heard:,} switch events of {CALLS:,} calls "
        f"({', '.join(SCENARIOS)}), {expected.told:,} business events"
    )
    with directory() as made, rabbit(made) as url:
        for rank in range(rounds):
            # Whoever goes first in one round goes last in the next.
            turn = rank % len(contenders)
            for contender in contenders[turn:] + contenders[:turn]:
                took = _measure(contender, url, expected, log=made / "contender.log")
                contender.rates.append(expected.told / took)
                print(
                    f"  round {rank + 1}: {contender.name}: "
                    f"{number(expected.told / took)} business events/s "
                    f"({number(expected.heard / took)} switch events/s, {took:.1f} s)"
                )
    return _rows(contenders)


def _contenders() -> list[Contender]:
    own = [
        Contender("the product", [sys.executable, "-m", "services.events"], tells_of_link=True),
        Contender("bare reader", [sys.executable, "-m", "bench.peers.reader"]),
    ]
    problem = _make_venv()
    if problem:
        print(f"events: no {GREENSWITCH}, so it is left out: {problem}")
        return own
    program = Path(__file__).parent / "peers" / "greenswitch_pika.py"
    return [*own, Contender("greenswitch + pika", [_VENV / "bin" / "python", program])]


def _make_venv() -> str | None:
    """Make the venv of the program that is not ours; return what is wrong where that fails."""
    wanted = [GREENSWITCH, *(f"{name}=={version(name)}" for name in ("pika", "orjson"))]
    python = _VENV / "bin" / "python"
    uv = shutil.which("uv") or str(ROOT / ".local" / "uv" / "bin" / "uv")
    if not python.exists():
        made = _quietly([uv, "venv", "-q", "--python", sys.executable, str(_VENV)])
        if made is not None:
            return made
    return _quietly([uv, "pip", "install", "-q", "--python", str(python), *wanted])


def _quietly(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else done.stderr.strip()[-300:]


def _expected() -> Expected:
    life = SwitchLife("fs1")
    events = stream(SUBSCRIPTION, CALLS)
    told = [event for heard in events for event in life.observe(orjson.loads(heard))]
    return Expected(len(events), len(told), (told[-1].type, told[-1].subject))


def _measure(contender: Contender, url: str, expected: Expected, *, log: Path) -> float:
    """Return the seconds from the first frame sent to the last business event kept."""
    with held(url) as kept, Replay(Plan(CALLS)) as replay:
        settings = environment(named(replay.address()), url, log.parent / "state", CALLS)
        with started(contender.name, contender.command, settings, log):
            replay.wait_subscribed()
            if contender.tells_of_link:
                kept.wait_for_switch()
            began = replay.go()
            until(
                lambda: kept.queued >= expected.told,
                f"{contender.name}: {expected.told} business events",
                seconds=_RUN_SECONDS,
                pause=0.01,
            )
            kept.wait_for_journal(*expected.last)
            took = time.monotonic() - began
            if kept.queued != expected.told:
                raise BenchError(f"{contender.name} told {kept.queued} for {expected.told}")
    return took


def _rows(contenders: list[Contender]) -> list[Row]:
    product, *peers = contenders
    goals = (GOAL_OF_READER, GOAL_OF_GREENSWITCH)
    labels = ("a program that only reads and publishes", f"`{GREENSWITCH}` + pika, a confirm each")
    rows = []
    for peer, goal, label in zip(peers, goals, labels, strict=False):
        # In pairs of one round each: what slows the machine down slows both of them down.
        ratios = [own / other for own, other in zip(product.rates, peer.rates, strict=True)]
        rows.append(
            Row(
                what="business events published and confirmed a second",
                measured=f"{spread(product.rates)}/s",
                beside=f"{label}: {spread(peer.rates)}/s",
                compared=f"{spread(ratios)} x",
                goal=f"at least {goal:g} x",
                met=median(ratios) >= goal,
            )
        )
    return rows
