"""Secrets at rest."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.directory.settings import DirectorySettings
from services.directory.vault import CannotOpen, Vault

OLD, NEW = {"old": b"o" * 32}, {"new": b"n" * 16}


@given(st.text(), st.text())
def test_what_was_sealed_is_opened_for_its_owner(secret, owner):
    """Any text, whoever's."""
    vault = Vault(NEW)

    assert vault.open(vault.seal(secret, owner), owner) == secret


def test_the_same_secret_is_never_sealed_alike():
    """Nobody sees in the table who has the same password."""
    vault = Vault(NEW)

    assert vault.seal("secret", "1001") != vault.seal("secret", "1001")


def test_after_a_change_of_keys_both_are_opened_and_the_new_one_seals():
    """Until the old one is taken away."""
    before = Vault(OLD).seal("secret", "1001")
    vault = Vault(NEW | OLD)

    assert vault.open(before, "1001") == "secret"
    assert not before.startswith(vault.prefix)
    assert vault.seal("secret", "1001").startswith(vault.prefix)
    with pytest.raises(CannotOpen, match="'old', which VOICE_PASSWORD_KEYS does not name"):
        Vault(NEW).open(before, "1001")


@pytest.mark.parametrize(
    "broken",
    [
        lambda sealed: sealed[:-4],
        lambda sealed: sealed[:-6] + "AAAAA=",
        lambda _: "new:",
        lambda _: "new:AAAA",
        lambda _: "new:not base64",
        lambda _: "",
        lambda _: "secret",
    ],
)
def test_what_was_changed_is_not_opened(broken):
    """Nor is what was never sealed."""
    vault = Vault(NEW)
    with pytest.raises(CannotOpen):
        vault.open(broken(vault.seal("secret", "1001")), "1001")


def test_a_row_copied_to_another_user_is_not_opened():
    """Who can write the table cannot give himself another's password."""
    vault = Vault(NEW)
    with pytest.raises(CannotOpen):
        vault.open(vault.seal("secret", "1001@test.local"), "1002@test.local")


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
