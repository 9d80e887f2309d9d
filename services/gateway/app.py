"""The Flask app, made of what it is given: it connects to nothing itself."""

import threading
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
from flask import Blueprint, Request, Response, redirect, request
from flask.json.provider import DefaultJSONProvider
from flask.typing import ResponseReturnValue
from flask_openapi import Info, OpenAPI
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from services.gateway import csv_body
from services.gateway.auth import Tokens
from services.gateway.cipher import NumberCipher
from services.gateway.commands import CommandBus
from services.gateway.identity import enter
from services.gateway.problems import UNSERVED, Problem, invalid, problem, unserved
from services.gateway.reports.records import Records
from services.gateway.reports.statistics import Statistics
from services.gateway.rights import needed
from services.gateway.routes import (
    calls,
    cdrs,
    contract,
    events,
    stats,
    subscriptions,
    tokens,
    users,
    web,
)
from services.gateway.store import Store
from services.gateway.subscriptions.keeper import Subscriptions
from services.gateway.tokens.store import TokenStore
from services.gateway.webhooks.webhooks import Webhooks
from shared.broker.journal import Journal
from shared.web import LEAVING

_LONGEST_BODY = 64 * 1024
_LONGEST_LIST = 12 << 20  # 10,000 users with all that can be said of them, within reason

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What the app works with."""

    tokens: Tokens
    token_store: TokenStore
    bus: CommandBus
    cipher: NumberCipher
    store: Store
    records: Records
    statistics: Statistics
    subscriptions: Subscriptions
    journal: Journal
    webhooks: Webhooks
    domain: str
    health: Blueprint


class _JsonRequest(Request):
    """CRMs forget the content type; every body that comes here is JSON, but for tables of users."""

    @property
    def is_json(self) -> bool:
        return True

    def get_json(self, *args: Any, **kwargs: Any) -> Any:
        if self.mimetype == "text/csv" and self.path.rstrip("/") == users.PATH:
            return csv_body.read_users(self.get_data())
        return super().get_json(*args, **kwargs)


class _Json(DefaultJSONProvider):
    """JSON from strangers: a text that is nested too deep to be read is none."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        try:
            return super().loads(s, **kwargs)
        except RecursionError:
            raise ValueError("nested too deep") from None


def create_app(given: Dependencies) -> OpenAPI:
    """Return the gateway's app."""
    app = OpenAPI(
        "voice-api",
        info=Info(title="voice-api", version="1"),
        security_schemes={"token": {"type": "http", "scheme": "bearer"}},
        validation_error_status=HTTPStatus.BAD_REQUEST,
        validation_error_model=Problem,
        validation_error_callback=invalid,
        doc_prefix="/docs",
    )
    app.openapi_version = "3.1.0"
    app.request_class = _JsonRequest
    app.json = _Json(app)
    app.config["MAX_CONTENT_LENGTH"] = _LONGEST_BODY
    app.extensions[LEAVING] = leaving = threading.Event()
    app.register_blueprint(given.health)
    app.register_blueprint(contract.blueprint())
    app.register_api(web.blueprint(given.tokens, given.bus, given.cipher))
    for routes in (
        calls.blueprint(given.bus, given.store),
        cdrs.blueprint(given.records, given.bus),
        cdrs.tables(given.records, leaving),
        stats.blueprint(given.statistics),
        subscriptions.blueprint(given.subscriptions, given.webhooks),
        events.blueprint(given.journal, leaving),
        users.blueprint(given.bus, given.store, given.domain.lower()),
        tokens.blueprint(given.tokens, given.token_store),
    ):
        app.register_api(routes)
    app.add_url_rule("/openapi.json", view_func=lambda: app.api_doc, endpoint="openapi-document")
    app.add_url_rule("/docs", view_func=lambda: redirect("/docs/swagger"), endpoint="docs")
    app.before_request(lambda: _authenticate(given.tokens))
    app.before_request(_let_lists_in)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _fault)
    for kind in UNSERVED:
        app.register_error_handler(kind, unserved)
    return app


def _authenticate(known: Tokens) -> Response | None:
    if not request.path.startswith("/v1/"):
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    client = known.client_of(token) if scheme.lower() == "bearer" else None
    if client is None:
        return problem(HTTPStatus.UNAUTHORIZED, "Authorization: needs `Bearer` and a right token")
    scopes = needed(request.method, request.path)
    if not client.may(*scopes):
        rights = " or ".join(f"`{scope}`" for scope in scopes)
        return problem(
            HTTPStatus.FORBIDDEN,
            f"Authorization: the token {client.name!r} needs the right {rights}",
        )
    enter(client, partial(known.still_opens, token, client))
    return None


def _let_lists_in() -> None:
    if request.method == "POST" and request.path.rstrip("/") == users.PATH:
        request.max_content_length = _LONGEST_LIST


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None:
        return error.response  # made by us, or a redirection
    said = problem(error.code or 500, error.description or error.name)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        said.headers["Allow"] = ", ".join(error.valid_methods)
    return said


def _fault(error: Exception) -> ResponseReturnValue:
    log.exception("request failed", path=request.path, error=type(error).__name__)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of ours; the log says more")
