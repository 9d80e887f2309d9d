"""The switch's own tables in PostgreSQL: `FREESWITCH_DATABASE`."""

import os
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg2
import pytest

from deploy.local.instances import Postgres
from deploy.local.ports import free_port
from tests.simulator.http_side import HttpSide
from tests.switch.agents import DOMAIN, PASSWORD, answer
from tests.switch.freeswitch import FreeSwitch
from tests.switch.phones import Phones
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    "VOICE_FREESWITCH_BIN" not in os.environ,
    reason="needs a real switch: VOICE_FREESWITCH_BIN names none",
)
_TABLES = {
    *("channels", "calls", "registrations", "recovery"),
    *("sip_registrations", "sip_dialogs"),
    *("agents", "tiers", "members"),
}


def _as_uri(database):
    return {"FREESWITCH_DATABASE": database}


def _in_words(database):
    """Return the address as libpq's words, and the password where it is in no log."""
    url = urlsplit(database)
    words = f"host={url.hostname} port={url.port} dbname={url.path[1:]} user={url.username}"
    return {"FREESWITCH_DATABASE": f"pgsql://{words}", "PGPASSWORD": str(url.password)}


def _rows(database, query):
    connection = psycopg2.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("written", [_as_uri, _in_words])
def test_all_tables_are_made_in_the_database(tmp_path, database, written):
    """By the switch itself, those of SIP profiles and queues too, and no file is used."""
    with (
        HttpSide(answer) as http,
        FreeSwitch(
            tmp_path,
            carrier="127.0.0.1:9",
            directory_url=http.url("/directory"),
            cdr_url=http.url("/cdr"),
            **written(database),
        ) as switch,
    ):
        tables = _rows(database, "select tablename from pg_tables where schemaname = 'public'")
        assert {name for (name,) in tables} >= _TABLES
        assert list((tmp_path / "db").iterdir()) == []

        agents = Phones(tmp_path)
        agents.register("1001", PASSWORD, DOMAIN, switch.registrar)
        registered = "select sip_user, sip_host, profile_name, hostname from sip_registrations"
        assert _rows(database, registered) == [("1001", DOMAIN, "internal", "fs1")]
        core = "select reg_user, realm from registrations"
        until(lambda: _rows(database, core) == [("1001", DOMAIN)])

        with switch.link() as link:
            assert link.api("callcenter_config agent add 1001 callback") == "+OK\n"
        assert _rows(database, "select name from agents") == [("1001",)]


def test_calls_go_on_while_the_database_is_away(tmp_path):
    """And new ones work again when it is back; nobody has to start anything."""
    postgres = Postgres(tmp_path / "postgresql", durable=False)
    postgres.start()
    try:
        with (
            HttpSide(answer) as http,
            FreeSwitch(
                tmp_path / "freeswitch",
                carrier="127.0.0.1:9",
                directory_url=http.url("/directory"),
                cdr_url=http.url("/cdr"),
                **_as_uri(postgres.url.replace("+psycopg2", "")),
            ) as switch,
            Phones(tmp_path) as agents,
        ):
            for extension in ("1001", "1002"):
                agents.register(extension, PASSWORD, DOMAIN, switch.registrar)
            with switch.link() as link:
                leg = str(uuid4())
                call = f"originate {{origination_uuid={leg}}}user/1001@{DOMAIN} &park"
                assert link.api(call) == f"+OK {leg}\n"
                postgres.stop()
                assert link.api(f"uuid_exists {leg}") == "true"
                postgres.start()
                assert link.api(f"originate user/1002@{DOMAIN} &park").startswith("+OK ")
                assert link.api(f"uuid_kill {leg}") == "+OK\n"
            assert leg in http.wait_for(1, "/cdr")[0].path
    finally:
        postgres.remove()


def test_without_its_database_it_does_not_start(tmp_path):
    """It ends, to be started again, and does not go on with files of its own."""
    switch = FreeSwitch(
        tmp_path,
        carrier="127.0.0.1:9",
        directory_url="http://127.0.0.1:9/",
        cdr_url="http://127.0.0.1:9/",
        FREESWITCH_DATABASE=f"postgresql://nobody@127.0.0.1:{free_port()}/none",
    )
    with pytest.raises(AssertionError, match="Cannot load modules"):
        switch.start()
    assert list((tmp_path / "db").iterdir()) == []
