"""`/asyncapi.json` and `/schemas/…`: what the broker carries, for programs that read contracts."""

from functools import cache
from http import HTTPStatus

import orjson
from flask import Blueprint, Response, abort

from services.gateway.asyncapi import document
from shared.messages.event_data import VERSION
from shared.messages.event_schema import schema_of
from shared.messages.events import EVENTS


def blueprint() -> Blueprint:
    """Return the routes, which need no token: they say nothing of anybody."""
    routes = Blueprint("contract", __name__)

    @routes.get("/asyncapi.json")
    def asyncapi() -> Response:
        return Response(_document(), mimetype="application/json")

    @routes.get(f"/schemas/<kind>/v{VERSION}")
    def schema(kind: str) -> Response:
        if kind not in EVENTS:
            abort(HTTPStatus.NOT_FOUND, f"no event has the type {kind!r}; /asyncapi.json has all")
        return Response(orjson.dumps(schema_of(kind)), mimetype="application/schema+json")

    return routes


@cache
def _document() -> bytes:
    return orjson.dumps(document())
