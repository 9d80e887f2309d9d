"""Passwords that somebody who guesses would try first."""

import re

_WORDS = (
    "abc",
    "admin",
    "asterisk",
    "changeme",
    "default",
    "freeswitch",
    "letmein",
    "login",
    "master",
    "password",
    "passwort",
    "passw0rd",
    "phone",
    "qwerty",
    "secret",
    "sip",
    "test",
    "user",
    "voice",
    "welcome",
)
_ROWS = ("01234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm")
# Two characters that stand side by side in a row, in either direction.
_NEIGHBOURS = {
    line[at : at + 2] for row in _ROWS for line in (row, row[::-1]) for at in range(len(row) - 1)
}
_FEWEST_SIGNS = 5
_SHORTEST_RUN = 3
_SHORTEST_CORE = 6


def not_obvious(password: str) -> str:
    """Return the password; raise `ValueError` where it is among the obvious ones.

    Obvious is what has less than five different characters, is one piece again and again, or has
    less than six characters beside common words, runs such as 123 or qwerty, and punctuation.
    """
    low = password.lower()
    if len(set(low)) < _FEWEST_SIGNS or _repeats(low) or len(_core(low)) < _SHORTEST_CORE:
        raise ValueError("is one of the passwords that are tried first: take another, or none")
    return password


def _repeats(text: str) -> bool:
    return re.fullmatch(r"(.{1,6}?)\1{2,}.{0,5}|(.{6,}?)\2+", text) is not None


def _core(text: str) -> str:
    for word in _WORDS:
        text = text.replace(word, " ")
    kept, run = "", ""
    for sign in f"{text} ":
        if run and run[-1] + sign in _NEIGHBOURS:
            run += sign
        else:
            kept += run if len(run) < _SHORTEST_RUN else ""
            run = sign
    return re.sub(r"[^a-z0-9]", "", kept)
