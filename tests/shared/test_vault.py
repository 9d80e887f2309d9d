"""Secrets at rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.vault import CannotOpen, Vault

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
    with pytest.raises(CannotOpen, match="'old', which is not among the keys here"):
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
