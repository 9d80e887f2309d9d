"""A private RabbitMQ: its own data, ports, password, Erlang cookie and epmd."""

import os
import subprocess
from typing import ClassVar

import pika
import pika.exceptions
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from deploy.local.daemon import NotReadyYet
from deploy.local.files import write_private
from deploy.local.ports import LOOPBACK, is_free
from deploy.local.programs import find_rabbitmq
from deploy.local.server import Server

_CONFIG = """\
listeners.tcp.local = {host}:{port}
# Replaces guest, which is then never made.
default_user = voice
default_pass = {password}
log.console = true
log.console.level = info
log.file = false
"""

# The distribution port answers on loopback only, and idle schedulers sleep instead of spinning:
# this machine has other things to do.
_ERLANG = "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"


class Rabbit(Server):
    """A RabbitMQ of our own."""

    title: ClassVar[str] = "RabbitMQ"
    port_names: ClassVar[tuple[str, ...]] = ("port", "dist_port", "epmd_port")

    @property
    def url(self) -> str:
        """The address with the password in it."""
        return f"amqp://voice:{self.chosen['password']}@{LOOPBACK}:{self.port}/%2F"

    def stop(self) -> None:
        """End the server and its epmd cleanly; the data stay."""
        super().stop()
        self._stop_epmd()

    def _launch(self) -> None:
        script = find_rabbitmq()
        self.directory.chmod(0o700)
        (self.directory / "none").mkdir(exist_ok=True)
        write_private(
            self.directory / "rabbitmq.conf",
            _CONFIG.format(host=LOOPBACK, port=self.port, password=self.chosen["password"]),
        )
        write_private(self.directory / "enabled_plugins", "[].\n")
        self.daemon.spawn([script], env=self._environment(), cwd=self.directory)

    def _environment(self) -> dict[str, str]:
        """Point everything that RabbitMQ would look for in the system into our directory."""
        here, none = str(self.directory), str(self.directory / "none")
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RABBITMQ_", "ERL_", "VOICE_"))
        }
        return inherited | {
            "HOME": here,
            # Data belong to the node's name, so it must not change with the port.
            "RABBITMQ_NODENAME": "voice@localhost",
            "RABBITMQ_CONFIG_FILE": f"{here}/rabbitmq.conf",
            "RABBITMQ_CONFIG_FILES": none,
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{none}/advanced.config",
            "RABBITMQ_CONF_ENV_FILE": f"{none}/rabbitmq-env.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{here}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{here}/mnesia",
            "RABBITMQ_LOG_BASE": here,
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{here}/config",
            "RABBITMQ_PID_FILE": f"{here}/rabbitmq.pid",
            "RABBITMQ_DIST_PORT": self.chosen["dist_port"],
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
            "ERL_EPMD_PORT": self.chosen["epmd_port"],
            "ERL_EPMD_ADDRESS": LOOPBACK,
            # Makes the script become the server instead of standing in between: the pid in our
            # file is the server's, and SIGTERM is all it takes to stop it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _probe(self) -> None:
        # Only a whole handshake tells: the port is open before logins are possible.
        if is_free(self.port):
            raise NotReadyYet("nothing listens yet")
        try:
            pika.BlockingConnection(pika.URLParameters(self.url)).close()
        except (pika.exceptions.AMQPError, OSError) as error:
            raise NotReadyYet(repr(error)) from error

    def _choose(self) -> None:
        # An epmd outlives a server that was killed, and would hold its port for nothing.
        self._stop_epmd()
        super()._choose()

    def _stop_epmd(self) -> None:
        """End the port mapper that Erlang started for us; it refuses while a node uses it."""
        if not self.was_made():
            return
        port = self.chosen["epmd_port"]

        @retry(
            retry=retry_if_result(bool),
            stop=stop_after_delay(3),
            wait=wait_fixed(0.1),
            retry_error_callback=lambda _: None,
        )
        def holds_on() -> bool:
            if is_free(int(port)):
                return False
            subprocess.run(["epmd", "-port", port, "-kill"], capture_output=True, check=False)
            return True

        holds_on()
