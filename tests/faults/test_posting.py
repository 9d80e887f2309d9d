"""A switch that posts: so many at once, so many a second, and a file for what was not taken."""

import base64
import time

import pytest

from deploy.local.ports import free_port
from faults.bodies import records
from faults.posting import Switch
from tests.simulator.http_side import HttpSide


@pytest.fixture
def switch(tmp_path):
    """Return what makes a switch that posts to a port."""

    def make(port):
        settings = {
            "VOICE_CDR_BIND": f"127.0.0.1:{port}",
            "VOICE_SWITCH_USER": "switch",
            "VOICE_SWITCH_PASSWORD": "of-the-switch",
        }
        return Switch(settings, tmp_path / "spill")

    return make


def port_of(http):
    return int(http.url("").rpartition(":")[2])


def test_what_is_taken_leaves_no_file(switch):
    """It is posted as mod_json_cdr posts it, with the credentials, once."""
    wanted = records(20)
    with HttpSide(lambda _: (200, "safe\n")) as http:
        posting = switch(port_of(http))
        posting.post(wanted, a_second=1000)
        came = http.cdrs()

    assert sorted(post.path for post in came) == sorted(f"/cdr?uuid={r.leg_id}" for r in wanted)
    assert {post.body.encode() for post in came} == {record.body for record in wanted}
    access = base64.b64encode(b"switch:of-the-switch").decode()
    assert {post.headers["Authorization"] for post in came} == {f"Basic {access}"}
    assert {answer.status for answer in posting.answers} == {200}
    assert posting.files == []


@pytest.mark.parametrize("status", [503, None])
def test_what_is_not_taken_is_in_a_file(switch, status):
    """Refused, or with nobody there: the record and a line break, as the switch writes it."""
    (record,) = records(1)
    with HttpSide(lambda _: (503, "")) as http:
        posting = switch(port_of(http) if status else free_port())
        posting.post([record], a_second=1000)

    (file,) = posting.files
    assert file.name == f"{record.leg_id}.cdr.json"
    assert file.read_bytes() == record.body + b"\n"
    assert [answer.status for answer in posting.answers] == [status]


def test_it_ends_after_as_many_refusals_as_are_enough(switch):
    """Those that are under way may be refused as well."""
    with HttpSide(lambda _: (503, "")) as http:
        posting = switch(port_of(http))
        posting.post(records(200), a_second=1000, enough=5)

    assert 5 <= len(posting.answers) < 5 + 16


def test_posts_come_at_their_pace(switch):
    """Not sooner than so many a second, however quick the answers are."""
    with HttpSide(lambda _: (200, "")) as http:
        before = time.monotonic()
        switch(port_of(http)).post(records(20), a_second=50)

    assert time.monotonic() - before >= 20 / 50
