"""Ports for servers that are not started yet."""

import subprocess
import sys

from deploy.local import ports


def test_nobody_is_given_a_port_twice(monkeypatch) -> None:
    """Also before the first server listens; here, and in a process beside this one."""
    monkeypatch.setattr(ports, "_FIRST", 29000)
    monkeypatch.setattr(ports, "_LAST", 29999)
    mine = [ports.free_port() for _ in range(60)]
    code = "from deploy.local.ports import _promise; import sys; print(_promise(int(sys.argv[1])))"
    other = subprocess.run(
        [sys.executable, "-c", code, str(mine[0])], capture_output=True, text=True, check=True
    )

    assert len(set(mine)) == len(mine)
    assert other.stdout == "False\n"
