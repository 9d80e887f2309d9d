"""The directory put together as its process does, and users for it."""

from concurrent.futures import Future
from functools import partial

from services.directory import store
from services.directory.answers import Directory
from services.directory.app import create_app
from services.directory.cache import UserCache
from services.directory.documents import Documents
from shared import basic_auth, health
from shared.database.engine import open_engine, reaching
from shared.vault import Vault

RIGHT = ("switch", "password")
DOMAIN = "test.local"
ALIAS = "192.0.2.10"
PASSWORD = "s3cret-enough"
VAULT = Vault({"test": b"k" * 32})


def no_database():
    """Return an engine on a port where nobody listens."""
    return open_engine("postgresql://voice:none@127.0.0.1:1/voice")


def asking(ask, engine):
    """Return a question to the database."""
    return reaching()(partial(ask, engine))


def directory(engine, cache=None):
    """Return what answers lookups from a database."""
    return Directory(
        domain=DOMAIN,
        aliases=frozenset({ALIAS}),
        users=UserCache(asking(store.find, engine)) if cache is None else cache,
        in_group=asking(store.in_group, engine),
        has_users=asking(store.has_users, engine),
        vault=VAULT,
        documents=Documents(),
    )


def application(engine, cache=None):
    """Return the app on a database."""
    return create_app(
        directory=directory(engine, cache),
        authenticate=basic_auth.required(*RIGHT),
        health=health.blueprint({}),
    )


def told(kept):
    """Return what stands in for the broker: it takes every message, and keeps it in `kept`."""

    def publish(message):
        kept.append(message)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    return publish


nobody = partial(told, [])
