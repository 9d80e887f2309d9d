"""An engine on a real server that hangs up."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from shared.database.engine import open_engine


@pytest.fixture
def other(postgres) -> Iterator[Engine]:
    """Give somebody else's engine on the same database."""
    engine = open_engine(postgres.url, connections=1)
    yield engine
    engine.dispose()


def backend(engine: Engine) -> int:
    """Return the server process behind the engine's connection."""
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def hang_up(other: Engine, process: int) -> None:
    """Return when the server process is gone."""
    with other.connect() as connection:
        query = text("SELECT pg_terminate_backend(:process, 5000)")
        assert connection.execute(query, {"process": process}).scalar_one()


@pytest.mark.parametrize("autocommit", [False, True])
def test_a_connection_that_the_server_closed_is_not_used_again(postgres, other, autocommit) -> None:
    """The first question after a restart is answered, not refused."""
    engine = open_engine(postgres.url, connections=1, autocommit=autocommit)
    first = backend(engine)
    assert backend(engine) == first

    hang_up(other, first)

    assert backend(engine) not in {first, None}
    engine.dispose()


def test_with_autocommit_each_statement_is_a_transaction(postgres) -> None:
    """What a statement did stands when it is answered."""
    engine = open_engine(postgres.url, connections=1, autocommit=True)
    with engine.begin() as connection:
        query = text("SELECT pg_current_xact_id()::text")
        first, second = (connection.execute(query).scalar_one() for _ in "12")
    engine.dispose()

    assert first != second
