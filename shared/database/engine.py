"""An engine from the URL that people have."""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import (
    TimeoutError as PoolTimeout,
)

from shared.dependency import DependencyAway

# Two states of a database that is there but of no use yet: the tables are still to be made, and a
# replica that is not the primary (PostgreSQL, appendix A: error codes).
_NOT_READY = {"42P01", "25006"}
# What was to be stored is larger than an index takes: it will be at the next try as well.
_TOO_LARGE = "54000"


def normalise(url: str) -> str:
    """Return the URL with the driver that is installed.

    `postgres://` is what hosting companies hand out, and SQLAlchemy 2.1 takes a bare
    `postgresql://` for psycopg 3.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme in {"postgres", "postgresql"}:
        return f"postgresql+psycopg2://{rest}"
    return url


def open_engine(url: str, *, connections: int = 8, autocommit: bool = False) -> Engine:
    """Return an engine that notices a restarted server. It connects at first use, after a fork.

    With `autocommit` every statement is a transaction: one question to the server instead of
    three, for those who never need two statements in one.
    """
    engine = create_engine(
        make_url(normalise(url)),
        **({"isolation_level": "AUTOCOMMIT"} if autocommit else {}),
        pool_size=connections,
        max_overflow=connections,
        pool_timeout=4,
        # Errors are logged and answered: what was to be stored does not belong there.
        hide_parameters=True,
        connect_args={
            "connect_timeout": 3,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
            "options": "-c statement_timeout=15000",
        },
    )
    event.listen(engine, "checkout", _refuse_broken)
    return engine


def _refuse_broken(connection: Any, _record: Any, _proxy: Any) -> None:
    """Have the pool connect anew where the server has hung up.

    An idle connection has nothing to say: what can be read from it is a farewell or the end. To
    look costs nothing, and SQLAlchemy's `pool_pre_ping` a question and its answer at each use.
    """
    look = select.poll()
    if not connection.closed:
        look.register(connection.fileno(), select.POLLIN)
    if connection.closed or look.poll(0):
        raise InvalidatePoolError("the server closed the connection")


def is_reachable(engine: Engine) -> bool:
    """Tell whether the database answers."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


@contextmanager
def reaching() -> Iterator[None]:
    """Raise `DependencyAway` where the database cannot do its work now, whatever the reason."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        if getattr(getattr(error, "orig", None), "pgcode", None) == _TOO_LARGE:
            raise
        raise DependencyAway("the database is away") from error
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) in _NOT_READY:
            raise DependencyAway("the database is not ready: run `make migrate`") from error
        raise
