"""How a click-to-call is dialled. Pure: a command in, the arguments of `originate` out."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from shared.messages.commands import OriginateCall
from shared.messages.replies import Refused
from shared.switch import dial_string
from shared.telephony.identity import customer_leg_id
from shared.telephony.words import Direction, Role

_SLACK_SECONDS = 5
# In a trunk's template: what follows is the caller id of calls that bring none of their own.
_CALLER_ID = "#"


@dataclass(frozen=True, slots=True)
class Dialling:
    """What the settings say about dialling."""

    agent_dial: str
    domain: str
    trunks: Mapping[str, str]
    agent_ring_seconds: int
    customer_ring_seconds: int


def click_to_call(
    call_id: UUID, command: OriginateCall, dialling: Dialling, *, user_caller_id: str | None = None
) -> str:
    """Return the arguments of `originate` that ring the agent first, then the customer.

    Both legs carry the call's ids. The agent's phone shows the customer's number, the customer's
    the caller id of the command, else of the agent, else of the trunk; without any the switch
    decides. What the agent hears while the customer's phone rings is in the switch's configuration
    (`ringback`): no tone can be written on this command line. Raise `Refused` where the command
    names a trunk that is not there.
    """
    trunk, _, trunk_caller_id = _trunk(command.trunk, dialling.trunks).partition(_CALLER_ID)
    tags = {
        "call_id": call_id,
        "crm_uuid": command.crm_uuid,
        "product_code": command.product_code,
        "call_direction": Direction.CLICK_TO_CALL,
        "agent_extension": command.extension,
        "customer_number": command.customer_number,
    }
    agent = dial_string.leg(
        dial_string.fill(dialling.agent_dial, extension=command.extension, domain=dialling.domain),
        {
            **tags,
            "leg_role": Role.AGENT,
            "origination_uuid": call_id,
            "origination_caller_id_number": command.customer_number,
            # Only a phone that was picked up is an agent; early media is none.
            "ignore_early_media": "true",
            "originate_timeout": dialling.agent_ring_seconds,
        },
    )
    customer = dial_string.leg(
        dial_string.fill(trunk, number=command.customer_number),
        {
            **tags,
            "leg_role": Role.CUSTOMER,
            "origination_uuid": customer_leg_id(call_id),
            **_shown(command.caller_id or user_caller_id or trunk_caller_id),
            # A bridge takes this over from the agent's leg otherwise, and the agent would not
            # hear what the carrier says before the customer answers.
            "ignore_early_media": "false",
            "leg_timeout": dialling.customer_ring_seconds,
            # A bridge gives up after 60 s of its own accord, unless it is told another limit.
            "originate_timeout": dialling.customer_ring_seconds + _SLACK_SECONDS,
        },
    )
    return dial_string.bridge(agent, customer)


def check_trunk(command: OriginateCall, dialling: Dialling) -> None:
    """Raise `Refused` where the command names a trunk that is not there."""
    _trunk(command.trunk, dialling.trunks)


def trunk_name(template: str) -> str:
    """Return the name by which a command asks for a trunk: the gateway it leads to.

    `sofia/gateway/carrier/{number}` is `carrier`, with or without a prefix to the number.
    """
    path = template.partition("{number}")[0].split("/")[:-1]
    return path[-1] if path else template


def _shown(caller_id: str | None) -> dict[str, str]:
    """Return what makes a phone show the caller id and no name, such as "Outbound Call"."""
    if not caller_id:
        return {}
    return {"origination_caller_id_number": caller_id, "origination_caller_id_name": caller_id}


def _trunk(name: str | None, trunks: Mapping[str, str]) -> str:
    if name is None:
        return next(iter(trunks.values()))
    if name not in trunks:
        raise Refused("unknown_trunk", f"no trunk {name!r}; there are {', '.join(trunks)}")
    return trunks[name]
