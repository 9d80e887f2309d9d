"""What the resources under `/v1` have in common."""

from http import HTTPStatus
from typing import Any

from flask import request
from flask_openapi import APIBlueprint, Tag
from pydantic import BaseModel

from services.gateway.problems import Problem
from shared.messages.replies import Refused

_PROBLEMS: dict[str | int | HTTPStatus, Any] = dict.fromkeys((401, 403, 503), Problem)


def blueprint(name: str, path: str | None = None) -> APIBlueprint:
    """Return the blueprint of `/v1/<path>`, by itself its name, which needs a token."""
    return APIBlueprint(
        name,
        __name__,
        url_prefix=f"/v1/{path or name}",
        abp_tags=[Tag(name=name.partition("_")[0])],
        abp_security=[{"token": []}],
        abp_responses=_PROBLEMS,
    )


def refuse_unknown(query: type[BaseModel]) -> None:
    """Raise `Refused` where a parameter is none: a filter that is misspelt would find all."""
    known = {field.alias or name for name, field in query.model_fields.items()}
    for name in request.args:
        if name not in known:
            raise Refused(
                "invalid", f"{name[:40]}: is no parameter; there are {', '.join(sorted(known))}"
            )
        if len(request.args.getlist(name)) > 1:
            raise Refused("invalid", f"{name}: is there more than once")
