"""What the directory is told by its environment."""

from typing import Any

import pytest

from services.directory.settings import DirectorySettings


def settings(**given):
    """Return settings with what they need."""
    needed: dict[str, Any] = {
        "amqp_url": "amqp://localhost",
        "database_url": "postgresql://",
        "domain": "test.local",
        "switch_user": "switch",
        "switch_password": "password",
    }
    return DirectorySettings(**needed, **given)


def test_the_first_key_is_the_one_that_seals():
    """And those behind it are for reading."""
    keys = settings(password_keys=f"new={'ab' * 32},old={'cd' * 16}").keys

    assert list(keys) == ["new", "old"]
    assert keys["old"] == b"\xcd" * 16


def test_without_a_key_of_its_own_it_is_derived():
    """Always the same one, and not the key that the CRM has."""
    keys = settings(aes_key="ab" * 16).keys

    assert keys == settings(aes_key="ab" * 16, password_keys="").keys
    assert keys != settings(aes_key="ac" * 16).keys
    assert bytes.fromhex("ab" * 16) not in keys["aes"]


@pytest.mark.parametrize(
    "wrong",
    [
        "ab" * 32,
        "first=",
        "first=abc",
        f"first={'zz' * 32}",
        f"a:b={'ab' * 32}",
        f"first={'ab' * 32},first={'cd' * 32}",
    ],
)
def test_keys_that_are_none_are_refused_and_not_repeated(wrong):
    """They are secret even where they are wrong."""
    with pytest.raises(ValueError, match="hex digits") as error:
        settings(password_keys=wrong)
    assert wrong not in str(error.value)


def test_no_key_at_all_is_an_error_that_names_the_setting(monkeypatch):
    """Nothing secret has a default."""
    monkeypatch.delenv("VOICE_AES_KEY", raising=False)
    monkeypatch.delenv("VOICE_PASSWORD_KEYS", raising=False)
    with pytest.raises(ValueError, match="VOICE_PASSWORD_KEYS"):
        settings()


def test_the_domain_s_other_names_are_domains():
    """By comma, in any case."""
    assert settings(aes_key="x", domain_aliases="Sip.Example.org, 192.0.2.1,").domain_aliases == (
        "sip.example.org",
        "192.0.2.1",
    )
    with pytest.raises(ValueError, match="domain_aliases"):
        settings(aes_key="x", domain_aliases="not a domain")
