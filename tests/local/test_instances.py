"""Private servers keep their promises, whatever else runs on the machine."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pika
import pika.exceptions
import psycopg2
import pytest
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from deploy.local.instances import Postgres, Rabbit, start_all, stop_all
from deploy.local.ports import LOOPBACK

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user")


def _sql(postgres: Postgres, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(postgres.url.replace("+psycopg2", ""))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


# A broker that has just started still looks for the leaders of its queues.
@retry(
    retry=retry_if_exception_type(pika.exceptions.ChannelClosedByBroker),
    stop=stop_after_delay(30),
    wait=wait_fixed(0.2),
    reraise=True,
)
def _first(rabbit: Rabbit, queue: str, arguments: dict[str, str]) -> bytes | None:
    """Return the first message of the queue."""
    with closing(pika.BlockingConnection(pika.URLParameters(rabbit.url))) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=1)
        got = channel.consume(queue, arguments=arguments, inactivity_timeout=20)
        return next(got)[2]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Rabbit, Postgres]]]:
    """Give two of each, started at the same moment."""
    home = tmp_path_factory.mktemp("instances")
    pairs = [
        (Rabbit(home / f"r{n}", durable=False), Postgres(home / f"p{n}", durable=False))
        for n in range(2)
    ]
    servers = [server for pair in pairs for server in pair]
    try:
        start_all(servers)
        yield pairs
    finally:
        stop_all(servers)
        for server in servers:
            server.remove()


@pytest.fixture
def rabbit(pairs: list[tuple[Rabbit, Postgres]]) -> Rabbit:
    """Give a RabbitMQ that serves."""
    return pairs[0][0]


@pytest.fixture
def postgres(pairs: list[tuple[Rabbit, Postgres]]) -> Postgres:
    """Give a PostgreSQL that serves."""
    return pairs[0][1]


def test_two_at_once_do_not_collide(pairs: list[tuple[Rabbit, Postgres]]) -> None:
    """Each server has ports of its own and answers on them."""
    ports = [server.port for pair in pairs for server in pair]

    for rabbit, postgres in pairs:
        pika.BlockingConnection(pika.URLParameters(rabbit.url)).close()
        assert _sql(postgres, "select 1") == [(1,)]
    assert len(set(ports)) == 4
    assert not {5432, 5672} & set(ports)


def test_messages_and_streams_survive_a_restart(rabbit: Rabbit) -> None:
    """A restarted RabbitMQ has the same address and what was confirmed to its clients."""
    before = rabbit.url
    for queue, kind in (("work", "quorum"), ("journal", "stream")):
        connection = pika.BlockingConnection(pika.URLParameters(rabbit.url))
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": kind})
        channel.basic_publish("", queue, b"kept", pika.BasicProperties(delivery_mode=2))
        connection.close()

    rabbit.restart()

    assert rabbit.url == before
    assert _first(rabbit, "work", {}) == b"kept"
    assert _first(rabbit, "journal", {"x-stream-offset": "first"}) == b"kept"


def test_rows_survive_a_restart(postgres: Postgres) -> None:
    """A restarted PostgreSQL has the same address and the committed rows."""
    before = postgres.url
    _sql(postgres, "create table kept as select 42 as answer")

    postgres.restart()

    assert postgres.url == before
    assert _sql(postgres, "select answer from kept") == [(42,)]


def test_guest_may_not_log_in(rabbit: Rabbit) -> None:
    """The user whose password everybody knows does not exist."""
    address = f"amqp://guest:guest@{LOOPBACK}:{rabbit.port}/%2F"

    with pytest.raises(pika.exceptions.AMQPConnectionError):
        pika.BlockingConnection(pika.URLParameters(address))


def test_no_password_no_database(postgres: Postgres) -> None:
    """PostgreSQL trusts nobody on this machine without the password."""
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(host=LOOPBACK, port=postgres.port, user="voice", password="guess")


def test_a_later_command_finds_the_running_server(rabbit: Rabbit, postgres: Postgres) -> None:
    """Starting what runs changes nothing: same process, same address."""
    for server in (rabbit, postgres):
        again = type(server)(server.directory, durable=False)
        process = server.daemon.process()

        again.start()

        assert again.daemon.process() == process
        assert again.url == server.url


def test_nothing_secret_can_be_read_by_others(rabbit: Rabbit, postgres: Postgres) -> None:
    """Passwords and data are for the owner alone."""
    assert rabbit.directory.stat().st_mode & 0o077 == 0
    assert postgres.home.stat().st_mode & 0o077 == 0
    assert (postgres.directory / "instance.json").stat().st_mode & 0o077 == 0


@needs_root
def test_data_go_elsewhere_when_the_database_user_cannot_reach_the_project(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A clone under a directory of root's alone still gets its database, and is told where."""
    tmp_path.chmod(0o700)
    caplog.set_level(logging.INFO)

    with Postgres(tmp_path / "project" / "postgresql", durable=False) as postgres:
        home = postgres.home

        assert not home.is_relative_to(tmp_path)
        assert str(home) in caplog.text
        assert _sql(postgres, "select 1") == [(1,)]
    assert not home.exists()


@needs_root
def test_a_new_clone_in_the_place_of_a_deleted_one_starts_afresh(tmp_path: Path) -> None:
    """Data that a deleted project left elsewhere, with a password that is gone, are no obstacle."""
    tmp_path.chmod(0o700)
    deleted = Postgres(tmp_path / "postgresql")
    with deleted:
        _sql(deleted, "create table old as select 1")
    shutil.rmtree(deleted.directory)

    with Postgres(deleted.directory, durable=False) as postgres:
        assert _sql(postgres, "select count(*) from pg_tables where tablename = 'old'") == [(0,)]
