"""Settings are made once, stay, stay private, and give way to the caller's."""

import socket
from pathlib import Path

import pytest

from deploy.local.daemon import LocalError
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.settings import Settings, choose, derive, load, processes_of, save


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    """Give settings as a first run makes them."""
    return choose(tmp_path, {}, running=frozenset())


def test_the_file_is_private_and_reads_back(tmp_path: Path, chosen: Settings) -> None:
    """What honcho reads is what was written, and nobody else reads it."""
    odd = {"VOICE_TRUNKS": "sofia/gateway/it's {number},a #b", "VOICE_DOMAIN": ""}
    save(tmp_path / "env", chosen | odd)

    assert load(tmp_path / "env") == chosen | odd
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("value", ["two\nlines", r"C:\new"])
def test_what_an_env_file_cannot_hold_is_refused(tmp_path: Path, value: str) -> None:
    """Better an error that names the setting than another value in the processes."""
    with pytest.raises(LocalError, match="VOICE_DOMAIN"):
        save(tmp_path / "env", {"VOICE_DOMAIN": value})


def test_a_second_run_chooses_nothing_anew(tmp_path: Path, chosen: Settings) -> None:
    """Secrets and ports stay."""
    assert choose(tmp_path, dict(chosen), running=frozenset()) == chosen


def test_a_port_that_somebody_took_is_chosen_again(tmp_path: Path, chosen: Settings) -> None:
    """A stranger's server does not keep ours from starting, ours does not lose its own port."""
    port = free_port()
    chosen["VOICE_CDR_BIND"] = f"{LOOPBACK}:{port}"
    with socket.create_server((LOOPBACK, port)):
        stays = choose(tmp_path, chosen, running=frozenset({"cdr"}))
        moves = choose(tmp_path, chosen, running=frozenset())

    assert stays == chosen
    assert moves["VOICE_CDR_BIND"] != chosen["VOICE_CDR_BIND"]


def test_the_callers_own_settings_win(chosen: Settings) -> None:
    """With a real switch in VOICE_SWITCHES no simulator is started."""
    simulated = derive(chosen, {})
    real = derive(chosen, {"VOICE_SWITCHES": "fs1=esl://:x@192.0.2.1:8021"})

    assert "simulator" in processes_of(simulated)
    assert "simulator" not in processes_of(real)
    assert real["VOICE_SWITCHES"] == "fs1=esl://:x@192.0.2.1:8021"


def test_what_follows_from_a_setting_follows_the_callers(chosen: Settings) -> None:
    """The simulator posts its CDRs to where the caller wants them taken."""
    settings = derive(chosen, {"VOICE_CDR_BIND": "0.0.0.0:9999"})

    assert settings["SIMULATOR_CDR_URL"] == f"http://{LOOPBACK}:9999/cdr"


def test_secrets_have_the_length_that_the_contract_wants(chosen: Settings) -> None:
    """Token, key and IV are 32 hex digits."""
    for name in ("VOICE_TOKEN", "VOICE_AES_KEY", "VOICE_AES_IV"):
        assert len(bytes.fromhex(chosen[name])) == 16
