"""The Flask app that takes the posts of json_cdr, format_cdr and xml_cdr."""

from collections.abc import Callable

import structlog
from flask import Blueprint, Flask, Response, request

from shared.spool import SpoolUnwritable

_LONGEST_RECORD = 16 << 20  # as long as the broker takes it
_LONGEST_LEG_ID = 256

log = structlog.get_logger(__name__)


def create_app(
    *,
    take: Callable[[str, bytes], None],
    authenticate: Callable[[], Response | None],
    health: Blueprint,
) -> Flask:
    """Return the app. `take` returns once a record is safe."""
    app = Flask(__name__)
    # One byte more, to know: of a body that does not say its length, no more is read than this.
    app.config["MAX_CONTENT_LENGTH"] = _LONGEST_RECORD + 1
    app.register_blueprint(health)
    routes = Blueprint("cdr", __name__)
    routes.before_request(authenticate)

    @routes.post("/cdr")
    def post() -> Response:
        """Take a record as it is, in whatever format: whoever stores it looks at it.

        Any answer but 200 makes the switch write the record to its own disk. So what is no record
        is taken too: the writer puts it where somebody can look at it.
        """
        record = request.get_data()
        if not record:
            return _say(400, "the body is empty: post one record")
        if len(record) > _LONGEST_RECORD:
            return _say(413, f"the record is longer than {_LONGEST_RECORD} bytes")
        leg_id = request.args.get("uuid", "")[:_LONGEST_LEG_ID]
        try:
            take(leg_id, record)
        except SpoolUnwritable as error:
            log.error("record not safe", leg_id=leg_id, error=str(error))  # noqa: TRY400
            return _say(503, "neither broker nor disk takes records; keep it")
        return _say(200, "safe")

    app.register_blueprint(routes)
    return app


def _say(status: int, text: str) -> Response:
    return Response(f"{text}\n", status, mimetype="text/plain")
