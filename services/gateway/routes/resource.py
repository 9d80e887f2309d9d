"""What the resources under `/v1` have in common."""

from http import HTTPStatus
from typing import Any

from flask_openapi import APIBlueprint, Tag

from services.gateway.problems import Problem

_PROBLEMS: dict[str | int | HTTPStatus, Any] = dict.fromkeys((401, 503), Problem)


def blueprint(name: str) -> APIBlueprint:
    """Return the blueprint of `/v1/<name>`, to which nobody comes without a token."""
    return APIBlueprint(
        name,
        __name__,
        url_prefix=f"/v1/{name}",
        abp_tags=[Tag(name=name)],
        abp_security=[{"token": []}],
        abp_responses=_PROBLEMS,
    )
