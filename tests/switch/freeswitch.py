"""A FreeSWITCH of the tests' own, started by `freeswitch/start`."""

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Self

import psycopg2

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import ROOT
from tests.simulator.esl_client import EslClient
from tests.waiting import until

START = ROOT / "freeswitch" / "start"


class FreeSwitch:
    """One switch, on ports that nobody else uses and with secrets that nobody else knows."""

    def __init__(
        self, directory: Path, *, carrier: str, directory_url: str, cdr_url: str, **more: str
    ) -> None:
        self.directory = directory
        self.esl_port, self.internal_port, self.external_port = (free_port() for _ in "123")
        self.environment = {
            "VOICE_DOMAIN": "test.local",
            "VOICE_SWITCH_USER": "switch",
            "VOICE_SWITCH_PASSWORD": token_hex(16),
            "FREESWITCH_ESL_PASSWORD": token_hex(16),
            "FREESWITCH_ESL_PORT": str(self.esl_port),
            "FREESWITCH_SWITCHNAME": "fs1",
            "FREESWITCH_DIRECTORY_URL": directory_url,
            "FREESWITCH_CDR_URL": cdr_url,
            "FREESWITCH_CARRIER": carrier,
            "FREESWITCH_SIP_IP": LOOPBACK,
            "FREESWITCH_INTERNAL_PORT": str(self.internal_port),
            "FREESWITCH_EXTERNAL_PORT": str(self.external_port),
            # Not those from which `free_port` chooses.
            "FREESWITCH_RTP_FIRST": "30000",
            "FREESWITCH_RTP_LAST": "32700",
            # Never: phones register before they answer, and one that does not answer is forgotten.
            "FREESWITCH_PING_SECONDS": "10000000",
            "FREESWITCH_STATE_DIR": str(directory),
            **more,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def registrar(self) -> str:
        """Where phones register."""
        return f"{LOOPBACK}:{self.internal_port}"

    @property
    def url(self) -> str:
        """What VOICE_SWITCHES says of it."""
        name, password = (
            self.environment[f"FREESWITCH_{key}"] for key in ("SWITCHNAME", "ESL_PASSWORD")
        )
        return f"{name}=esl://:{password}@{LOOPBACK}:{self.esl_port}"

    def link(self) -> EslClient:
        """Open a link to it."""
        return EslClient(self.esl_port, self.environment["FREESWITCH_ESL_PASSWORD"])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, also once more, and return when both its SIP profiles run."""
        self.directory.mkdir(parents=True, exist_ok=True)
        binary = {"FREESWITCH_BIN": os.environ["VOICE_FREESWITCH_BIN"]}
        with (self.directory / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [START],
                env={"PATH": os.environ["PATH"], **binary, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            until(self._runs, seconds=60)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it as one should; its calls end, and are recorded."""
        assert self._process
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.crash()

    def crash(self) -> None:
        """Kill it: no call is told to have ended."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def calls_written_down(self) -> int:
        """Return how many legs it has noted in its core database, to be taken up after a crash."""
        address = self.environment.get("FREESWITCH_DATABASE")
        path = self.directory / "db" / "core.db"
        with closing(
            psycopg2.connect(address)
            if address
            else sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        ) as connection:
            cursor = connection.cursor()
            cursor.execute("select count(*) from recovery")
            ((count,),) = cursor.fetchall()
        return int(count)

    def _runs(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self.directory / "output").read_text()
        try:
            with self.link() as link:
                return link.api("sofia status").count("RUNNING") == 2
        except (ConnectionRefusedError, ConnectionResetError):
            return False
