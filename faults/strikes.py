"""The faults: what is broken under load, and how it is mended. The table is at the end."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.waiting import until
from faults.load import Load
from faults.stage import Stage

OUTAGE_SECONDS = 5.0  # calls begin, change and end meanwhile
_NOTICED_SECONDS = 120  # a link that says nothing is noticed by the heartbeats that do not come


@dataclass(slots=True)
class Scene:
    """What a fault is done to: the product, and the calls that are up on it."""

    stage: Stage
    load: Load

    def outage(self) -> None:
        """Let calls go on for as long as an outage takes."""
        threading.Event().wait(OUTAGE_SECONDS)

    def kill_switch(self) -> None:
        """Kill the switch, and with it its calls."""
        self.stage.kill_switch()
        self.load.look().switch_died()


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault by what it does, and what it is held to."""

    does: str
    strike: Callable[[Scene], None]
    events: int = 1  # processes of the events service
    silence: float | None = None  # seconds that may pass, at most, without any event


def _nothing(scene: Scene) -> None:
    scene.outage()


def _killed(*names: str) -> Callable[[Scene], None]:
    """Return the fault in which these are killed, and started again after a while."""

    def strike(scene: Scene) -> None:
        scene.stage.lose(*names, seconds=OUTAGE_SECONDS)

    return strike


def _events(scene: Scene) -> None:
    (events,) = scene.stage.events
    events.kill()
    scene.outage()
    events.start()


def _active_events(scene: Scene) -> None:
    """Kill both in turn, each while the other one stands by: one of them is the active one."""
    for events in scene.stage.events:
        events.kill()
        scene.outage()
        events.start()
        scene.outage()


def _switch(scene: Scene) -> None:
    scene.kill_switch()
    scene.outage()
    scene.stage.start_switch()


def _silent_link(scene: Scene) -> None:
    (events,) = scene.stage.events
    before = events.network.accepted
    events.network.fall_silent()
    scene.outage()
    events.network.heal()
    until(
        lambda: events.network.accepted > before,
        "a new link to the switch",
        seconds=_NOTICED_SECONDS,
        pause=0.1,
    )


def _cut_link(scene: Scene) -> None:
    (events,) = scene.stage.events
    events.network.shut()
    scene.outage()
    events.network.heal()


def _broker_and_events(scene: Scene) -> None:
    (events,) = scene.stage.events
    events.kill()
    scene.stage.kill("RabbitMQ")
    scene.outage()
    events.start()
    scene.outage()
    scene.stage.start("RabbitMQ")


FAULTS: Mapping[str, Fault] = {
    "none": Fault("nothing is broken", _nothing),
    "events": Fault("events service killed, started again", _events),
    "standby": Fault("each of two events services killed in turn", _active_events, 2, 5.0),
    "broker": Fault("RabbitMQ killed, started again", _killed("RabbitMQ")),
    "switch": Fault("switch killed, started again", _switch),
    "silent-link": Fault("link to the switch loses everything, says nothing", _silent_link),
    "cut-link": Fault("link to the switch cut, refused for a while", _cut_link),
    "database": Fault("PostgreSQL killed, started again", _killed("PostgreSQL")),
    "gateway": Fault("gateway killed, started again", _killed("gateway")),
    "dialer": Fault("dialer killed, started again", _killed("dialer")),
    "directory": Fault("directory killed, started again", _killed("directory")),
    "cdr": Fault("CDR service killed, started again", _killed("cdr")),
    "broker-and-events": Fault("RabbitMQ and events service killed at once", _broker_and_events),
}

# Those that are done to a real switch, too.
REAL = ("none", "events", "broker", "switch")
