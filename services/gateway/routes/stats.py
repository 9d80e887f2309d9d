"""`/v1/stats`: how many calls there were, and how they went."""

from datetime import UTC, datetime, timedelta

from flask_openapi import APIBlueprint

from services.gateway.answer import Answer
from services.gateway.reports.schemas import Stats, StatsQuery
from services.gateway.reports.statistics import Asked, Statistics
from services.gateway.routes import resource
from shared.messages.replies import Refused

_BY_ITSELF = timedelta(days=31)
_LONGEST = timedelta(days=366)


def blueprint(statistics: Statistics) -> APIBlueprint:
    """Return the route of statistics."""
    routes = resource.blueprint("stats")

    @routes.get("", responses={"200": Stats})
    def count(query: StatsQuery) -> Answer:
        """Count the calls that began in a time and are over, by what they have in common."""
        resource.refuse_unknown(StatsQuery)
        asked = Asked.read(query)
        until = query.to or datetime.now(UTC)
        since = query.from_ or until - _BY_ITSELF
        if not timedelta(0) < until - since <= _LONGEST:
            raise Refused("invalid", "from: must lie before `to`, and not by more than 366 days")
        groups = statistics.groups(asked, query, since, until)
        head = Stats.model_validate(
            {"from": since, "to": until, "tz": query.tz, "by": list(asked.by), "groups": []}
        )
        return head.model_dump(mode="json", by_alias=True) | {"groups": groups}

    return routes
