"""How fast records are acknowledged, and how late when all goes well and when all is gone."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_hex
from statistics import median

from sqlalchemy import Engine, create_engine, text

from bench.killing import kill
from bench.peers.cdr import Base
from bench.records import records
from bench.stacks import directory
from bench.storm import AT_ONCE, PACED_SECONDS, Contender, ask, paced, storm
from bench.table import Row, number, percentile, spread
from bench.waiting import BenchError, until
from deploy.local.instances import Postgres, Rabbit, start_all
from deploy.local.stack import migrate

CALLS = 1500  # two posts each
GOAL_OF_EMPTY = 0.55
GOAL_OF_PLAIN = 1.5
GOAL_MS = 50.0
GOAL_ALONE_MS = 250.0
_WARM_UP = 100
_STORED_SECONDS = 180
_DEATH_AFTER = 1.0  # second of those that are paced


@dataclass(slots=True)
class Late:
    """How late answers came, in milliseconds, in each round."""

    together: list[list[float]] = field(default_factory=list)
    alone: list[list[float]] = field(default_factory=list)
    stored: list[float] = field(default_factory=list)  # seconds from the last answer


def run(rounds: int) -> list[Row]:
    """Measure, telling each round as it is done."""
    print(f"posts: {rounds} rounds of {2 * CALLS:,} records of 9 kB, {AT_ONCE} at once")
    product = Contender("the CDR service", ["services.cdr"])
    empty = Contender("empty handler", ["bench.peers.cdr", "{bind}"])
    plain = Contender(
        "an insert for each post",
        [
            "gunicorn",
            "--workers",
            "2",
            "--threads",
            "8",
            "--bind",
            "{bind}",
            "bench.peers.cdr:plain()",
        ],
    )
    contenders = [product, empty, plain]
    late = Late()
    with directory() as made, _servers(made) as servers:
        for rank in range(rounds):
            turn = rank % len(contenders)
            for contender in contenders[turn:] + contenders[:turn]:
                environment = {**servers.environment, "VOICE_CDR_BIND": contender.bind}
                with contender.serving(environment, made / "contender.log"):
                    posts = _Posts(contender.port, servers)
                    posts.storm(_WARM_UP)
                    contender.rates.append(posts.storm(CALLS))
                    said = f"{number(contender.rates[-1])} posts/s"
                    if contender is product:
                        said += f"; {_lateness(posts, contender.rates[-1] / 2, late)}"
                    print(f"  round {rank + 1}: {contender.name}: {said}", flush=True)
    return _rows(product, empty, plain, late)


@dataclass(frozen=True, slots=True)
class _Servers:
    """A broker and a database of our own."""

    rabbit: Rabbit
    postgres: Postgres
    environment: Mapping[str, str]
    engine: Engine

    def kill(self) -> None:
        """Kill both."""
        for server in (self.rabbit, self.postgres):
            kill(server.daemon)

    def count(self) -> int:
        """Return how many records are stored."""
        with self.engine.connect() as connection:
            return int(connection.scalar(text("SELECT count(*) FROM cdrs")) or 0)


@contextmanager
def _servers(made: Path) -> Iterator[_Servers]:
    rabbit, postgres = Rabbit(made / "rabbitmq"), Postgres(made / "postgresql")
    try:
        start_all([rabbit, postgres])
        migrate(postgres.url)
        engine = create_engine(postgres.url, pool_pre_ping=True)
        Base.metadata.create_all(engine)
        environment = {
            "VOICE_AMQP_URL": rabbit.url,
            "VOICE_DATABASE_URL": postgres.url,
            "VOICE_STATE_DIR": str(made / "state"),
            "VOICE_SWITCH_USER": "switch",
            "VOICE_SWITCH_PASSWORD": token_hex(16),
        }
        yield _Servers(rabbit, postgres, environment, engine)
        engine.dispose()
    finally:
        rabbit.remove()
        postgres.remove()


class _Posts:
    """Posts to one program, every one of a leg of its own."""

    def __init__(self, port: int, servers: _Servers) -> None:
        self._do = partial(_post, port)
        self._servers = servers
        self._stored = servers.count()  # by whoever had a turn before
        self._posted = 0

    def storm(self, calls: int) -> float:
        """Post as fast as it goes; return the posts a second."""
        return storm(self._do, self._made(calls))

    def paced(self, rate: float, seconds: float = PACED_SECONDS) -> list[float]:
        """Post at this rate; return how late each was answered, in milliseconds."""
        return paced(self._do, self._made(int(rate * seconds / 2)), rate)

    def bereaved(self, rate: float) -> list[float]:
        """Do so, and kill broker and database meanwhile; return those since their death."""
        death = threading.Timer(_DEATH_AFTER, self._servers.kill)
        death.start()
        late = self.paced(rate)
        death.join()
        start_all([self._servers.rabbit, self._servers.postgres])
        return late[int(_DEATH_AFTER * rate) :]

    def wait_stored(self) -> float:
        """Return the seconds until every record that was posted is stored, once."""
        began = time.perf_counter()
        expected = self._stored + self._posted
        until(
            lambda: self._servers.count() >= expected,
            f"{self._posted:,} records stored",
            seconds=_STORED_SECONDS,
            pause=0.2,
        )
        found = self._servers.count()
        if found != expected:
            raise BenchError(f"{found - self._stored:,} records stored of {self._posted:,} posted")
        return time.perf_counter() - began

    def _made(self, calls: int) -> Sequence[bytes]:
        made = [record.request(self._servers.environment) for record in records(calls)]
        self._posted += len(made)
        return made


def _post(port: int, request: bytes) -> None:
    answer = ask(port, request)
    if b" 200 " not in answer[:20]:
        raise BenchError(f"a post was answered {answer[:300]!r}")


def _lateness(posts: _Posts, rate: float, late: Late) -> str:
    """Measure how late answers come at this rate, and say it; all that was posted is stored."""
    late.stored.append(posts.wait_stored())
    late.together.append(posts.paced(rate))
    posts.wait_stored()
    late.alone.append(posts.bereaved(rate))
    posts.wait_stored()
    return (
        f"all stored {number(late.stored[-1])} s later; at half of that rate p99 "
        f"{number(percentile(late.together[-1], 0.99))} ms, "
        f"without broker and database {number(percentile(late.alone[-1], 0.99))} ms"
    )


def _rows(product: Contender, empty: Contender, plain: Contender, late: Late) -> list[Row]:
    what = f"records of 9 kB acknowledged a second, {AT_ONCE} at once"
    return [
        _compared(what, product, empty, "an empty handler on the same server", GOAL_OF_EMPTY),
        _compared(what, product, plain, "plain Flask + SQLAlchemy, an insert each", GOAL_OF_PLAIN),
        Row(
            what=f"all {2 * CALLS:,} of them stored",
            measured=f"{spread(late.stored, ' s')} after the last answer",
            beside="each once, counted",
        ),
        _lateness_row("at half of that rate", late.together, GOAL_MS),
        _lateness_row("the same, broker and database killed", late.alone, GOAL_ALONE_MS),
    ]


def _compared(what: str, ours: Contender, other: Contender, name: str, goal: float) -> Row:
    ratios = [mine / theirs for mine, theirs in zip(ours.rates, other.rates, strict=True)]
    return Row(
        what=what,
        measured=f"{spread(ours.rates)}/s",
        beside=f"{name}: {spread(other.rates)}/s",
        compared=f"{spread(ratios)} x",
        goal=f"at least {goal} x",
        met=median(ratios) >= goal,
    )


def _lateness_row(when: str, late: Sequence[list[float]], goal: float) -> Row:
    p99 = [percentile(one, 0.99) for one in late]
    return Row(
        what=f"a record acknowledged {when}, p99",
        measured=spread(p99, " ms"),
        beside=f"p50 {spread([percentile(one, 0.5) for one in late], ' ms')}, "
        f"slowest {spread([max(one) for one in late], ' ms')}",
        goal=f"at most {goal:g} ms",
        met=median(p99) <= goal,
    )
