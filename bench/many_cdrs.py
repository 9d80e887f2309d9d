"""How fast lists and statistics are read from ten million CDRs."""

import http.client
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from statistics import median
from urllib.parse import urlencode

import orjson
from sqlalchemy import create_engine, text

from bench import year
from bench.questions import PATH, QUESTIONS, Filters, Known, questions, span
from bench.stacks import directory
from bench.storm import Contender
from bench.table import Row, number, percentile, spread
from bench.waiting import BenchError
from deploy.local.instances import Postgres, Rabbit, start_all
from deploy.local.ports import LOOPBACK
from deploy.local.stack import migrate

STATISTICS = ("hour", "day", "queue", "agent", "product", "cause")
GOAL_MS = 50.0
GOAL_SECONDS = 2.0
_PEER = "/readyz"  # a `SELECT 1` through the gateway's own pool
_STATS = "/v1/stats"
_ZONE = "Europe/Berlin"
_KNOWN = 1000
_TIMEOUT_SECONDS = 60
_SLOWEST = 5
# What is loaded can be loaded again.
_QUICK = ("wal_level = minimal", "max_wal_senders = 0", "max_wal_size = '4GB'")


@dataclass(slots=True)
class Measured:
    """Times in milliseconds, of each round."""

    pages: list[list[float]] = field(default_factory=list)
    bare: list[list[float]] = field(default_factory=list)
    statistics: list[dict[str, float]] = field(default_factory=list)


def run(rounds: int) -> list[Row]:
    """Measure, telling each round as it is done."""
    print(f"many: loading {year.RECORDS:,} CDRs of {year.RECORDS // 2:,} calls", flush=True)
    months = year.months(datetime.now(UTC))
    gateway = Contender("the gateway", ["services.gateway"])
    measured = Measured()
    with directory() as made, _servers(made) as environment:
        year.load(environment["VOICE_DATABASE_URL"], months)
        known = _known(environment["VOICE_DATABASE_URL"])
        ours = environment | {"VOICE_GATEWAY_BIND": gateway.bind}
        with gateway.serving(ours, made / "gateway.log"):
            asked = _Asked(gateway.port, environment["VOICE_TOKEN"])
            for rank in range(rounds):
                mix = questions(rank, months, known)
                measured.bare.append([asked.milliseconds(_PEER) for _ in range(QUESTIONS)])
                measured.pages.append(_pages(asked, mix))
                measured.statistics.append(_statistics(asked, months[-1 - rank % len(months)]))
                print(f"  round {rank + 1}: {_said(measured)}", flush=True)
                _tell_slowest(mix, measured.pages[-1])
    return _rows(measured)


@contextmanager
def _servers(made: Path) -> Iterator[dict[str, str]]:
    rabbit, postgres = Rabbit(made / "rabbitmq"), Postgres(made / "postgresql", durable=False)
    try:
        start_all([rabbit, postgres])
        engine = create_engine(postgres.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for setting in _QUICK:
                connection.execute(text(f"ALTER SYSTEM SET {setting}"))
        engine.dispose()
        postgres.restart()
        migrate(postgres.url)
        yield {
            "VOICE_AMQP_URL": rabbit.url,
            "VOICE_DATABASE_URL": postgres.url,
            "VOICE_STATE_DIR": str(made / "state"),
            "VOICE_DOMAIN": "test.local",
            "VOICE_TOKEN": token_hex(16),
            "VOICE_AES_KEY": token_hex(16),
            "VOICE_AES_IV": token_hex(16),
        }
    finally:
        rabbit.remove()
        postgres.remove()


def _known(url: str) -> Known:
    engine = create_engine(url)
    query = text(
        "SELECT call_id, crm_uuid, number FROM calls TABLESAMPLE SYSTEM (1) REPEATABLE (1)"
        " WHERE crm_uuid IS NOT NULL LIMIT :count"
    )
    with engine.connect() as connection:
        found = connection.execute(query, {"count": _KNOWN}).all()
    engine.dispose()
    call_ids, crm_uuids, numbers = zip(*found, strict=True)
    return Known(call_ids, crm_uuids, numbers)


class _Asked:
    """A client of the gateway with one kept connection."""

    def __init__(self, port: int, token: str) -> None:
        self._link = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_SECONDS)
        self._head = {"Authorization": f"Bearer {token}"}

    def milliseconds(self, path: str, query: Mapping[str, str] | None = None) -> float:
        """Return how long the whole answer takes."""
        began = time.perf_counter()
        self.get(path, query)
        return (time.perf_counter() - began) * 1000

    def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Return what is answered; whatever is not 200 spoils the benchmark."""
        where = f"{path}?{urlencode(query)}" if query else path
        self._link.request("GET", where, headers=self._head)
        answer = self._link.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise BenchError(f"{where} was answered {answer.status}: {body[:300]!r}")
        return body


def _pages(asked: _Asked, mix: Sequence[Filters]) -> list[float]:
    """Return how long each first page takes; see that filters filter."""
    took = [asked.milliseconds(PATH, filters) for filters in mix]
    for filters in mix[: len(mix) // 10]:
        for cdr in orjson.loads(asked.get(PATH, filters))["cdrs"]:
            if wrong := [name for name in filters if not _fits(cdr, name, filters[name])]:
                raise BenchError(f"{filters} found a record with another {', '.join(wrong)}: {cdr}")
    return took


def _fits(cdr: Mapping[str, object], name: str, wanted: str) -> bool:
    if name in {"started_from", "started_to"}:
        return True
    if name == "number_prefix":
        return str(cdr["number"]).startswith(wanted)
    return str(cdr.get(name)) == wanted


def _statistics(asked: _Asked, month: year.Month) -> dict[str, float]:
    """Return how long a month's statistics take, by each of what they are asked by."""
    said = span(*month) | {"tz": _ZONE}
    return {by: asked.milliseconds(_STATS, {"by": by} | said) for by in STATISTICS}


def _said(measured: Measured) -> str:
    pages, bare, statistics = measured.pages[-1], measured.bare[-1], measured.statistics[-1]
    slowest = max(statistics, key=lambda by: statistics[by])
    return (
        f"first page p50 {number(percentile(pages, 0.5))} ms, p95 {number(percentile(pages, 0.95))}"
        f" ms, SELECT 1 p95 {number(percentile(bare, 0.95))} ms; a month's statistics at most "
        f"{number(statistics[slowest] / 1000)} s (by {slowest})"
    )


def _tell_slowest(mix: Sequence[Filters], took: Sequence[float]) -> None:
    ranked = sorted(zip(took, map(dict, mix), strict=True), key=lambda one: -one[0])
    for milliseconds, filters in ranked[:_SLOWEST]:
        print(f"    {number(milliseconds)} ms: {filters}", flush=True)


def _rows(measured: Measured) -> list[Row]:
    p95 = [percentile(one, 0.95) for one in measured.pages]
    bare = [percentile(one, 0.95) for one in measured.bare]
    slowest = [max(one.values()) / 1000 for one in measured.statistics]
    by: dict[str, list[float]] = defaultdict(list)
    for one in measured.statistics:
        for name, took in one.items():
            by[name].append(took / 1000)
    each = ", ".join(f"{name} {number(median(took))}" for name, took in by.items())
    rows = year.RECORDS
    return [
        Row(
            what=f"first page of a filtered list of {rows:,} CDRs, p95",
            measured=spread(p95, " ms"),
            beside=f"`SELECT 1` through the same server and pool: {spread(bare, ' ms')}",
            compared=f"p50 {spread([percentile(one, 0.5) for one in measured.pages], ' ms')}",
            goal=f"at most {GOAL_MS:g} ms",
            met=median(p95) <= GOAL_MS,
        ),
        Row(
            what=f"a month's statistics of {rows:,} CDRs, by whatever takes longest",
            measured=spread(slowest, " s"),
            beside=f"medians in seconds: {each}",
            goal=f"at most {GOAL_SECONDS:g} s",
            met=median(slowest) <= GOAL_SECONDS,
        ),
    ]
