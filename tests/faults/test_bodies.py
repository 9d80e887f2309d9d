"""As many real records as are wanted, none like another."""

from collections import Counter

import orjson

from faults.bodies import records, renamed
from tests.recordings import posts


def test_no_leg_is_there_twice_and_each_body_names_its_own():
    """Whichever recording it was made of, and however often."""
    made = records(200)
    assert len({record.leg_id for record in made}) == len(made) == 200
    for record in made:
        variables = orjson.loads(record.body)["variables"]
        assert (variables["uuid"], variables["call_id"]) == (record.leg_id, record.call_id)


def test_calls_are_whole():
    """All legs of a call follow each other, and other calls have other ids."""
    counts = Counter(record.call_id for record in records(200))
    assert max(counts.values()) == 3
    assert len(counts) > 80


def test_what_was_one_id_is_one_again():
    """A leg names its partner as the partner names itself; the length stays that of a real one."""
    body = next(post["body"] for post in posts("s01", "cdr"))
    variables = orjson.loads(body)["variables"]
    (made,) = renamed([(variables["uuid"], variables["call_id"], body)])
    new = orjson.loads(made.body)["variables"]
    assert new["bridge_uuid"] == new["call_id"] == made.call_id != variables["call_id"]
    assert len(made.body) == len(body.encode())
