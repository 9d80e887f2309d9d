"""The real things that tests run on: a RabbitMQ, a PostgreSQL, and the whole product."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pika
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from deploy.local.instances import Postgres, Rabbit, start_all
from deploy.local.processes import ROOT
from shared.broker import topology
from shared.broker.connection import Broker
from shared.database.engine import open_engine
from tests.waiting import until

# A busy machine is no fault of the code's, and CI judges the change, not its luck: what is searched
# for anew at every run of a developer is the same at each of CI's.
settings.register_profile(
    "voice",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("voice")


class _Together(LoadScopeScheduling):
    """Keeps the tests of a file in one process, and those of a directory that share a product."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((name for name in _TOGETHER if file.startswith(f"{name}/")), file)


_TOGETHER = ("tests/e2e", "tests/switch")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Together:
    """Spread the tests over the processes, of which each has servers of its own."""
    return _Together(config, log)


@pytest.fixture(scope="session")
def servers(tmp_path_factory) -> Iterator[tuple[Rabbit, Postgres]]:
    """Give a RabbitMQ and a migrated PostgreSQL that nobody else uses."""
    directory = tmp_path_factory.mktemp("servers")
    rabbit = Rabbit(directory / "rabbitmq", durable=False)
    postgres = Postgres(directory / "postgresql", durable=False)
    try:
        start_all([rabbit, postgres])
        subprocess.run(
            [sys.executable, "-m", "alembic", "upgrade", "head"],
            cwd=ROOT,
            env={**os.environ, "VOICE_DATABASE_URL": postgres.url},
            check=True,
        )
        yield rabbit, postgres
    finally:
        rabbit.remove()
        postgres.remove()


@pytest.fixture(scope="session")
def rabbit(servers: tuple[Rabbit, Postgres]) -> Rabbit:
    """Give the RabbitMQ."""
    return servers[0]


@pytest.fixture(scope="session")
def postgres(servers: tuple[Rabbit, Postgres]) -> Postgres:
    """Give the PostgreSQL."""
    return servers[1]


@pytest.fixture
def engine(postgres) -> Iterator[Engine]:
    """Give an engine on the migrated database; rows of other tests are there too."""
    engine = open_engine(postgres.url)
    yield engine
    engine.dispose()


@pytest.fixture
def channel(rabbit) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    """Give a plain channel of another program's, on the declared topology with empty queues."""
    declared = Broker(rabbit.url, name="declares")
    declared.start()
    assert declared.wait_connected(20)
    declared.stop()
    connection = pika.BlockingConnection(pika.URLParameters(rabbit.url))
    channel = connection.channel()
    for queue in topology.QUEUES:
        channel.queue_purge(queue)
    yield channel
    if connection.is_open:
        connection.close()


@pytest.fixture
def broker(rabbit, channel) -> Iterator[Broker]:  # noqa: ARG001
    """Give a started broker connection; `channel` has emptied the queues before."""
    broker = Broker(rabbit.url, name="test")
    broker.start()
    until(lambda: broker.connected)
    yield broker
    broker.stop()


@pytest.fixture
def word() -> str:
    """Give a word that no other test uses."""
    return secrets.token_hex(8)


@pytest.fixture
def extension() -> str:
    """Give an extension that no other test uses."""
    return f"{20_000_000 + secrets.randbelow(79_999_990)}"
