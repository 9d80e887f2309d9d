"""The settings of the local stack: made once, the same in every run, the caller's own first."""

import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path

from honcho import environ as honcho_environ

from deploy.local.daemon import LocalError
from deploy.local.files import write_private
from deploy.local.ports import LOOPBACK, free_port, is_free

Settings = dict[str, str]

# Who listens where; the first three are at home on the ports that the design gives them.
BINDS = {
    "gateway": "VOICE_GATEWAY_BIND",
    "directory": "VOICE_DIRECTORY_BIND",
    "cdr": "VOICE_CDR_BIND",
    "dialer": "VOICE_DIALER_BIND",
    "events": "VOICE_EVENTS_BIND",
    "simulator": "SIMULATOR_BIND",
}
_USUAL_PORTS = {"gateway": 8080, "directory": 8081, "cdr": 8082}


def own_settings(environment: Mapping[str, str]) -> Settings:
    """Return what the caller set for the product; it wins over everything made here."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(("VOICE_", "SIMULATOR_")) and not name.startswith("VOICE_DEMO_")
    }


def choose(directory: Path, before: Settings, *, running: frozenset[str]) -> Settings:
    """Return the settings of before, completed by chosen ones where there are none.

    A port that somebody else took meanwhile is chosen again, unless the process that owns it runs.
    """
    fixed = {
        "VOICE_DOMAIN": "test.local",
        "VOICE_SWITCH_USER": "switch",
        "VOICE_STATE_DIR": str(directory / "state"),
        "SIMULATOR_SWITCHNAME": "fs1",
        "SIMULATOR_CDR_ERROR_DIR": str(directory / "state" / "simulator-cdr"),
    }
    names = ("TOKEN", "AES_KEY", "AES_IV", "SWITCH_PASSWORD")
    made = {f"VOICE_{name}": secrets.token_hex(16) for name in names}
    made |= {
        "SIMULATOR_PASSWORD": secrets.token_hex(16),
        "VOICE_PASSWORD_KEYS": f"first={secrets.token_hex(32)}",
        "VOICE_WEBHOOK_KEYS": f"first={secrets.token_hex(32)}",
    }
    chosen = fixed | made | before
    for process, name in BINDS.items():
        if name not in chosen or (process not in running and not is_free(port_of(chosen[name]))):
            chosen[name] = f"{LOOPBACK}:{_usual_or_free(_USUAL_PORTS.get(process))}"
    return chosen


def derive(chosen: Settings, own: Settings) -> Settings:
    """Add what follows from other settings; the caller's own win, and are what others follow."""
    base = chosen | own
    follows = {
        "VOICE_SWITCHES": simulated_switch(base),
        "SIMULATOR_DIRECTORY_URL": f"{address(base, 'directory')}/directory",
        "SIMULATOR_CDR_URL": f"{address(base, 'cdr')}/cdr",
    }
    return chosen | follows | own


def simulated_switch(settings: Settings) -> str:
    """Return what VOICE_SWITCHES says when the simulator is the switch."""
    name, password = settings["SIMULATOR_SWITCHNAME"], settings["SIMULATOR_PASSWORD"]
    return f"{name}=esl://:{password}@{settings['SIMULATOR_BIND']}"


def processes_of(settings: Settings) -> list[str]:
    """Return the processes that these settings take; a real switch needs no simulator."""
    simulated = settings["VOICE_SWITCHES"] == simulated_switch(settings)
    return [name for name in BINDS if simulated or name != "simulator"]


def address(settings: Settings, process: str) -> str:
    """Return the base URL at which this machine reaches the process."""
    scheme = "esl" if process == "simulator" else "http"
    host, _, port = settings[BINDS[process]].rpartition(":")
    return f"{scheme}://{LOOPBACK if host in {'', '0.0.0.0', '[::]'} else host}:{port}"  # noqa: S104


def port_of(bind: str) -> int:
    """Return the port of host:port."""
    port = bind.rpartition(":")[2]
    if not port.isdigit():
        raise LocalError(f"{bind!r} is not host:port")
    return int(port)


def load(path: Path) -> Settings:
    """Read an env file as honcho reads it; nothing where there is none."""
    return dict(honcho_environ.parse(path.read_text())) if path.exists() else {}


def save(path: Path, settings: Settings) -> None:
    """Write an env file that honcho and a shell read alike, for its owner's eyes only."""
    for name, value in settings.items():
        # A file has one line per setting, in which honcho reads \n and \t as control characters.
        if not value.isprintable() or r"\n" in value or r"\t" in value:
            raise LocalError(
                f"{name} has a control character, \\n or \\t in it: no env file can hold it"
            )
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(settings.items()))
    write_private(path, text)


def _usual_or_free(usual: int | None) -> int:
    return usual if usual is not None and is_free(usual) else free_port()
