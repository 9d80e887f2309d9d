"""A real switch in place of the simulated one, and the phones on both sides of it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from deploy.local.ports import LOOPBACK, free_port
from tests.switch.freeswitch import FreeSwitch
from tests.switch.phones import Phones

STARTED = "VOICE_FREESWITCH_BIN" in os.environ
NAMED = "VOICE_SWITCHES" in os.environ
REAL = STARTED or NAMED

TRUNK_CALLER_ID = "4930555000"
_TRUNK = f"sofia/gateway/carrier/{{number}}#{TRUNK_CALLER_ID}"


@dataclass(frozen=True)
class RealSide:
    """What a real switch needs of the product's settings, and who is on its phones."""

    settings: Mapping[str, str]
    registrar: str
    agents: Phones
    carrier: Phones
    # The passwords of all agents' phones.
    password: str
    # None if the switch is not the tests' own.
    switch: FreeSwitch | None = None


@contextmanager
def real_side(directory: Path) -> Iterator[RealSide]:
    """Give the switch that the environment names, with a carrier that answers."""
    if NAMED:
        with _named(directory) as side:
            yield side
        return
    binds = {f"VOICE_{name}_BIND": f"{LOOPBACK}:{free_port()}" for name in ("DIRECTORY", "CDR")}
    with (
        Phones(directory) as carrier,
        FreeSwitch(
            directory / "freeswitch",
            carrier=carrier.address,
            directory_url=f"http://{binds['VOICE_DIRECTORY_BIND']}/directory",
            cdr_url=f"http://{binds['VOICE_CDR_BIND']}/cdr",
        ) as switch,
    ):
        shared = ("VOICE_DOMAIN", "VOICE_SWITCH_USER", "VOICE_SWITCH_PASSWORD")
        settings = {name: switch.environment[name] for name in shared}
        yield RealSide(
            settings | binds | {"VOICE_SWITCHES": switch.url, "VOICE_TRUNKS": _TRUNK},
            switch.registrar,
            Phones(directory),
            carrier,
            token_hex(8),
            switch,
        )


@contextmanager
def _named(directory: Path) -> Iterator[RealSide]:
    """Give a switch that runs elsewhere; its gateway leads to VOICE_TEST_CARRIER."""
    host, _, port = os.environ["VOICE_TEST_CARRIER"].rpartition(":")
    with Phones(directory, host, int(port)) as carrier:
        registrar = os.environ["VOICE_TEST_REGISTRAR"]
        yield RealSide(
            {"VOICE_TRUNKS": _TRUNK}, registrar, Phones(directory, host), carrier, token_hex(8)
        )
