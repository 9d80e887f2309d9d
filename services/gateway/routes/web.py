"""`POST /web/click-on-call/`: the CRM contract, byte for byte."""

from http import HTTPStatus
from typing import Any

from flask import request
from flask_openapi import APIBlueprint, Tag

from services.gateway.answer import Answer, to_crm
from services.gateway.auth import Tokens
from services.gateway.cipher import NotANumber, NumberCipher
from services.gateway.commands import CommandBus
from services.gateway.identity import command_id_of, enter
from services.gateway.problems import problem
from services.gateway.rights import Scope
from services.gateway.schemas import ClickOnCall, ClickOnCallAnswer
from shared.messages.commands import OriginateCall


def blueprint(tokens: Tokens, bus: CommandBus, cipher: NumberCipher) -> APIBlueprint:
    """Return the route of the CRM contract."""
    routes = APIBlueprint("web", __name__, abp_tags=[Tag(name="CRM contract")])

    @routes.before_request
    def authenticate() -> Answer | None:
        # Before anything else in the body is looked at, so that nobody learns without a token.
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            return problem(HTTPStatus.BAD_REQUEST, "body: is not a JSON object")
        client = tokens.client_of(body.get("token"))
        if client is None:
            return problem(HTTPStatus.UNAUTHORIZED, "token: is missing or wrong")
        if not client.may(Scope.CALLS):
            return problem(HTTPStatus.FORBIDDEN, "token: has not the right `calls`")
        enter(client)
        return None

    answers: dict[str | int | HTTPStatus, Any] = dict.fromkeys(
        (200, 400, 401, 403, 503, 504), ClickOnCallAnswer
    )

    # Without its last slash too: a redirection would be an answer without `data` and `msg`.
    @routes.post("/web/click-on-call/", responses=answers, strict_slashes=False)
    def click_on_call(body: ClickOnCall) -> Answer:
        """Ring the agent, then the customer; answer what the switch answered, within 5 s."""
        data = body.data
        try:
            number = cipher.decrypt(data.customer_number)
        except NotANumber as error:
            return problem(HTTPStatus.BAD_REQUEST, f"data.customer_number: {error}")
        command = OriginateCall(
            extension=data.extensin_number,
            customer_number=number,
            crm_uuid=data.crm_uuid,
            product_code=data.product_code,
        )
        result = bus.ask(command, command_id_of(request))
        return to_crm(result["reply"], "Call OK")

    return routes
