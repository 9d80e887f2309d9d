"""Find the programs of the servers on this machine."""

import re
import shutil
import subprocess
from pathlib import Path

from deploy.local.daemon import LocalError

_BINARIES = Path("/usr/lib/postgresql")

# Debian's rabbitmq-server on PATH is a wrapper that switches to the user rabbitmq and to the
# system's own instance; the script behind it runs as anybody.
_PLACES = ("lib/rabbitmq/bin/rabbitmq-server", "lib/rabbitmq/lib/*/sbin/rabbitmq-server")
_ROOTS = ("/usr", "/usr/local", "/opt", "/opt/homebrew")


def find_rabbitmq() -> Path:
    """Return the server's start script."""
    for root in _ROOTS:
        for place in _PLACES:
            if found := sorted(Path(root).glob(place)):
                return found[-1]
    if on_path := shutil.which("rabbitmq-server"):
        return Path(on_path)
    raise LocalError(
        "RabbitMQ is not installed: no rabbitmq-server under /usr/lib/rabbitmq or on PATH. "
        "Install it with: apt-get install rabbitmq-server"
    )


def find_postgresql(version: str | None = None) -> Path:
    """Return the directory of the server's programs: of that major version, else the newest."""
    found = {path.parts[-3]: path.parent for path in _BINARIES.glob("*/bin/initdb")}
    if (on_path := shutil.which("initdb")) and shutil.which("postgres"):
        there = Path(on_path).resolve().parent
        told = subprocess.run([there / "initdb", "-V"], capture_output=True, text=True, check=True)
        found.setdefault(re.findall(r"\d+", told.stdout)[0], there)
    if not found:
        raise LocalError(
            f"PostgreSQL is not installed: no initdb under {_BINARIES} or on PATH. "
            "Install it with: apt-get install postgresql"
        )
    if version is None:
        return found[max(found, key=float)]
    if version not in found:
        raise LocalError(
            f"The local database was made by PostgreSQL {version}, but only "
            f"{', '.join(sorted(found))} is installed. Install postgresql-{version}, "
            "or forget the data with: make clean"
        )
    return found[version]
