"""The Flask app that answers mod_xml_curl."""

from collections.abc import Callable
from urllib.parse import parse_qsl

import structlog
from flask import Blueprint, Flask, Response, request

from services.directory.answers import Directory
from shared.dependency import DependencyAway

_LONGEST_BODY = 256 * 1024
_MOST_FIELDS = 2000

log = structlog.get_logger(__name__)


def create_app(
    *, directory: Directory, authenticate: Callable[[], Response | None], health: Blueprint
) -> Flask:
    """Return the app."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = _LONGEST_BODY
    app.register_blueprint(health)
    routes = Blueprint("directory", __name__)
    routes.before_request(authenticate)

    @routes.post("/directory")
    def answer() -> Response:
        """Answer any lookup.

        FreeSWITCH takes every status but 200 for a failure, writes the whole request into its log
        and goes on to its second URL, if it has one.
        """
        return Response(directory.answer(_form(request.get_data())), 200, mimetype="text/xml")

    app.register_blueprint(routes)
    app.register_error_handler(DependencyAway, _away)
    return app


def _form(body: bytes) -> dict[str, str]:
    """Return the fields, of those that repeat the first: in front stand those of the switch itself.

    Quicker than werkzeug's own, and nothing else is done for most lookups.
    """
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return dict(reversed(pairs))


def _away(error: Exception) -> Response:
    log.warning("lookup not answered", error=str(error))
    return Response("not to be answered now; try again\n", 503, {"Retry-After": "1"})
