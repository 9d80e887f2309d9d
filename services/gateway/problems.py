"""Errors as people and programs read them: RFC 9457 under /v1, `data` and `msg` under /web."""

from http import HTTPStatus

from flask import Response, request
from pydantic import BaseModel, Field, ValidationError

from services.gateway.answer import to_crm
from services.gateway.commands import NoAnswer
from shared.broker.message import BrokerAway, BrokerRefused, Unsendable
from shared.dependency import DependencyAway
from shared.messages.commands import explain
from shared.messages.replies import Refused

_REFUSALS = {
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "switch_refused": HTTPStatus.SERVICE_UNAVAILABLE,
    "no_answer": HTTPStatus.GATEWAY_TIMEOUT,
    "expired": HTTPStatus.GATEWAY_TIMEOUT,
    "exists": HTTPStatus.CONFLICT,
    "forbidden": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "failed": HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(default="about:blank", description="A URI for this kind of problem.")
    title: str
    status: int
    detail: str = Field(description="What was wrong, with which value, and what to do.")


def problem(status: int, detail: str) -> Response:
    """Return the response that tells of an error, in the form of the path that was asked."""
    headers = {"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if request.path.startswith("/web/"):
        return to_crm(f"-ERR {_one_line(detail)}", HTTPStatus(status).phrase, status, headers)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    said = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return Response(said.model_dump_json(), status, headers, mimetype="application/problem+json")


def invalid(error: ValidationError) -> Response:
    """Return the response to a body that does not validate."""
    return problem(HTTPStatus.BAD_REQUEST, explain(error))


def unserved(error: Exception) -> Response:
    """Return the response to a request that somebody behind us did not serve."""
    if isinstance(error, Refused):
        status = _REFUSALS.get(error.code, HTTPStatus.BAD_REQUEST)
        return problem(status, error.message.removeprefix("-ERR "))
    if isinstance(error, Unsendable):
        return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"too much for one command: {error}")
    if isinstance(error, NoAnswer):
        return problem(HTTPStatus.GATEWAY_TIMEOUT, str(error))
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}; try again")


UNSERVED = (Refused, NoAnswer, BrokerAway, BrokerRefused, DependencyAway, Unsendable)


def _one_line(text: str) -> str:
    return " ".join(text.split())
