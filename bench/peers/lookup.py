"""`python -m bench.peers.lookup constant|uncached HOST:PORT`: what the directory is held against.

`constant` answers every lookup with the same document and looks nothing up: what is left is the
server. `uncached` is the directory, asking the database each time.
"""

import itertools
import os
import sys
from collections.abc import Callable
from functools import partial

from flask import Flask, Response

from services.directory import store
from services.directory.answers import Directory
from services.directory.app import create_app
from services.directory.cache import UserCache
from services.directory.documents import Documents
from services.directory.settings import DirectorySettings
from shared import basic_auth, health, logs
from shared.database.engine import open_engine, reaching
from shared.vault import Vault
from shared.web import WebServer

# Each reading comes after more than the minute in which a user is taken from memory.
_HOUR = 3600


def main() -> None:
    """Serve until told to stop."""
    kind, bind = sys.argv[1:]
    logs.configure("directory")
    builds: dict[str, Callable[[], Flask]] = {
        "constant": partial(_constant, os.environb[b"BENCH_DOCUMENT"]),
        "uncached": _uncached,
    }
    WebServer(bind, lambda: (builds[kind](), lambda: None)).run()


def _constant(document: bytes) -> Flask:
    app = Flask(__name__)
    app.register_blueprint(health.blueprint({}))
    app.add_url_rule(
        "/directory",
        view_func=lambda: Response(document, 200, mimetype="text/xml"),
        methods=["POST"],
    )
    return app


def _uncached() -> Flask:
    settings = DirectorySettings()
    engine = open_engine(settings.database_url.get_secret_value(), connections=16)
    clock = itertools.count(step=_HOUR)
    return create_app(
        directory=Directory(
            domain=settings.domain,
            aliases=(),
            users=UserCache(reaching()(partial(store.find, engine)), clock=lambda: next(clock)),
            in_group=lambda *_: (),
            has_users=lambda _: False,
            vault=Vault(settings.keys),
            documents=Documents(),
        ),
        authenticate=basic_auth.required(
            settings.switch_user, settings.switch_password.get_secret_value()
        ),
        health=health.blueprint({}),
    )


if __name__ == "__main__":
    main()
