"""How many business events a second get from a switch to the broker, beside two peers.

All three read the same stream from a replay that sends as fast as it is read, and publish to the
same exchange; a run ends when the queue and the journal hold every message, whoever published it:
a message that both hold is one that is confirmed.
"""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median

import orjson
import pika
from pika.adapters.blocking_connection import BlockingChannel

from bench.replay import Replay
from bench.stacks import directory
from bench.stream import SCENARIOS, stream
from bench.table import Row, number, spread
from bench.waiting import BenchError, until
from deploy.local.instances import Rabbit
from deploy.local.processes import ROOT
from services.events.life import SUBSCRIPTION, SwitchLife
from shared.broker import topology
from shared.broker.connection import Broker
from shared.switch.address import SwitchAddress

CALLS = 1530
GOAL_OF_READER = 0.6
GOAL_OF_GREENSWITCH = 4.0
GREENSWITCH = "greenswitch==0.0.19"
_QUEUE = "cdr.events"  # durable, quorum, bound to every event: the product's own
_VENV = ROOT / ".local" / "bench-venv"
_RUN_SECONDS = 180
_READY_SECONDS = 30


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
    with directory() as made, _rabbit(made) as url:
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


@contextmanager
def _rabbit(made: Path) -> Iterator[str]:
    """Give a RabbitMQ with the product's exchanges and queues."""
    rabbit = Rabbit(made / "rabbitmq")
    try:
        rabbit.start()
        broker = Broker(rabbit.url, name="bench")
        broker.start()
        if not broker.wait_connected(_READY_SECONDS):
            raise BenchError("RabbitMQ is not there")
        broker.stop()
        yield rabbit.url
    finally:
        rabbit.remove()


def _measure(contender: Contender, url: str, expected: Expected, *, log: Path) -> float:
    """Return the seconds from the first frame sent to the last business event kept."""
    with (
        _held(url) as held,
        Replay(CALLS) as replay,
        _started(contender, replay.address(), url, log),
    ):
        replay.wait_subscribed()
        if contender.tells_of_link:
            until(lambda: held.queued == 1, "switch.up", seconds=_READY_SECONDS, pause=0.05)
            held.purge()
        began = replay.go()
        until(
            lambda: held.queued >= expected.told,
            f"{contender.name}: {expected.told} business events",
            seconds=_RUN_SECONDS,
            pause=0.01,
        )
        held.wait_for_journal(*expected.last)
        took = time.monotonic() - began
        if held.queued != expected.told:
            raise BenchError(f"{contender.name} told {held.queued} for {expected.told}")
    return took


class _Held:
    """What the broker holds."""

    def __init__(self, channel: BlockingChannel) -> None:
        self._channel = channel
        channel.basic_qos(prefetch_count=1000)

    @property
    def queued(self) -> int:
        """How many messages the queue holds."""
        declared = self._channel.queue_declare(_QUEUE, passive=True)
        return int(declared.method.message_count)

    def purge(self) -> None:
        """Empty the queue; the journal forgets nothing."""
        self._channel.queue_purge(_QUEUE)

    def wait_for_journal(self, key: str, subject: str) -> None:
        """Wait for this event at the end of the journal, whose own count is seconds late."""
        deadline = time.monotonic() + _READY_SECONDS
        for method, _, body in self._channel.consume(
            topology.JOURNAL, arguments={"x-stream-offset": "last"}, inactivity_timeout=1
        ):
            if method is not None and body is not None:
                self._channel.basic_ack(method.delivery_tag or 0)
                if method.routing_key == key and subject.encode() in body:
                    break
            if time.monotonic() > deadline:
                raise BenchError("the journal does not hold what the queue holds")
        self._channel.cancel()


@contextmanager
def _held(url: str) -> Iterator[_Held]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        held = _Held(connection.channel())
        held.purge()
        yield held
    finally:
        connection.close()


@contextmanager
def _started(contender: Contender, switch: SwitchAddress, url: str, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            contender.command,
            cwd=ROOT,
            env=_environment(switch, url, log.parent / "state"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield
    except BenchError as error:
        tail = log.read_text(errors="replace")[-1500:]
        raise BenchError(f"{error}; the end of the log of {contender.name}:\n{tail}") from error
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _environment(switch: SwitchAddress, url: str, state: Path) -> Mapping[str, str]:
    # A switch of its own for each run: of one that it knows, the product would remember the calls.
    name = f"{switch.name}-{secrets.token_hex(4)}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VOICE_")}
    return inherited | {
        "VOICE_AMQP_URL": url,
        "VOICE_STATE_DIR": str(state),
        # None: nobody dialled these calls by command, and nobody is registered.
        "VOICE_DATABASE_URL": "postgresql+psycopg2://nobody@127.0.0.1:1/none",
        "VOICE_SWITCHES": f"{name}=esl://:{switch.password}@{switch.host}:{switch.port}",
        "BENCH_CALLS": str(CALLS),
        "BENCH_SWITCH": f"{switch.host}:{switch.port}",
        "BENCH_PASSWORD": switch.password,
        "BENCH_NAMES": " ".join(SUBSCRIPTION),
    }


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
