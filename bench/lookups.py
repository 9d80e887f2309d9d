"""How fast phones are looked up when all of them register at once."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from secrets import token_hex
from statistics import median
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

from bench.stacks import directory
from bench.storm import AT_ONCE, PACED_SECONDS, READY_SECONDS, Contender, ask, paced, post, storm
from bench.table import Row, number, percentile, spread
from bench.waiting import BenchError
from deploy.local.instances import Postgres, Rabbit, start_all
from deploy.local.stack import migrate
from services.directory.handlers import Users
from services.directory.settings import DirectorySettings
from shared.broker.connection import Broker
from shared.database.engine import open_engine
from shared.messages.commands import CreateUsers, Ordered
from shared.messages.users import NewUser
from shared.vault import Vault
from tests import recordings

USERS = 10_000
GOAL_OF_CONSTANT = 0.6
GOAL_MS = 20.0
DOMAIN = "test.local"
_FIRST = 10_000_000


CONSTANT = "<document/>" + " " * 1200  # as long as a user's


def run(rounds: int) -> list[Row]:
    """Measure, telling each round as it is done."""
    print(f"lookups: {rounds} rounds of a storm of {USERS:,} registrations, {AT_ONCE} at once")
    product = Contender("the directory", ["services.directory"])
    constant = Contender("constant answer", ["bench.peers.lookup", "constant", "{bind}"])
    uncached = Contender("without its memory", ["bench.peers.lookup", "uncached", "{bind}"])
    contenders = [product, constant, uncached]
    with directory() as made, servers(made) as environment:
        _create_users(environment)
        requests = _requests(environment)
        late = []
        for rank in range(rounds):
            turn = rank % len(contenders)
            for contender in contenders[turn:] + contenders[:turn]:
                with started(contender, environment, made / "contender.log"):
                    do = partial(_lookup, contender.port)
                    storm(do, requests)  # as a service that has run for a while
                    rate = storm(do, requests)
                    contender.rates.append(rate)
                    said = f"  round {rank + 1}: {contender.name}: {number(rate)} lookups/s"
                    if contender is product:
                        count = int(rate / 2 * PACED_SECONDS)
                        again = list(islice(cycle(requests), count))
                        late.append(paced(do, again, rate / 2))
                        said += f"; at half of that p99 {number(percentile(late[-1], 0.99))} ms"
                    print(said)
    return _rows(product, constant, uncached, late)


@contextmanager
def servers(made: Path) -> Iterator[dict[str, str]]:
    """Give the environment of a directory, with all that it needs."""
    rabbit, postgres = Rabbit(made / "rabbitmq"), Postgres(made / "postgresql")
    try:
        start_all([rabbit, postgres])
        migrate(postgres.url)
        environment = {
            "VOICE_AMQP_URL": rabbit.url,
            "VOICE_DATABASE_URL": postgres.url,
            "VOICE_DOMAIN": DOMAIN,
            "VOICE_SWITCH_USER": "switch",
            "VOICE_SWITCH_PASSWORD": token_hex(16),
            "VOICE_PASSWORD_KEYS": f"bench={token_hex(32)}",
        }
        yield environment
    finally:
        rabbit.remove()
        postgres.remove()


@contextmanager
def users(environment: Mapping[str, str]) -> Iterator[Users]:
    """Give what creates users."""
    given = {name.removeprefix("VOICE_").lower(): value for name, value in environment.items()}
    settings = DirectorySettings.model_validate(given)
    broker = Broker(environment["VOICE_AMQP_URL"], name="bench")
    broker.start()
    if not broker.wait_connected(READY_SECONDS):
        raise BenchError("RabbitMQ is not there")
    engine = open_engine(environment["VOICE_DATABASE_URL"])
    yield Users(engine, DOMAIN, Vault(settings.keys), broker.publish)
    engine.dispose()
    broker.stop()


def _create_users(environment: Mapping[str, str]) -> None:
    extensions = (NewUser(extension=f"{_FIRST + number}") for number in range(USERS))
    with users(environment) as handlers:
        handlers.create_many(Ordered(uuid4(), CreateUsers(users=tuple(extensions))))


def _requests(environment: Mapping[str, str]) -> list[bytes]:
    """Return the lookup of each user's registration."""
    return [request(environment, f"{_FIRST + rank}") for rank in range(USERS)]


def request(environment: Mapping[str, str], user: str) -> bytes:
    """Return the lookup of a registration, as a real switch posted one."""
    (recorded, *_) = recordings.posts("s14", "directory")
    form = dict(parse_qsl(recorded["body"]))
    said = {name: user for name, value in form.items() if value == "1001"}
    return post(
        "/directory",
        urlencode(form | said).encode(),
        kind="application/x-www-form-urlencoded",
        agent="freeswitch-xml/1.0",
        environment=environment,
    )


def started(
    contender: Contender, environment: Mapping[str, str], log: Path, *, constant: str = CONSTANT
) -> AbstractContextManager[None]:
    """Have a contender serve; `constant` is what the one of this name answers."""
    ours = {"VOICE_DIRECTORY_BIND": contender.bind, "BENCH_DOCUMENT": constant}
    return contender.serving({**environment, **ours}, log)


def _lookup(port: int, request: bytes) -> None:
    answer = ask(port, request)
    if b" 200 " not in answer[:20] or b"<document" not in answer:
        raise BenchError(f"a lookup was answered {answer[:300]!r}")


def _rows(
    product: Contender, constant: Contender, uncached: Contender, late: list[list[float]]
) -> list[Row]:
    ratios = [mine / limit for mine, limit in zip(product.rates, constant.rates, strict=True)]
    faster = [mine / slow for mine, slow in zip(product.rates, uncached.rates, strict=True)]
    p99 = [percentile(one, 0.99) for one in late]
    rate = f"{spread(product.rates)}/s"
    return [
        Row(
            what=f"REGISTER lookups a second, a storm of {USERS:,}",
            measured=rate,
            beside=f"a constant answer on the same server: {spread(constant.rates)}/s",
            compared=f"{spread(ratios)} x",
            goal=f"at least {GOAL_OF_CONSTANT} x",
            met=median(ratios) >= GOAL_OF_CONSTANT,
        ),
        Row(
            what=f"REGISTER lookups a second, a storm of {USERS:,}",
            measured=rate,
            beside=f"the same without memory of users: {spread(uncached.rates)}/s",
            compared=f"{spread(faster)} x",
        ),
        Row(
            what="a lookup at half of that rate, p99",
            measured=spread(p99, " ms"),
            beside=f"p50 {spread([percentile(one, 0.5) for one in late], ' ms')}",
            goal=f"under {GOAL_MS:g} ms",
            met=median(p99) < GOAL_MS,
        ),
    ]
