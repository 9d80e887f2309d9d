"""What the CDR service is held against when records are posted.

`python -m bench.peers.cdr HOST:PORT` reads each post, answers 200 and keeps nothing: what is left
is the server. `gunicorn "bench.peers.cdr:plain()"` is what one writes in an afternoon: a row for
each post, committed before the answer, on a server with two processes of eight threads.
"""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Flask, Response, request
from sqlalchemy import DateTime, Text, create_engine
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from shared import basic_auth, health, logs
from shared.web import WebServer

THREADS = 64  # as the CDR service has


class Base(DeclarativeBase):
    """The schema of the plain service."""


class PlainRow(Base):
    """A record, and a few columns of it."""

    __tablename__ = "plain_cdrs"

    uuid: Mapped[str] = mapped_column(Text, primary_key=True)
    call_id: Mapped[str | None] = mapped_column(Text, index=True)
    direction: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    ended_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    billsec: Mapped[int]
    hangup_cause: Mapped[str | None] = mapped_column(Text)
    raw: Mapped[dict[str, Any]] = mapped_column(JSONB)


def main() -> None:
    """Serve the handler that does nothing until told to stop."""
    (bind,) = sys.argv[1:]
    logs.configure("cdr")
    WebServer(bind, lambda: (_empty(), lambda: None), threads=THREADS).run()


def _empty() -> Flask:
    def take() -> Response:
        request.get_data()
        return Response("safe\n", 200, mimetype="text/plain")

    return _app(take)


def plain() -> Flask:
    """Return the plain service."""
    engine = create_engine(os.environ["VOICE_DATABASE_URL"])

    def take() -> Response:
        record = request.get_json()
        variables = record["variables"]
        with Session(engine) as session:
            session.add(
                PlainRow(
                    uuid=variables["uuid"],
                    call_id=variables.get("call_id"),
                    direction=variables.get("direction"),
                    started_at=_moment(variables["start_uepoch"]),
                    ended_at=_moment(variables["end_uepoch"]),
                    billsec=int(variables["billsec"]),
                    hangup_cause=variables.get("hangup_cause"),
                    raw=record,
                )
            )
            session.commit()
        return Response("stored\n", 200, mimetype="text/plain")

    return _app(take)


def _app(take: Callable[[], Response]) -> Flask:
    """Return an app that lets the switch in, and nobody else."""
    app = Flask(__name__)
    app.register_blueprint(health.blueprint({}))
    routes = Blueprint("cdr", __name__)
    routes.before_request(
        basic_auth.required(os.environ["VOICE_SWITCH_USER"], os.environ["VOICE_SWITCH_PASSWORD"])
    )
    routes.add_url_rule("/cdr", view_func=take, methods=["POST"])
    app.register_blueprint(routes)
    return app


def _moment(microseconds: str) -> datetime:
    return datetime.fromtimestamp(int(microseconds) / 1e6, UTC)


if __name__ == "__main__":
    main()
