"""What docker-compose.yml has to hold, as far as can be told without an engine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local.processes import ROOT
from tests.compose.files import SERVICES, TEXT, compose, example, settings_class, variables

OURS = (*SERVICES, "migrate")
SERVERS = ("rabbitmq", "postgres")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_its_settings_and_no_others(service):
    """All that its settings know, so that .env decides; nothing that is another's secret."""
    given = set(compose()["services"][service]["environment"])

    assert given == {f"VOICE_{name.upper()}" for name in settings_class(service).model_fields}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_runs_its_own_module_and_listens_where_it_is_asked(service):
    """Bind, published port and health check name one port, on all addresses of the container."""
    part = compose()["services"][service]
    host, _, port = part["environment"][f"VOICE_{service.upper()}_BIND"].rpartition(":")

    assert part["command"] == ["python", "-m", f"services.{service}"]
    assert host == "0.0.0.0"  # noqa: S104
    assert part["healthcheck"]["test"] == ["CMD", "python", "deploy/compose/ready.py", port]
    assert all(published.endswith(f"}}:{port}") for published in part.get("ports", []))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_comes_back_and_may_do_little(service):
    """It is restarted, has time to end, and cannot write or gain rights."""
    part = compose()["services"][service]

    assert part["restart"] == "unless-stopped"
    assert part["init"] is True
    assert part["read_only"] is True
    assert part["cap_drop"] == ["ALL"]
    assert int(part["stop_grace_period"].rstrip("s")) > 10
    assert part["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_everything_that_stays_has_a_health_check():
    """`docker-compose ps` tells the truth about each of them."""
    for name, part in compose()["services"].items():
        assert (name == "migrate") != ("healthcheck" in part), name


def test_no_secret_is_in_the_file():
    """A secret comes from .env, and without it nothing starts; there is no default that works."""
    secret = re.compile(r"PASS|TOKEN|AES|URL|SWITCHES|USER")
    with_default = re.findall(r"\$\{([A-Z_]+):?-", TEXT)
    assert not [name for name in with_default if secret.search(name)]

    for service in (*OURS, *SERVERS, "freeswitch"):
        for name, value in compose()["services"][service]["environment"].items():
            if secret.search(name) and name not in {
                *("RABBITMQ_DEFAULT_USER", "POSTGRES_USER"),
                *("FREESWITCH_DIRECTORY_URL", "FREESWITCH_CDR_URL"),
            }:
                assert value is None or re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), name


def test_what_is_published_is_on_loopback_unless_env_says_otherwise():
    """Docker opens published ports past the machine's firewall."""
    for service in (*SERVICES, *SERVERS):
        for port in compose()["services"][service].get("ports", []):
            assert re.fullmatch(r"\$\{\w+_BIND:-127\.0\.0\.1:(\d+)\}:\1", port), service
    published = {name for name in SERVICES if "ports" in compose()["services"][name]}
    assert published == {"gateway", "directory", "cdr"}


def test_names_that_must_be_filled_in_are_in_the_example():
    """`make env` makes .env from it."""
    required = set(re.findall(r"\$\{([A-Z_]+):\?", TEXT))

    assert required <= example()
    assert {name for name in example() if name.startswith("VOICE_")} >= {
        name for name in variables(TEXT) if name.startswith("VOICE_")
    }


def test_the_switch_gets_what_its_configuration_reads():
    """Each name in freeswitch/vars.xml can be set in .env, or is decided by the compose file."""
    configuration = (ROOT / "freeswitch" / "vars.xml").read_text()
    read = set(re.findall(r'=\$((?:VOICE|FREESWITCH)_\w+)"', configuration))
    given = set(compose()["services"]["freeswitch"]["environment"])
    # The container's own address, and a place in its volume: the start script knows.
    assert given == read - {"FREESWITCH_SIP_IP", "FREESWITCH_CDR_SPOOL"}


def test_both_composes_can_read_it():
    """1.29 knows no `name`; v2 warns of `version`; neither needs what only the other has."""
    assert set(compose()) - {key for key in compose() if key.startswith("x-")} == {
        "services",
        "volumes",
    }
    for part in compose()["services"].values():
        assert not set(part) & {"container_name", "privileged", "ulimits", "network_mode"}
        assert not {"start_interval"} & set(part.get("healthcheck", {}))


def test_the_image_needs_no_buildkit_and_holds_no_secret():
    """The classic builder takes both files, and .env never reaches an engine."""
    for name in ("Dockerfile", "deploy/compose/freeswitch.Dockerfile"):
        text = (ROOT / name).read_text()
        assert not re.search(r"^#\s*syntax=|--mount|--chmod|--link|<<", text, re.M), name
        assert re.search(r"^USER (?!root)", text, re.M), name
        assert re.search(r"^CMD \[", text, re.M), name
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert not any(line.startswith("!") and ".env" in line for line in ignored)


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="there is no docker-compose here")
def test_docker_compose_itself_takes_it(tmp_path: Path):
    """With the .env of `make env`, and not without."""
    for name in ("docker-compose.yml", ".env.example"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "deploy" / "compose").mkdir(parents=True)  # It wants to see all it would build.

    def config() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker-compose", "config", "--services"],
            cwd=tmp_path,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert "make env" in config().stderr
    subprocess.run([ROOT / "deploy/compose/make-env.sh", tmp_path], check=True)
    assert set(config().stdout.split()) == {*OURS, *SERVERS, "freeswitch"}
