"""The recorded calls, and how the equivalent ones are dialled."""

from __future__ import annotations

import os
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scenario:
    """One recorded call and its equivalent on the simulator.

    For a run against a real switch `outcome` names the dial string of the customer
    (VOICE_CONTRACT_CUSTOMER_<OUTCOME>), or, where it is the agent who does not take the call,
    that of the agent (VOICE_CONTRACT_AGENT_<OUTCOME>).
    """

    folder: str
    number: int
    outcome: str
    agent: str = "sofia/external/1001@127.0.0.1:16061"
    customer: str = "sofia/external/13800138000@127.0.0.1:16060"
    agent_variables: str = ""
    customer_variables: str = ""
    agent_fails: bool = False
    killed: bool = False
    registers_first: bool = False
    talk_seconds: float = 0.0
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

    def real_dial_strings(self) -> tuple[str, str] | None:
        """Give agent and customer of a real switch, or None where they are not told."""
        agent = os.environ.get("VOICE_CONTRACT_AGENT")
        side = "AGENT" if self.agent_fails else "CUSTOMER"
        chosen = os.environ.get(f"VOICE_CONTRACT_{side}_{self.outcome}")
        if self.agent_fails:
            return (chosen, self.customer) if chosen else None
        return (agent, chosen) if agent and chosen else None

    def recorded_as(self, agent: str, customer: str) -> dict[str, str]:
        """Give what makes the events of a real call read as the recorded ones."""
        mapping: dict[str, str] = {}
        for dialled, spoken in ((agent, self.agent), (customer, self.customer)):
            recorded = self._as_recorded(spoken)
            mapping[dialled] = recorded
            mapping[_user(dialled)] = _user(recorded)
            if "@" in dialled and not dialled.startswith("user/"):
                host = dialled.partition("@")[2].partition(":")[0]
                mapping[host] = "127.0.0.1"
        return mapping

    def _as_recorded(self, text: str) -> str:
        for said, recorded in self.spoken.items():
            text = text.replace(said, recorded)
        return text


def _user(dial_string: str) -> str:
    return dial_string.rpartition("/")[2].partition("@")[0]


def _customer(ending: str, port: int) -> str:
    return f"sofia/external/13800138{ending}@127.0.0.1:{port}"


def _three_seconds(variable: str) -> dict[str, str]:
    """Give what makes a timeout of one second read as the recorded one of three."""
    return {f"{variable}=1": f"{variable}=3", f'{variable}":"1"': f'{variable}":"3"'}


SCENARIOS = (
    Scenario(
        "s01_answered_agent_hangs_up",
        1,
        "ANSWERS",
        customer="sofia/gateway/carrier/13800138000",
        killed=True,
    ),
    Scenario(
        "s02_a_leg_busy",
        2,
        "BUSY",
        agent="sofia/external/1486@127.0.0.1:16063",
        agent_fails=True,
        spoken={"1486": "1001"},
    ),
    Scenario(
        "s03_a_leg_no_answer",
        3,
        "NO_ANSWER",
        agent="sofia/external/1408@127.0.0.1:16064",
        agent_variables=",originate_timeout=1",
        agent_fails=True,
        spoken={"1408": "1001", **_three_seconds("originate_timeout")},
    ),
    Scenario(
        "s04_a_leg_not_registered",
        4,
        "NOT_REGISTERED",
        agent="user/1404@test.local",
        agent_fails=True,
        spoken={"1404": "1009"},
    ),
    Scenario(
        "s05_b_leg_busy",
        5,
        "BUSY",
        customer=_customer("486", 16063),
        spoken={"138486": "138000"},
    ),
    Scenario(
        "s06_b_leg_rejected",
        6,
        "REJECTS",
        customer=_customer("603", 16065),
        spoken={"138603": "138000"},
    ),
    Scenario(
        "s07_b_leg_no_answer",
        7,
        "NO_ANSWER",
        customer=_customer("408", 16064),
        customer_variables=",leg_timeout=1",
        spoken={"138408": "138000", **_three_seconds("leg_timeout")},
    ),
    Scenario(
        "s08_b_leg_not_found",
        8,
        "NOT_FOUND",
        customer=_customer("404", 16066),
        spoken={"138404": "138000"},
    ),
    Scenario(
        "s09_customer_hangs_up",
        9,
        "HANGS_UP",
        customer=_customer("000", 16067),
        talk_seconds=0.1,
    ),
    Scenario(
        "s14_registered_user_click_to_call",
        14,
        "ANSWERS",
        agent="user/1001@test.local",
        customer="sofia/gateway/carrier/13800138000",
        killed=True,
        registers_first=True,
    ),
    Scenario(
        "s18_early_media_then_answer",
        18,
        "EARLY_MEDIA",
        customer=_customer("183", 16068),
        killed=True,
        spoken={"138183": "138000"},
    ),
)
