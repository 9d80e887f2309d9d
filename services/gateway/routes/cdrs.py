"""`/v1/cdrs`: call detail records."""

from http import HTTPStatus

from flask_openapi import APIBlueprint

from services.gateway import paging
from services.gateway.answer import Answer
from services.gateway.problems import problem
from services.gateway.routes import resource
from services.gateway.schemas import Cdr, CdrList, CdrQuery
from services.gateway.store import Store


def blueprint(store: Store) -> APIBlueprint:
    """Return the routes of CDRs."""
    routes = resource.blueprint("cdrs")

    @routes.get("", responses={"200": CdrList})
    def search(query: CdrQuery) -> Answer:
        """List the records of a call, or of all calls with a `crm_uuid`."""
        if query.call_id is None and query.crm_uuid is None:
            return problem(HTTPStatus.BAD_REQUEST, "query: give call_id or crm_uuid")
        rows = store.cdrs(
            call_id=query.call_id,
            crm_uuid=query.crm_uuid,
            after=paging.key(query.cursor, 3),
            limit=query.limit,
        )
        more = None
        if len(rows) == query.limit:
            more = paging.cursor(rows[-1].call_id, rows[-1].leg_id, rows[-1].switch)
        cdrs = [Cdr.model_validate(row) for row in rows]
        return CdrList(cdrs=cdrs, next_cursor=more).model_dump(mode="json")

    return routes
