"""What a route returns. Flask's own type does not survive flask-openapi's reading of it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeAlias

from flask import Response, json

Answer: TypeAlias = Response | dict[str, Any] | tuple[Any, int] | tuple[Any, int, dict[str, str]]


def to_crm(
    data: str, msg: str, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer of the CRM contract; its bytes are the contract's, spaces included."""
    body = json.dumps({"data": data, "msg": msg})
    return Response(body, status, headers, mimetype="application/json")
