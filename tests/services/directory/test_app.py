"""The directory, as a switch and as the product's own commands see it."""

from hashlib import md5
from urllib.parse import parse_qs, urlencode
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest

from services.directory import store
from services.directory.app import create_app
from services.directory.handlers import Users, a1_hash
from shared import basic_auth, health
from shared.broker import topology
from shared.broker.commands import CommandConsumer
from shared.broker.connection import Broker
from shared.broker.message import Message
from shared.database.engine import open_engine, reaching
from shared.messages import replies
from shared.messages.commands import CreateUser, DeleteUser, Ordered, Owner
from shared.messages.replies import Refused
from tests import recordings
from tests.waiting import until

RIGHT = ("switch", "password")
DOMAIN = "test.local"
PASSWORD = "s3cret-enough"


def application(engine):
    """Return the app on a database, put together as the process does."""

    def find_user(domain, extension):
        with reaching():
            return store.find(engine, domain, extension)

    return create_app(
        domain=DOMAIN,
        find_user=find_user,
        authenticate=basic_auth.required(*RIGHT),
        health=health.blueprint({}),
    )


@pytest.fixture
def client(engine):
    """Give a switch in front of the directory on the real database."""
    return application(engine).test_client()


@pytest.fixture
def user_1001(engine):
    """Let the user of the recordings exist, and no longer than the test."""
    store.remove(engine, DOMAIN, "1001")
    create(engine, extension="1001", password=PASSWORD)
    yield
    store.remove(engine, DOMAIN, "1001")


def create(engine, **fields):
    """Create a user as the command does."""
    return Users(engine, DOMAIN).create(Ordered(uuid4(), CreateUser(**fields)))


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


def test_a_user_of_another_domain_is_found_there_only(client, engine, word):
    """The hash is of the domain as well."""
    create(engine, extension=word[:8], domain=f"{word}.example", password=PASSWORD)

    there = ask(client, changed(user=word[:8], key_value=f"{word}.example"))
    assert params(there)["a1-hash"] == a1_hash(word[:8], f"{word}.example", PASSWORD)
    assert is_not_found(ask(client, changed(user=word[:8])))


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


def no_database():
    """Return an engine on a port where nobody listens."""
    return open_engine("postgresql://voice:none@127.0.0.1:1/voice")


def test_what_is_known_without_the_database_is_answered_without_it():
    """The domain, and what we do not serve."""
    client = application(no_database()).test_client()

    assert ask(client, changed(purpose="gateways")).status_code == 200
    assert is_not_found(ask(client, changed(section="dialplan")))


def test_a_value_that_must_not_reach_a_switch_hides_its_user(engine, client, word):
    """Whoever wrote it into the table past us gains nothing."""
    store.create(engine, DOMAIN, word[:8], a1_hash="${system id}", created_by=uuid4())

    assert is_not_found(ask(client, changed(user=word[:8])))


def test_a_huge_body_is_refused(client):
    """A lookup is a few kilobytes."""
    assert ask(client, b"x=" + b"y" * 300_000).status_code == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_lookups_are_posted_only(client, method):
    """mod_xml_curl can do both; a GET would leave digests in logs."""
    assert client.open("/directory", method=method, auth=RIGHT).status_code == 405


# -- commands --------------------------------------------------------------------------------


@pytest.fixture
def directory(rabbit, channel, engine):  # noqa: ARG001
    """Give the broker behind which the real handlers work."""
    with_handlers = Broker(rabbit.url, name="directory")
    consumer = CommandConsumer(with_handlers, Owner.DIRECTORY, Users(engine, DOMAIN).handlers)
    with_handlers.start()
    until(lambda: with_handlers.connected)
    yield with_handlers
    consumer.stop()
    with_handlers.stop()


def order(broker, command, command_id=None):
    """Send a command and return what it is answered."""
    correlation_id = str(uuid4())
    reply = broker.request(
        Message(
            exchange=topology.COMMANDS,
            routing_key=command.NAME,
            type=command.NAME,
            body=command.encode(),
            message_id=str(command_id or uuid4()),
            correlation_id=correlation_id,
            reply_to="amq.rabbitmq.reply-to",
        )
    )
    return replies.read(reply.result(10))


def test_a_user_exists_from_the_reply_on(directory, client, word):
    """And from the deletion's on no longer."""
    extension = word[:8]
    made = order(directory, CreateUser(extension=extension, password=PASSWORD))
    assert made == {"extension": extension, "domain": DOMAIN}
    found = params(ask(client, changed(user=extension)))
    assert found["a1-hash"] == a1_hash(extension, DOMAIN, PASSWORD)

    gone = order(directory, DeleteUser(extension=extension))
    assert gone == {"extension": extension, "domain": DOMAIN}
    assert is_not_found(ask(client, changed(user=extension)))


def test_a_password_that_we_make_is_in_the_reply_and_works(directory, client, word):
    """A different one each time."""
    made = order(directory, CreateUser(extension=word[:8]))
    other = order(directory, CreateUser(extension=word[8:]))

    found = params(ask(client, changed(user=word[:8])))["a1-hash"]
    assert found == a1_hash(word[:8], DOMAIN, made["password"])
    assert made["password"] != other["password"]


def test_the_same_command_again_is_answered_alike(directory, client, word):
    """Its reply may have been lost on the way."""
    command, command_id = CreateUser(extension=word[:8], password=PASSWORD), uuid4()

    assert order(directory, command, command_id) == order(directory, command, command_id)
    assert params(ask(client, changed(user=word[:8])))


def test_another_command_cannot_take_a_user_over(directory, client, word):
    """`exists`; the first one's password stays."""
    order(directory, CreateUser(extension=word[:8], password=PASSWORD))
    with pytest.raises(Refused) as error:
        order(directory, CreateUser(extension=word[:8], password="another-password"))

    assert error.value.code == "exists"
    found = params(ask(client, changed(user=word[:8])))
    assert found["a1-hash"] == a1_hash(word[:8], DOMAIN, PASSWORD)


def test_who_does_not_exist_cannot_be_deleted(directory, word):
    """`not_found`."""
    with pytest.raises(Refused) as error:
        order(directory, DeleteUser(extension=word[:8]))

    assert error.value.code == "not_found"


def test_without_a_database_a_command_is_refused_at_once(rabbit, channel, word):  # noqa: ARG001
    """`unavailable`, for whoever waits for the reply."""
    broker = Broker(rabbit.url, name="directory")
    consumer = CommandConsumer(broker, Owner.DIRECTORY, Users(no_database(), DOMAIN).handlers)
    broker.start()
    until(lambda: broker.connected)
    with pytest.raises(Refused) as error:
        order(broker, CreateUser(extension=word[:8]))
    consumer.stop()
    broker.stop()

    assert error.value.code == "unavailable"
