"""The private servers: those of `make up` live in .local, those of tests where the tests say."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from deploy.local.postgres import Postgres
from deploy.local.rabbit import Rabbit
from deploy.local.server import Server

__all__ = ["Postgres", "Rabbit", "Server", "start_all", "stop_all"]


def start_all(servers: Iterable[Server]) -> None:
    """Start the servers side by side: each waits mostly for itself."""
    with ThreadPoolExecutor() as pool:
        for started in [pool.submit(server.start) for server in servers]:
            started.result()


def stop_all(servers: Iterable[Server]) -> None:
    """Stop the servers side by side; their data stay."""
    with ThreadPoolExecutor() as pool:
        for stopped in [pool.submit(server.stop) for server in servers]:
            stopped.result()
