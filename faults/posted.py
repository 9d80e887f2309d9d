"""What the runs on records have in hand: the product, a switch that posts, and what it posted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine

from faults import journal
from faults.bodies import Record
from faults.check import Violation
from faults.posting import Switch
from faults.stage import Stage, product
from shared.database.engine import open_engine

_A_SECOND = 60


class Skipped(Exception):
    """The run cannot be made on this machine; the text says why."""


@dataclass(slots=True)
class Posted:
    """The product and its switch, and what was posted and found wrong so far.

    `patience` is how long the last of something is waited for, in seconds.
    """

    stage: Stage
    switch: Switch
    watcher: journal.Watcher
    engine: Engine
    patience: float
    records: list[Record] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    @property
    def broker(self) -> str:
        """Where the broker is."""
        return self.stage.settings["VOICE_AMQP_URL"]

    def blame(self, what: str, leg_id: str = "-") -> None:
        """Note a broken promise."""
        self.violations.append(Violation(leg_id, what))

    def post(self, some: Sequence[Record], *, enough: int | None = None) -> None:
        """Post records, or as many until so many of all were refused as are `enough`."""
        begin = len(self.switch.answers)
        self.switch.post(some, a_second=_A_SECOND, enough=enough)
        done = {answer.leg_id for answer in self.switch.answers[begin:]}
        self.records += [record for record in some if record.leg_id in done]


@contextmanager
def posted(patience: float) -> Iterator[Posted]:
    """Give the product, all up, and a switch that has posted nothing yet."""
    with product() as stage:
        watcher = journal.Watcher(stage.settings["VOICE_AMQP_URL"])
        engine = open_engine(stage.settings["VOICE_DATABASE_URL"])
        watcher.start()
        try:
            switch = Switch(stage.settings, stage.stack.directory / "spill")
            yield Posted(stage, switch, watcher, engine, patience)
        finally:
            watcher.stop()
            engine.dispose()


def tell(text: str) -> None:
    """Show how far it is."""
    print(text, flush=True)
