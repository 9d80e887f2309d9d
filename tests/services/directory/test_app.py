"""The directory, as a switch sees it."""

import threading
from hashlib import md5
from urllib.parse import parse_qs, urlencode
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest

from services.directory import store
from services.directory.cache import Impatient, UserCache
from services.directory.handlers import Users
from services.directory.users import a1_hash
from shared.messages.commands import CreateUser, Ordered, UpdateUser
from tests import recordings
from tests.services.directory.building import (
    ALIAS,
    DOMAIN,
    PASSWORD,
    RIGHT,
    VAULT,
    application,
    asking,
    no_database,
    told,
)


@pytest.fixture
def client(engine):
    """Give a switch in front of the directory on the real database."""
    return application(engine).test_client()


@pytest.fixture
def user_1001(engine):
    """Let the user of the recordings exist, and no longer than the test."""
    remove(engine, "1001")
    create(engine, extension="1001", password=PASSWORD)
    yield
    remove(engine, "1001")


def users(engine):
    """Return the handlers of commands, with nobody who hears what they tell."""
    return Users(engine, DOMAIN, VAULT, told([]))


def create(engine, **fields):
    """Create a user as the command does."""
    return users(engine).create(Ordered(uuid4(), CreateUser(**fields)))


def change(engine, **fields):
    """Change a user as the command does."""
    return users(engine).update(Ordered(uuid4(), UpdateUser(**fields)))


def remove(engine, extension):
    """Have no such user."""
    with engine.begin() as connection:
        store.remove(connection, DOMAIN, extension)


def lookups():
    """Return what a real switch posted, to the byte."""
    return [post["body"] for post in recordings.posts("s14", "directory")]


def ask(client, body, auth=RIGHT):
    """Post a lookup as mod_xml_curl does."""
    return client.post(
        "/directory",
        data=body,
        content_type="application/x-www-form-urlencoded",
        headers={"User-Agent": "freeswitch-xml/1.0"},
        auth=auth,
    )


def changed(**fields):
    """Return the recorded lookup with other fields."""
    form = {name: values[0] for name, values in parse_qs(lookups()[0]).items()}
    return urlencode({**form, **fields})


def is_not_found(response):
    """Tell whether this is the answer that there is no such thing: a good one, not an error."""
    (result,) = ET.fromstring(response.data).iter("result")  # noqa: S314  (our own)
    return (response.status_code, result.get("status")) == (200, "not found")


def params(response):
    """Return the parameters of the user in an answer."""
    assert response.status_code == 200
    assert response.mimetype == "text/xml"
    user = ET.fromstring(response.data).find(".//user")  # noqa: S314  (our own)
    assert user is not None
    return {param.get("name"): param.get("value") for param in user.iter("param")}


# -- the switch ------------------------------------------------------------------------------


@pytest.mark.parametrize("body", lookups())
@pytest.mark.usefixtures("user_1001")
def test_a_recorded_lookup_gets_its_user(client, body):
    """Registration and call ask differently for the same user."""
    response = ask(client, body)

    assert params(response) == {
        "a1-hash": a1_hash("1001", DOMAIN, PASSWORD),
        "allow-empty-password": "false",
    }
    root = ET.fromstring(response.data)  # noqa: S314  (our own)
    assert root.find("./section/domain[@name='test.local']//user[@id='1001']") is not None
    assert PASSWORD not in response.text


@pytest.mark.usefixtures("user_1001")
def test_a_phone_that_knows_the_password_is_let_in(client):
    """RFC 2617, 3.2.2: the switch computes the response from our hash, the phone from the password.

    Nonce, method, counter and the rest are those that a real phone sent.
    """
    form = {name: values[0] for name, values in parse_qs(lookups()[0]).items()}
    said = {name.removeprefix("sip_auth_"): value for name, value in form.items()}

    def response(a1):
        a2 = md5(f"{said['method']}:{said['uri']}".encode()).hexdigest()  # noqa: S324
        parts = (a1, said["nonce"], said["nc"], said["cnonce"], said["qop"], a2)
        return md5(":".join(parts).encode()).hexdigest()  # noqa: S324

    def phone(password):
        secret = f"{said['username']}:{said['realm']}:{password}"
        return response(md5(secret.encode()).hexdigest())  # noqa: S324

    a1 = params(ask(client, lookups()[0]))["a1-hash"]
    assert response(a1) == phone(PASSWORD)
    assert response(a1) != phone("another-password")


@pytest.mark.parametrize(
    "fields",
    [
        {"user": "1002x"},
        {"user": "1001\n"},
        {"user": "10 01"},
        {"user": "1001\0"},
        {"user": "' OR ''='"},
        {"user": "x" * 10_000},
        {"user": "\u0661001"},
        {"key_value": "other.local"},
        {"key_value": "other.local", "user": ""},
        {"key_value": ""},
        {"section": "dialplan"},
        {"section": "configuration", "tag_name": "configuration", "key_value": "acl.conf"},
        {"section": ""},
        {"key": "number-alias"},
    ],
)
@pytest.mark.usefixtures("user_1001")
def test_what_is_not_there_is_not_found(client, fields):
    """200 and a document: the switch takes every other status for our failure."""
    assert is_not_found(ask(client, changed(**fields)))


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"\xff\xfe\0", b"section=directory", b"&=&" * 99]
)
def test_what_is_no_lookup_is_not_found(client, body):
    """Whatever it is."""
    assert is_not_found(ask(client, body))


@pytest.mark.usefixtures("user_1001")
def test_the_domain_alone_has_no_user_in_its_answer(client):
    """The switch asks for it at start, for gateways and lists."""
    for fields in ({"user": ""}, {"purpose": "gateways"}, {"purpose": "network-list"}):
        response = ask(client, changed(**fields))
        assert b'<domain name="test.local">' in response.data
        assert b"<user " not in response.data


@pytest.mark.usefixtures("user_1001")
def test_the_domain_s_capitals_do_not_matter(client):
    """Names of hosts have none."""
    assert params(ask(client, changed(key_value="Test.LOCAL")))["a1-hash"]


def test_a_user_of_another_domain_is_found_there_only(client, engine, extension, word):
    """The hash is of the domain as well."""
    domain = f"{word}.example"
    create(engine, extension=extension, domain=domain, password=PASSWORD)

    there = ask(client, changed(user=extension, key_value=domain, sip_auth_realm=domain))
    assert params(there)["a1-hash"] == a1_hash(extension, domain, PASSWORD)
    assert is_not_found(ask(client, changed(user=extension)))
    assert b"<domain" in ask(client, changed(user="", key_value=domain)).data


@pytest.mark.usefixtures("user_1001")
def test_the_domain_has_other_names(client):
    """A phone may ask by an address; its digest is made for the name that it knows."""
    response = ask(client, changed(key_value=ALIAS, sip_auth_realm=ALIAS))

    assert params(response)["a1-hash"] == a1_hash("1001", ALIAS, PASSWORD)
    assert f'<domain name="{ALIAS}">'.encode() in response.data


@pytest.mark.usefixtures("user_1001")
def test_a_phone_that_challenges_the_switch_can_be_answered(client):
    """With the password in plain, which no other lookup gets, before or after."""
    for _ in range(2):
        assert "reverse-auth-pass" not in params(ask(client, changed()))
        found = params(ask(client, changed(action="reverse-auth-lookup")))
        assert (found["reverse-auth-user"], found["reverse-auth-pass"]) == ("1001", PASSWORD)


def test_a_group_is_called_by_its_members(client, engine, extension, word):
    """Those who may register; the others are not there."""
    made = [str(int(extension) // 10 * 10 % 10**8 + digit).zfill(8) for digit in range(3)]
    for one in made:
        create(engine, extension=one, group=word)
    change(engine, extension=made[1], enabled=False)

    body = changed(action="group_call", group=word, user="")
    users = ET.fromstring(ask(client, body).data).iter("user")  # noqa: S314  (our own)
    assert [user.get("id") for user in users] == [made[0], made[2]]
    assert is_not_found(ask(client, changed(action="group_call", group="nobody", user="")))


@pytest.mark.usefixtures("user_1001")
def test_a_disabled_user_is_not_there(engine):
    """Not a user without a password: FreeSWITCH lets those in."""
    change(engine, extension="1001", enabled=False)
    assert is_not_found(ask(application(engine).test_client(), changed()))

    change(engine, extension="1001", enabled=True)
    assert params(ask(application(engine).test_client(), changed()))["a1-hash"]


@pytest.mark.parametrize(
    "post", [post for name in recordings.names() for post in recordings.posts(name, "directory")]
)
@pytest.mark.usefixtures("user_1001")
def test_every_recorded_lookup_gets_an_answer_that_a_switch_accepts(client, post):
    """200, a whole document, and in it the domain that was asked for or "not found"."""
    form = {name: values[0] for name, values in parse_qs(post["body"]).items()}
    response = ask(client, post["body"])
    root = ET.fromstring(response.data)  # noqa: S314  (our own)

    assert (response.status_code, root.tag, root.get("type")) == (
        200,
        "document",
        "freeswitch/xml",
    )
    found = root.find("./section[@name='directory']/domain")
    if found is None:
        assert is_not_found(response)
        assert form.get("user") != "1001"
    else:
        assert found.get("name") == form["key_value"]


@pytest.mark.parametrize("auth", [None, ("switch", "wrong"), ("other", "password"), ("", "")])
@pytest.mark.usefixtures("user_1001")
def test_only_the_switch_may_ask(client, auth):
    """Every refusal is the same."""
    response = ask(client, lookups()[0], auth=auth)

    assert (response.status_code, response.text) == (401, "wrong credentials\n")
    assert response.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize("body", lookups())
def test_without_a_database_nobody_is_told_anything(body):
    """An error and no document: neither "no such user", nor a user without a password."""
    response = ask(application(no_database()).test_client(), body)

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert b"<" not in response.data


@pytest.mark.usefixtures("user_1001")
def test_who_is_known_is_told_without_a_database(engine):
    """A storm of registrations after a database's end ends no phone's."""
    gone = threading.Event()

    def find(domain, extension):
        return asking(store.find, no_database() if gone.is_set() else engine)(domain, extension)

    clock = iter(range(0, 10_000, 100))
    cache = UserCache(find, clock=lambda: next(clock))
    client = application(engine, cache).test_client()
    first = ask(client, changed())
    gone.set()

    assert ask(client, changed()).data == first.data
    assert ask(client, changed(user="1002")).status_code == 503


def _hang(event):
    event.wait(30)


def test_a_database_that_hangs_is_not_waited_for():
    """One lookup waits for a bounded time, and those that follow not at all for a moment."""
    hangs = threading.Event()
    find: Impatient[..., None] = Impatient(lambda *_: _hang(hangs), seconds=0.05, rest_seconds=60)
    client = application(no_database(), UserCache(find)).test_client()

    for _ in range(2):
        assert ask(client, changed()).status_code == 503
    hangs.set()
    assert ask(client, changed()).status_code == 503


def test_what_is_known_without_the_database_is_answered_without_it():
    """The domain, and what we do not serve."""
    client = application(no_database()).test_client()

    assert ask(client, changed(purpose="gateways")).status_code == 200
    assert is_not_found(ask(client, changed(section="dialplan")))


@pytest.mark.usefixtures("user_1001")
def test_what_must_not_reach_a_switch_hides_its_user(engine, client):
    """Whoever wrote it into the table past us gains nothing."""
    with engine.begin() as connection:
        store.change(connection, DOMAIN, "1001", {"display_name": "${system id}"})

    assert is_not_found(ask(client, changed()))


@pytest.mark.parametrize("wrong", ["test:none", "x:y"])
@pytest.mark.usefixtures("user_1001")
def test_a_user_whose_password_cannot_be_opened_is_for_another_directory(engine, client, wrong):
    """One that has the key: the switch asks its second URL. Nobody is let in without."""
    with engine.begin() as connection:
        store.change(connection, DOMAIN, "1001", {"password": wrong})

    assert ask(client, changed()).status_code == 503


@pytest.mark.usefixtures("user_1001")
def test_realms_of_a_stranger_s_choice_are_not_remembered(engine):
    """Any number of them, of any length; those of the domain's own names are."""
    cache = UserCache(asking(store.find, engine))
    client = application(engine, cache).test_client()
    for number in range(9):
        assert params(ask(client, changed(sip_auth_realm=f"{number}" * 1000)))["a1-hash"]
    for realm in (DOMAIN, ALIAS):
        assert params(ask(client, changed(sip_auth_realm=realm)))["a1-hash"]

    entry = cache.find(DOMAIN, "1001")
    assert entry is not None
    assert {realm for _, realm in entry.documents} == {DOMAIN, ALIAS}


def test_a_huge_body_is_refused(client):
    """A lookup is a few kilobytes."""
    assert ask(client, b"x=" + b"y" * 300_000).status_code == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_lookups_are_posted_only(client, method):
    """mod_xml_curl can do both; a GET would leave digests in logs."""
    assert client.open("/directory", method=method, auth=RIGHT).status_code == 405
