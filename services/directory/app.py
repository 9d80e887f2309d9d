"""The Flask app that answers mod_xml_curl."""

from collections.abc import Callable

import structlog
from flask import Blueprint, Flask, Response, request

from services.directory import documents
from services.directory.documents import UnsafeValue
from services.directory.lookup import read
from shared.dependency import DependencyAway

_LONGEST_BODY = 256 * 1024

FindUser = Callable[[str, str], str | None]

log = structlog.get_logger(__name__)


def create_app(
    *,
    domain: str,
    find_user: FindUser,
    authenticate: Callable[[], Response | None],
    health: Blueprint,
) -> Flask:
    """Return the app. `find_user` gives the password hash of a domain's extension."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = _LONGEST_BODY
    app.register_blueprint(health)
    routes = Blueprint("directory", __name__)
    routes.before_request(authenticate)

    @routes.post("/directory")
    def answer() -> Response:
        """Answer any lookup. "Not found" is an answer: only a fault of ours is an error.

        FreeSWITCH takes every status but 200 for a failure and writes the whole request into its
        log.
        """
        lookup = read(request.form)
        if lookup is None:
            return _xml(documents.not_found())
        if lookup.extension is None:
            is_ours = lookup.domain == domain.lower()
            return _xml(documents.domain_found(lookup.domain) if is_ours else documents.not_found())
        a1_hash = find_user(lookup.domain, lookup.extension)
        if a1_hash is None:
            return _xml(documents.not_found())
        try:
            return _xml(
                documents.user_found(
                    lookup.domain,
                    lookup.extension,
                    a1_hash=a1_hash,
                    variables=variables(lookup.extension),
                )
            )
        except UnsafeValue as error:
            log.error("user not told to the switch", error=str(error))  # noqa: TRY400
            return _xml(documents.not_found())

    app.register_blueprint(routes)
    app.register_error_handler(DependencyAway, _away)
    return app


def variables(extension: str) -> dict[str, str]:
    """Return the channel variables of a user's calls."""
    return {
        "toll_allow": "domestic,international,local",
        "accountcode": extension,
        "user_context": "default",
        "effective_caller_id_name": extension,
        "effective_caller_id_number": extension,
        "callgroup": "default",
        "sip-force-contact": "NDLB-connectile-dysfunction",
    }


def _xml(document: bytes) -> Response:
    return Response(document, 200, mimetype="text/xml")


def _away(error: Exception) -> Response:
    log.warning("lookup not answered", error=str(error))
    return Response("the database is away; try again\n", 503, {"Retry-After": "1"})
