"""An engine from the URL that people have."""

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError


def normalise(url: str) -> str:
    """Return the URL with the driver that is installed.

    `postgres://` is what hosting companies hand out, and SQLAlchemy 2.1 takes a bare
    `postgresql://` for psycopg 3.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme in {"postgres", "postgresql"}:
        return f"postgresql+psycopg2://{rest}"
    return url


def open_engine(url: str, *, connections: int = 8) -> Engine:
    """Return an engine that notices a restarted server. It connects at first use, after a fork."""
    return create_engine(
        make_url(normalise(url)),
        pool_pre_ping=True,
        pool_size=connections,
        max_overflow=connections,
        pool_timeout=4,
        connect_args={"connect_timeout": 3, "keepalives_idle": 10},
    )


def is_reachable(engine: Engine) -> bool:
    """Tell whether the database answers."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True
