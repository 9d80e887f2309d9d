"""`make env` makes, once, a .env with which docker-compose starts everything."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.local.processes import ROOT
from services.gateway.cipher import NumberCipher
from shared.switch.address import parse_switches
from tests.compose.files import SERVICES, settings_class


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give the part of the tree that `make env` needs, without a .env."""
    (tmp_path / "deploy" / "compose").mkdir(parents=True)
    for name in ("Makefile", ".env.example", "deploy/compose/make-env.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def make_env(tree: Path) -> str:
    done = subprocess.run(
        ["make", "-s", "env"], cwd=tree, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(tree: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", (tree / ".env").read_text(), re.M))


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_takes_what_was_made(tree, service, monkeypatch):
    """No setting is missing, and none is refused."""
    make_env(tree)
    for name, value in read(tree).items():
        monkeypatch.setenv(name, value)

    settings_class(service)()


def test_the_gateway_can_decrypt_with_what_was_made(tree):
    """Key and initialisation vector have the length that AES-128 wants."""
    make_env(tree)

    NumberCipher(read(tree)["VOICE_AES_KEY"], read(tree)["VOICE_AES_IV"])


def test_servers_and_switch_get_the_passwords_of_the_urls(tree):
    """What connects and what is connected to are given the same ones."""
    make_env(tree)
    made = read(tree)

    assert urlsplit(made["VOICE_AMQP_URL"]).password == made["RABBITMQ_PASSWORD"]
    assert urlsplit(made["VOICE_DATABASE_URL"]).password == made["POSTGRES_PASSWORD"]
    (switch,) = parse_switches(made["VOICE_SWITCHES"])
    assert switch.password == made["FREESWITCH_ESL_PASSWORD"]


def test_secrets_are_random_and_each_is_its_own(tree):
    """Two runs have nothing in common, and no password opens two doors."""
    secret = re.compile(r"(PASSWORD|TOKEN|AES_KEY|AES_IV|PASSWORD_KEYS)$")
    make_env(tree)
    first = {value for name, value in read(tree).items() if secret.search(name)}
    (tree / ".env").unlink()
    make_env(tree)
    second = {value for name, value in read(tree).items() if secret.search(name)}

    assert len(first) == len(second) == sum(bool(secret.search(name)) for name in read(tree))
    assert all(re.fullmatch("(first=[0-9a-f]{32})?[0-9a-f]{32}", value) for value in first | second)
    assert not first & second
    assert "SECRET" not in (tree / ".env").read_text().replace("# ", "")


def test_it_is_private_and_a_second_run_leaves_it_alone(tree):
    """Nobody else reads it, and what was filled in by hand stays."""
    make_env(tree)
    with (tree / ".env").open("a") as file:
        file.write("VOICE_LATER=mine\n")
    before = (tree / ".env").read_text()

    assert (tree / ".env").stat().st_mode & 0o777 == 0o600
    make_env(tree)
    assert (tree / ".env").read_text() == before
    assert (tree / ".env").stat().st_mode & 0o777 == 0o600
    assert not (tree / ".env.part").exists()


def test_after_an_update_it_names_what_is_new(tree):
    """An old .env stays, and its owner learns what it lacks."""
    make_env(tree)
    lines = (tree / ".env").read_text().splitlines(keepends=True)
    (tree / ".env").write_text("".join(line for line in lines if "VOICE_AES_IV=" not in line))

    told = make_env(tree)

    assert "VOICE_AES_IV" in told
    assert "VOICE_AES_KEY" not in told


def test_it_says_what_only_people_know(tree):
    """The domain and the carrier are nobody's to guess."""
    told = make_env(tree)

    assert "VOICE_DOMAIN" in told
    assert "FREESWITCH_CARRIER" in told
