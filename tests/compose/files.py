"""docker-compose.yml as data, and the settings that it has to pass on."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # It is here by way of openapi-spec-validator.

from deploy.local.processes import ROOT
from shared.settings import Settings

SERVICES = ("gateway", "dialer", "directory", "events", "cdr")
TEXT = (ROOT / "docker-compose.yml").read_text()


def compose() -> dict[str, Any]:
    """Return the file with its anchors resolved."""
    loaded: dict[str, Any] = yaml.safe_load(TEXT)
    return loaded


def settings_class(service: str) -> type[Settings]:
    """Return the class whose name is the service's."""
    module = import_module(f"services.{service}.settings")
    found: type[Settings] = getattr(module, f"{service.title()}Settings")
    return found


def variables(text: str) -> set[str]:
    """Return the names that compose fills in."""
    return set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text))


def example() -> set[str]:
    """Return the names in .env.example."""
    return set(re.findall(r"^([A-Z_]+)=", Path(ROOT / ".env.example").read_text(), re.M))
