"""Setting up installs what is missing, or says in one line what somebody has to install."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local.processes import ROOT

_TOOLS = ("sh", "dirname", "ls", "mkdir", "tail", "tr", "env", "chmod", "touch", "cat", "true")
_INSTALL = "apt-get install -y --no-install-recommends"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Give a machine without curl, on which we are an ordinary user; its programs are in bin."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for tool in _TOOLS:
        (bin_ / tool).symlink_to(shutil.which(tool) or tool)
    _program(bin_ / "id", "echo 1000")
    _program(bin_ / "initdb", "")
    _program(bin_ / "rabbitmq-server", "")
    script = tmp_path / "deploy" / "local" / "setup.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "local" / "setup.sh", script)
    return tmp_path


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _setup(machine: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [machine / "deploy" / "local" / "setup.sh", "servers"],
        env={"PATH": str(machine / "bin"), "HOME": os.devnull},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("sudo", [None, "exit 1"], ids=["no sudo", "sudo wants a password"])
def test_without_the_right_to_install_one_line_says_what_to_do(
    machine: Path, sudo: str | None
) -> None:
    """The line can be copied to somebody who may."""
    _program(machine / "bin" / "apt-get", "touch must-not-be-called")
    if sudo is not None:
        _program(machine / "bin" / "sudo", sudo)

    done = _setup(machine)

    assert done.returncode != 0
    assert len((done.stdout + done.stderr).splitlines()) == 1
    assert f"{_INSTALL} curl" in done.stderr
    assert not (machine / "must-not-be-called").exists()


def test_without_apt_the_packages_are_named(machine: Path) -> None:
    """Another system's user learns what is missing."""
    done = _setup(machine)

    assert done.returncode != 0
    assert "curl" in done.stderr


def test_sudo_without_a_question_installs(machine: Path) -> None:
    """The package lists are fetched when the first try does not know the package."""
    bin_ = machine / "bin"
    _program(bin_ / "sudo", '[ "$1" = -n ] && shift; exec "$@"')
    _program(
        bin_ / "apt-get",
        f"""case "$*" in
*update*) touch lists ;;
*install*curl) [ -e lists ] && cat {bin_}/initdb >{bin_}/curl && chmod 755 {bin_}/curl ;;
*) exit 2 ;;
esac""",
    )

    done = _setup(machine)

    assert done.returncode == 0, done.stderr
    assert "Installing curl" in done.stdout


def test_a_failed_install_is_told_with_apts_last_words(machine: Path) -> None:
    """Nobody has to look for the log to learn that the disk is full."""
    _program(machine / "bin" / "sudo", '[ "$1" = -n ] && shift; exec "$@"')
    _program(machine / "bin" / "apt-get", "echo disk is full; exit 100")

    done = _setup(machine)

    assert done.returncode != 0
    assert "disk is full" in done.stderr
