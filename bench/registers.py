"""How fast phones register on a real switch that looks each of them up."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from statistics import median
from uuid import uuid4

from bench.lookups import DOMAIN, request, servers, started, users
from bench.stacks import directory
from bench.storm import Contender, ask
from bench.table import Row, number, spread
from bench.waiting import BenchError
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import ROOT
from shared.messages.commands import CreateUser, Ordered
from tests.switch.freeswitch import FreeSwitch

REGISTERS = 3000
GOAL = 0.85
_USER, _PASSWORD = "1001", "s3cret-enough"
_AT_ONCE = 50
_SCENARIO = ROOT / "tests" / "switch" / "phones" / "register.xml"
_SECONDS = 120


def run(rounds: int) -> list[Row]:
    """Measure, telling each round as it is done; nothing without a real switch."""
    problem = _missing()
    if problem:
        print(f"registers: left out, {problem}")
        return []
    print(f"registers: {rounds} rounds of {REGISTERS:,} REGISTERs with digest by sipp")
    product = Contender("the directory", ["services.directory"])
    constant = Contender("constant answer", ["bench.peers.lookup", "constant", "{bind}"])
    with directory() as made, servers(made) as environment:
        command = CreateUser(extension=_USER, password=_PASSWORD)
        with users(environment) as handlers:
            handlers.create(Ordered(uuid4(), command))
        with started(product, environment, made / "contender.log"):
            answer = ask(product.port, request(environment, _USER))
        document = answer.partition(b"\r\n\r\n")[2].decode()
        for rank in range(rounds):
            for contender in (product, constant)[:: 1 if rank % 2 else -1]:
                with started(contender, environment, made / "contender.log", constant=document):
                    took = _measure(contender, environment, made / f"switch-{uuid4().hex[:6]}")
                contender.rates.append(REGISTERS / took)
                rate = number(contender.rates[-1])
                print(f"  round {rank + 1}: {contender.name}: {rate} REGISTERs/s")
    ratios = [ours / best for ours, best in zip(product.rates, constant.rates, strict=True)]
    return [
        Row(
            what=f"REGISTERs a second on a real switch, {REGISTERS:,} by sipp",
            measured=f"{spread(product.rates)}/s",
            beside=f"the switch with a constant answer: {spread(constant.rates)}/s",
            compared=f"{spread(ratios)} x",
            goal=f"at least {GOAL} x",
            met=median(ratios) >= GOAL,
        )
    ]


def _missing() -> str | None:
    if "VOICE_FREESWITCH_BIN" not in os.environ:
        return "VOICE_FREESWITCH_BIN names no real switch"
    return None if shutil.which("sipp") else "there is no sipp (apt install sip-tester)"


def _measure(contender: Contender, environment: dict[str, str], made: Path) -> float:
    """Return the seconds that all registrations take."""
    access = ("VOICE_SWITCH_USER", "VOICE_SWITCH_PASSWORD")
    with FreeSwitch(
        made,
        carrier=f"{LOOPBACK}:9",
        directory_url=f"http://{contender.bind}/directory",
        cdr_url=f"http://{LOOPBACK}:9/cdr",
        VOICE_DOMAIN=DOMAIN,
        **{name: environment[name] for name in access},
    ) as switch:
        _register(switch, made, 100)
        began = time.perf_counter()
        _register(switch, made, REGISTERS)
        return time.perf_counter() - began


def _register(switch: FreeSwitch, made: Path, count: int) -> None:
    port = free_port()
    said = {"domain": DOMAIN, "answers_at": port, "expires": 3600}
    keys = [str(word) for name, value in said.items() for word in ("-key", name, value)]
    done = subprocess.run(
        [
            *("sipp", "-sf", str(_SCENARIO), switch.registrar, "-i", LOOPBACK, "-p", str(port)),
            *("-s", _USER, "-au", _USER, "-ap", _PASSWORD, *keys, "-nostdin"),
            *("-m", str(count), "-l", str(_AT_ONCE), "-r", "5000", "-timeout", str(_SECONDS)),
        ],
        cwd=made,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        timeout=_SECONDS + 10,
    )
    if done.returncode != 0:
        raise BenchError(f"sipp ended with {done.returncode}: {done.stderr[-500:]!r}")
