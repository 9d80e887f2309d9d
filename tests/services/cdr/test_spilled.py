"""Files of switches, by name and by what is in them."""

import orjson
import pytest

from services.cdr.spilled import Kind, is_rotated, kind_of, leg_of, of_values, whole
from shared.telephony.records import NotARecord
from tests import recordings


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("c0ffee00-0000-4000-8000-000000000001.cdr.json", Kind.RECORD),
        ("a_c0ffee00-0000-4000-8000-000000000001.cdr.xml", Kind.RECORD),
        ("odd\nname\udcff.cdr.json", Kind.RECORD),
        ("Master.csv", Kind.LINES),
        ("1001.csv.2026-11-30-23-59-59", Kind.LINES),
        ("cdr-spool.csv", Kind.VALUES),
        ("cdr-spool.csv.2026-11-30-23-59-59", Kind.VALUES),
        ("cdr-spool.sql", Kind.STATEMENTS),
        ("cdr-spool.sql.2026-11-30-23-59-59", Kind.STATEMENTS),
        (".cdr.json", None),
        ("x.cdr.json.tmp", None),
        ("cdr-spool.sql.bak", None),
        ("freeswitch.log", None),
        ("Master.csv.2026", None),
    ],
)
def test_a_name_says_how_records_stand_in_the_file(name, kind):
    """What is none of a switch's names is left alone."""
    assert kind_of(name) is kind


def test_a_file_that_was_rotated_has_a_date():
    """The switch opens it no more; one without a date it may have open."""
    assert is_rotated("Master.csv.2026-11-30-23-59-59")
    assert not is_rotated("Master.csv")
    assert not is_rotated("Master.csv.2026-11-30-23-59-59x")


@pytest.mark.parametrize(
    ("name", "leg"),
    [
        ("c0ffee00.cdr.json", "c0ffee00"),
        ("a_c0ffee00.cdr.xml", "c0ffee00"),
        ("b\udcff.cdr.json", "b?"),
    ],
)
def test_a_file_is_named_after_its_leg(name, leg):
    """`prefix-a-leg` is no part of it."""
    assert leg_of(name) == leg


def test_a_record_is_what_the_switch_would_have_posted():
    """Without the end of line that the file has more, so that both are the same record."""
    body = b'{"switchname": "fs1", "variables": {"uuid": "leg"}}'
    record = whole(body + b"\n", leg_id="other")

    assert (record.key, record.body) == (("fs1", "leg"), body)


def test_a_record_that_names_no_leg_is_that_of_its_file():
    """And one that names no switch is an unknown switch's."""
    assert whole(b'{"variables": {}}', leg_id="leg").key == ("unknown", "leg")


@pytest.mark.parametrize("uuid", ['"a%00b"', '"\\ud800"', "7", "null"])
def test_an_odd_leg_can_be_looked_up(uuid):
    """The database's text holds neither NUL nor half a character."""
    switch, leg = whole(b'{"variables": {"uuid": %b}}' % uuid.encode(), leg_id="leg").key
    (switch + leg).encode()

    assert "\0" not in leg
    assert leg


def test_every_real_record_is_known_by_its_leg():
    """As they were posted by a real switch."""
    posts = [post for name in recordings.names() for post in recordings.posts(name, "cdr")]
    for post in posts:
        raw = orjson.loads(post["body"])
        found = whole(post["body"].encode(), leg_id="")
        assert found.key == (raw["switchname"], raw["variables"]["uuid"])
    assert len(posts) > 20


def test_half_a_record_is_none():
    """At whatever byte it was cut."""
    body = b'{"switchname": "fs1", "variables": {"uuid": "leg"}}'
    for cut in range(len(body)):
        with pytest.raises(NotARecord):
            whole(body[:cut], leg_id="leg")


def test_values_become_a_record_in_the_usual_shape():
    """Empty ones are absent, and who called whom stands where the switch's own record has it."""
    record = of_values(
        ["uuid", "destination_number", "billsec", "accountcode"],
        ["leg", "4930", "", None],
        switch="fs2",
    )

    assert record.key == ("fs2", "leg")
    assert orjson.loads(record.body) == {
        "switchname": "fs2",
        "variables": {"uuid": "leg", "destination_number": "4930"},
        "callflow": [{"caller_profile": {"destination_number": "4930"}}],
    }


@pytest.mark.parametrize("values", [["leg"], ["leg", "x", "y"], ["", "x"], [None, "x"]])
def test_values_that_do_not_fit_are_no_record(values):
    """Too few, too many, or none that names the leg."""
    with pytest.raises(NotARecord):
        of_values(["uuid", "billsec"], values, switch="fs1")
