"""The product in a directory of its own, each part of which can be killed and started again."""

import threading
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.killing import kill
from bench.stacks import directory
from bench.waiting import BenchError, until
from deploy.local.instances import Server
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import Processes
from deploy.local.settings import BINDS, address, save
from deploy.local.stack import Stack
from faults.proxy import Proxy
from faults.witness import Witness
from shared.switch.address import SwitchAddress, parse_switches
from tests.e2e.real import RealSide, real_side

_START_SECONDS = 60

# Quicker than people: calls of a few seconds, and phones that nobody answers not much longer.
_PACE = {
    "VOICE_AGENT_RING_SECONDS": "4",
    "VOICE_CUSTOMER_RING_SECONDS": "4",
    "VOICE_LOST_GRACE_SECONDS": "5",
    "SIMULATOR_RING_MS": "500",
    "SIMULATOR_ANSWER_MS": "1500",
}


@dataclass(frozen=True, slots=True)
class Events:
    """One events process, which reaches the switch through a network of its own."""

    processes: Processes
    settings: Mapping[str, str]
    network: Proxy

    def start(self) -> None:
        """Start it, or find it started; return when it lives, be it as the one who stands by."""
        self.processes.start(["events"])
        until(self._lives, "the events service", seconds=_START_SECONDS, pause=0.1)

    def kill(self) -> None:
        """Kill it."""
        kill(self.processes.daemon("events"))

    def _lives(self) -> bool:
        return _answers(f"{address(dict(self.settings), 'events')}/healthz")


class Stage:
    """The product, and what can be done to it."""

    def __init__(self, stack: Stack, truth_file: Path, real: RealSide | None) -> None:
        self.stack = stack
        self.truth_file = truth_file
        self.real = real
        self.events: list[Events] = []
        self.settings = stack.settings

    @property
    def switch(self) -> SwitchAddress:
        """The switch itself, past every network that may be broken."""
        (switch,) = parse_switches(self.settings["VOICE_SWITCHES"])
        return switch

    @property
    def spooled_records(self) -> set[str]:
        """The legs whose CDRs the switch could not post, and keeps to be collected."""
        kept = Path(self.settings["SIMULATOR_CDR_ERROR_DIR"])
        return {path.name.partition(".")[0] for path in kept.glob("*.cdr.json")}

    def kill_switch(self) -> None:
        """Kill the switch, and with it its calls."""
        if self.real is None:
            self.kill("simulator")
        elif self.real.switch is not None:
            self.real.switch.crash()

    def start_switch(self) -> None:
        """Start it again; a real one takes up the calls that both sides had answered."""
        if self.real is None:
            self.start("simulator")
        elif self.real.switch is not None:
            self.real.switch.start()

    @contextmanager
    def phones(self, present: Iterable[str]) -> Iterator[None]:
        """Have the phones of these agents there; the simulated switch has them all by itself."""
        if self.real is None:
            yield
            return
        for extension in present:
            self.real.agents.register(
                extension, self.real.password, self.settings["VOICE_DOMAIN"], self.real.registrar
            )
        with self.real.agents:
            yield

    def kill(self, name: str) -> None:
        """Kill a service or a server, and all of its children with it."""
        server = self._server(name)
        kill(server.daemon if server else self.stack.processes.daemon(name))

    def start(self, name: str) -> None:
        """Start it again, as whoever watches over it would; return when it serves."""
        if (server := self._server(name)) is not None:
            port = server.port
            server.start()
            if server.port != port:
                raise BenchError(f"somebody took the port of {name} meanwhile")
            return
        self.stack.processes.start([name])
        self.stack.processes.wait_ready(name, self.settings)

    def lose(self, *names: str, seconds: float) -> None:
        """Kill all of these, and start them again after so many seconds."""
        for name in names:
            self.kill(name)
        threading.Event().wait(seconds)
        for name in names:
            self.start(name)

    def _server(self, name: str) -> Server | None:
        found = [server for server in self.stack.needed_servers if server.title == name]
        return found[0] if found else None


@contextmanager
def product(events: int = 1, *, real: bool = False) -> Iterator[Stage]:
    """Give the product with a switch, simulated or real, and so many events processes, all up."""
    with ExitStack() as down:
        made = down.enter_context(directory())
        truth_file = made / "truth.jsonl"
        binds = {name: f"{LOOPBACK}:{free_port()}" for name in BINDS.values()}
        side = down.enter_context(real_side(made)) if real else None
        own = {**_PACE, **binds, "SIMULATOR_TRUTH_FILE": str(truth_file)}
        stack = Stack(made, {**own, **(side.settings if side else {})})
        down.callback(stack.forget)
        stack.up()
        # In its place come those whose network can be broken.
        stack.processes.stop(["events"])
        stage = Stage(stack, truth_file, side)
        if real:
            witness = Witness(stage.switch, truth_file)
            witness.start()
            down.callback(witness.stop)
        for rank in range(events):
            network = Proxy(free_port(), to=stage.switch.port)
            down.enter_context(network)
            stage.events.append(_events(stage, made / f"events-{rank}", network))
            down.callback(stage.events[-1].processes.stop, ["events"])
            stage.events[-1].start()
        yield stage


def _events(stage: Stage, place: Path, network: Proxy) -> Events:
    straight = stage.settings["VOICE_SWITCHES"]
    settings = stage.settings | {
        "VOICE_SWITCHES": f"{straight.removesuffix(str(stage.switch.port))}{network.port}",
        "VOICE_EVENTS_BIND": f"{LOOPBACK}:{free_port()}",
        "VOICE_STATE_DIR": str(place / "state"),
    }
    processes = Processes(place)
    processes.env_file.parent.mkdir(parents=True)
    save(processes.env_file, settings)
    return Events(processes, settings, network)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3):  # noqa: S310  (our own)
            return True
    except OSError:
        return False
