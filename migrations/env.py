"""Runs the migrations on the database of VOICE_DATABASE_URL, one process at a time."""

from alembic import context
from sqlalchemy import text

from shared.database.engine import open_engine
from shared.database.tables import Base
from shared.settings import DatabaseSettings, load

_LOCK = 7_140_531  # any number, as long as nobody else takes it in this database

engine = open_engine(load(DatabaseSettings).database_url.get_secret_value(), connections=1)
with engine.connect() as connection:
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
    connection.commit()
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
