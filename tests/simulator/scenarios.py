"""The recorded calls, and how the equivalent ones are dialled."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scenario:
    """One recorded call, and its equivalent on a switch whose phones go by their numbers."""

    folder: str
    number: int
    agent: str = "sofia/external/1001@127.0.0.1:16061"
    customer: str = "sofia/external/13800138000@127.0.0.1:16060"
    agent_variables: str = ""
    customer_variables: str = ""
    killed: bool = False
    registers_first: bool = False
    # What the simulator's dial strings say differently from the recorded ones.
    spoken: dict[str, str] = field(default_factory=dict)

    @property
    def call_id(self) -> str:
        """The first leg's uuid, as recorded."""
        return f"c0ffee00-0000-4000-8000-{self.number:012d}"

    @property
    def second_id(self) -> str:
        """The second leg's uuid, as recorded."""
        return f"b1eb1eb1-0000-4000-8000-{self.number:012d}"

    def originate(self, agent: str, customer: str) -> str:
        """Give the command that dials the call."""
        common = f"call_id={self.call_id},crm_uuid=c0ffee{self.number:026d},product_code=C68"
        common += ",ignore_early_media=true"
        first = f"{{{common},origination_uuid={self.call_id}{self.agent_variables}}}{agent}"
        second = f"{{{common},origination_uuid={self.second_id}{self.customer_variables}}}"
        return f"originate {first} &bridge({second}{customer})"

    def at(self, agents: str, customers: str) -> tuple[str, str]:
        """Give agent and customer, dialled directly, where the phones of a real switch are."""
        return _moved(self.agent, agents), _moved(self.customer, customers)

    def recorded_as(self, agents: str, customers: str) -> dict[str, str]:
        """Give what makes the events of a call to these addresses read as the recorded ones."""
        where = ((self.agent, agents, _REGISTERED), (self.customer, customers, _CARRIER))
        return {
            address: dialled.rpartition("@")[2] if "@127." in dialled else usual
            for dialled, address, usual in where
        } | self.spoken


# Where the recorded phones were that are not dialled by their address.
_REGISTERED, _CARRIER = "127.0.0.1:16061", "127.0.0.1:16060"


def _moved(dialled: str, address: str) -> str:
    user, _, host = dialled.rpartition("@")
    return f"{user}@{address}" if host.startswith("127.") else dialled


def _customer(ending: str, port: int) -> str:
    return f"sofia/external/13800138{ending}@127.0.0.1:{port}"


def _three_seconds(variable: str) -> dict[str, str]:
    """Give what makes a timeout of one second read as the recorded one of three."""
    return {f"{variable}=1": f"{variable}=3", f'{variable}":"1"': f'{variable}":"3"'}


SCENARIOS = (
    Scenario(
        "s01_answered_agent_hangs_up",
        1,
        customer="sofia/gateway/carrier/13800138000",
        killed=True,
    ),
    Scenario(
        "s02_a_leg_busy",
        2,
        agent="sofia/external/1486@127.0.0.1:16063",
        spoken={"1486": "1001"},
    ),
    Scenario(
        "s03_a_leg_no_answer",
        3,
        agent="sofia/external/1408@127.0.0.1:16064",
        agent_variables=",originate_timeout=1",
        spoken={"1408": "1001", **_three_seconds("originate_timeout")},
    ),
    Scenario(
        "s04_a_leg_not_registered",
        4,
        agent="user/1404@test.local",
        spoken={"1404": "1009"},
    ),
    Scenario(
        "s05_b_leg_busy",
        5,
        customer=_customer("486", 16063),
        spoken={"138486": "138000"},
    ),
    Scenario(
        "s06_b_leg_rejected",
        6,
        customer=_customer("603", 16065),
        spoken={"138603": "138000"},
    ),
    Scenario(
        "s07_b_leg_no_answer",
        7,
        customer=_customer("408", 16064),
        customer_variables=",leg_timeout=1",
        spoken={"138408": "138000", **_three_seconds("leg_timeout")},
    ),
    Scenario(
        "s08_b_leg_not_found",
        8,
        customer=_customer("404", 16066),
        spoken={"138404": "138000"},
    ),
    Scenario(
        "s09_customer_hangs_up",
        9,
        customer=_customer("901", 16067),
        spoken={"138901": "138000"},
    ),
    Scenario(
        "s14_registered_user_click_to_call",
        14,
        agent="user/1001@test.local",
        customer="sofia/gateway/carrier/13800138000",
        killed=True,
        registers_first=True,
    ),
    Scenario(
        "s18_early_media_then_answer",
        18,
        customer=_customer("183", 16068),
        killed=True,
        spoken={"138183": "138000"},
    ),
)
