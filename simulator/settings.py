"""What the environment says about the simulated switch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsInvalid(Exception):
    """The simulator must not start: a setting is missing or makes no sense."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be chosen about one simulated switch."""

    password: str
    host: str = "127.0.0.1"
    port: int = 8021
    switchname: str = "fs1"
    domain: str = "test.local"
    directory_url: str | None = None
    cdr_url: str | None = None
    cdr_error_dir: Path | None = None
    http_user: str | None = None
    http_password: str = ""
    ring_seconds: float = 0.2
    answer_seconds: float = 0.3
    talk_seconds: float = 0.0
    heartbeat_seconds: float = 20.0
    gateways: tuple[str, ...] = ("carrier",)
    register: tuple[str, ...] = ()
    truth_file: Path | None = None


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Give the settings, or refuse: without a password of its own the simulator does not start."""
    password = environment.get("SIMULATOR_PASSWORD", "")
    if not password:
        raise SettingsInvalid("SIMULATOR_PASSWORD is not set")
    host, _, port = environment.get("SIMULATOR_BIND", "127.0.0.1:8021").rpartition(":")
    if not port.isdigit():
        raise SettingsInvalid("SIMULATOR_BIND is not host:port")
    error_dir = environment.get("SIMULATOR_CDR_ERROR_DIR")
    truth_file = environment.get("SIMULATOR_TRUTH_FILE")
    domain = environment.get("VOICE_DOMAIN") or environment.get("SIMULATOR_DOMAIN")
    return Settings(
        password=password,
        host=host.strip("[]") or "127.0.0.1",
        port=int(port),
        switchname=environment.get("SIMULATOR_SWITCHNAME") or "fs1",
        domain=domain or "test.local",
        directory_url=environment.get("SIMULATOR_DIRECTORY_URL") or None,
        cdr_url=environment.get("SIMULATOR_CDR_URL") or None,
        cdr_error_dir=Path(error_dir) if error_dir else None,
        http_user=environment.get("VOICE_SWITCH_USER") or None,
        http_password=environment.get("VOICE_SWITCH_PASSWORD", ""),
        ring_seconds=_number(environment, "SIMULATOR_RING_MS", 200) / 1000,
        answer_seconds=_number(environment, "SIMULATOR_ANSWER_MS", 300) / 1000,
        talk_seconds=_number(environment, "SIMULATOR_TALK_MS", 0) / 1000,
        heartbeat_seconds=_number(environment, "SIMULATOR_HEARTBEAT_SECONDS", 20),
        gateways=_words(environment, "SIMULATOR_GATEWAYS") or ("carrier",),
        register=_words(environment, "SIMULATOR_REGISTER"),
        truth_file=Path(truth_file) if truth_file else None,
    )


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        raise SettingsInvalid(f"{name} is not a number") from None
    if value < 0:
        raise SettingsInvalid(f"{name} is negative")
    return value


def _words(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in environment.get(name, "").split(",") if word.strip())
