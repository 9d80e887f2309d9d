"""Questions to the database that may be too much for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from shared.database.engine import reaching
from shared.messages.replies import Refused

_CANCELLED = "57014"  # PostgreSQL, appendix A: what a statement's timeout ends with


@contextmanager
def answering() -> Iterator[None]:
    """Raise `Refused` where an answer takes too long, `DependencyAway` where none can be given."""
    with reaching():
        try:
            yield
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) != _CANCELLED:
                raise
            raise Refused(
                "too_much", "query: finding that takes too long; ask for a shorter time"
            ) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection for questions about much."""
    with answering(), engine.connect() as connection:
        # To compile a question takes longer than what is asked here.
        connection.exec_driver_sql("SET LOCAL jit = off")
        yield connection
