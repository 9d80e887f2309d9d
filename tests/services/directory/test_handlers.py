"""The directory, as those see it who order something of it: on real servers."""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import delete, select
from structlog.testing import capture_logs

from services.directory import store
from services.directory.handlers import Users
from services.directory.users import owner
from shared.broker import topology
from shared.broker.batches import BatchConsumer
from shared.broker.commands import CommandConsumer
from shared.broker.connection import Broker
from shared.broker.message import Message
from shared.database.tables import RegistrationRow, UserCommandRow, UserRow
from shared.messages import replies
from shared.messages.commands import (
    CreateUser,
    CreateUsers,
    DeleteUser,
    FlushUser,
    NotACommand,
    Ordered,
    Owner,
    UpdateUser,
    parse,
)
from shared.messages.replies import Refused
from shared.messages.users import MOST_USERS, NewUser
from shared.vault import CannotOpen, Vault
from tests.contract import assert_told
from tests.services.directory.building import DOMAIN, PASSWORD, VAULT, no_database, told
from tests.shared.broker.amqp import delivered
from tests.waiting import until


@pytest.fixture
def directory(rabbit, channel, engine):  # noqa: ARG001
    """Give the broker behind which the real handlers work."""
    with_handlers = Broker(rabbit.url, name="directory")
    users = Users(engine, DOMAIN, VAULT, with_handlers.publish)
    consumer = CommandConsumer(with_handlers, Owner.DIRECTORY, users.handlers)
    heard = BatchConsumer(with_handlers, "directory.events", users.hear, ready=lambda: True)
    with_handlers.start()
    heard.start()
    until(lambda: with_handlers.connected)
    yield with_handlers
    consumer.stop()
    heard.stop()
    with_handlers.stop()


@pytest.fixture
def said():
    """Give what the handlers of `users` tell."""
    return []


@pytest.fixture
def users(engine, said):
    """Give the handlers alone."""
    return Users(engine, DOMAIN, VAULT, told(said))


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
    return replies.read(reply.result(20))


def flushes(said):
    """Return what was asked of the dialer."""
    found = []
    for message in said:
        if message.type == FlushUser.NAME:
            said = orjson.loads(message.body)
            found.append((said["extension"], said["unregister"]))
    return found


def changes(said):
    """Return what was told of users."""
    found = []
    for message in said:
        if message.type == "user.changed":
            assert_told(message.body)
            data = orjson.loads(message.body)["data"]
            found.append((data["extension"], data["change"]))
    return found


def password(engine, extension):
    """Return the user's password as a switch would find it."""
    known = store.find(engine, DOMAIN, extension)
    return None if known is None else VAULT.open(known.password, owner(DOMAIN, extension))


def password_opens(engine, extension):
    """Tell whether the directory's own key opens the user's password."""
    try:
        return password(engine, extension) is not None
    except CannotOpen:
        return False


# -- create ----------------------------------------------------------------------------------


def test_a_user_exists_from_the_reply_on(directory, engine, extension):
    """And from the deletion's on no longer."""
    made = order(directory, CreateUser(extension=extension, password=PASSWORD))
    assert made == {"extension": extension, "domain": DOMAIN}
    assert password(engine, extension) == PASSWORD

    gone = order(directory, DeleteUser(extension=extension))
    assert gone == made
    assert password(engine, extension) is None


def test_a_password_that_we_make_is_in_the_reply_and_works(directory, engine, extension):
    """Also in the reply to the same command once more: the first one may have been lost."""
    command, command_id = CreateUser(extension=extension), uuid4()
    made = order(directory, command, command_id)

    assert password(engine, extension) == made["password"]
    assert len(made["password"]) >= 20
    assert order(directory, command, command_id) == made


def test_no_password_stands_in_the_table(directory, engine, extension):
    """Neither of the two."""
    made = order(directory, CreateUser(extension=extension, voicemail_password="4711"))

    with engine.connect() as connection:
        row = store.lock(connection, DOMAIN, extension)
    assert row is not None
    assert made["password"] not in str(row)
    assert "4711" not in row.voicemail_password
    assert row.password.startswith("test:")
    with engine.connect() as connection:
        kept = connection.execute(select(UserCommandRow.answer)).scalars().all()
    assert not any(made["password"] in answer for answer in kept)


def test_another_command_cannot_take_a_user_over(directory, engine, extension):
    """`exists`; the first one's password stays."""
    order(directory, CreateUser(extension=extension, password=PASSWORD))
    with pytest.raises(Refused) as error:
        order(directory, CreateUser(extension=extension, password="another-p4ssword"))

    assert error.value.code == "exists"
    assert password(engine, extension) == PASSWORD


def test_ten_thousand_users_are_created_at_once(directory, engine, word):
    """Each with a password of its own, in the order of the list."""
    domain = f"{word}.example"
    numbers = [f"{30_000_000 + number}" for number in range(MOST_USERS)]
    command = CreateUsers(
        users=tuple(NewUser(extension=number, domain=domain) for number in numbers)
    )
    made = order(directory, command)["users"]

    assert [user["extension"] for user in made] == numbers
    assert len({user["password"] for user in made}) == MOST_USERS
    known = store.find(engine, domain, numbers[-1])
    assert known is not None
    assert VAULT.open(known.password, owner(domain, numbers[-1])) == made[-1]["password"]
    with engine.begin() as connection:  # other tests go through all users
        connection.execute(delete(UserRow).where(UserRow.domain == domain))


def test_of_a_list_with_one_bad_row_nobody_is_created(users, engine, extension):
    """A user who exists, or who is there twice; the row is named."""
    others = [f"{int(extension) + number}" for number in (1, 2)]
    users.create(Ordered(uuid4(), CreateUser(extension=extension)))
    for third, code in ((extension, "exists"), (others[0], "invalid")):
        listed = tuple(NewUser(extension=number) for number in (*others, third))
        with pytest.raises(Refused, match=r"row 3: extension: '[0-9]+'") as error:
            users.create_many(Ordered(uuid4(), CreateUsers(users=listed)))
        assert error.value.code == code
    assert [password(engine, other) for other in others] == [None, None]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"users": []}, "users"),
        ({"users": [{"extension": "1001"}, {"extension": "x"}]}, "row 2: extension"),
        ({"users": [{"extension": "1001", "display_name": "a\nb"}]}, "row 1: display_name"),
        ({"users": 1}, "users"),
        ({"extension": "1001", "variables": {"api_on_answer": "system id"}}, "api_on_answer"),
        ({"extension": "1001", "password": "password1234"}, "tried first"),
        ([], "body"),
    ],
)
def test_what_is_no_user_is_no_command(body, said):
    """With the row, the field and the reason."""
    with pytest.raises(NotACommand, match=said):
        parse(
            name="user.create",
            routing_key="user.create",
            message_id=str(uuid4()),
            body=orjson.dumps(body),
            owner=Owner.DIRECTORY,
        )


# -- update and delete -----------------------------------------------------------------------


def test_what_is_given_changes_and_nothing_else(users, engine, said, extension):
    """Null brings a field's own default back; a change is told, and switches forget the user."""
    users.create(Ordered(uuid4(), CreateUser(extension=extension, group="sales", accountcode="a")))
    users.update(Ordered(uuid4(), UpdateUser(extension=extension, group=None, display_name="Ann")))
    known = store.find(engine, DOMAIN, extension)

    assert known is not None
    assert (known.group, known.accountcode, known.display_name) == ("default", "a", "Ann")
    assert changes(said) == [(extension, "created"), (extension, "updated")]
    assert flushes(said) == [(extension, False)]


def test_a_new_password_is_shown_and_the_same_for_the_same_command(users, engine, extension):
    """A reply may be lost; the phone must not be told a password that is over already."""
    users.create(Ordered(uuid4(), CreateUser(extension=extension, password=PASSWORD)))
    rotation = Ordered(uuid4(), UpdateUser(extension=extension, new_password=True))
    made = users.update(rotation)

    assert users.update(rotation) == made
    assert password(engine, extension) == made["password"] != PASSWORD
    given = users.update(Ordered(uuid4(), UpdateUser(extension=extension, password=PASSWORD)))
    assert "password" not in given
    assert password(engine, extension) == PASSWORD


def test_a_command_that_comes_again_does_nothing_whatever_happened_since(users, engine, extension):
    """It is answered as it was the first time, and undoes nothing that came after it."""
    creation = Ordered(uuid4(), CreateUser(extension=extension))
    enabling = Ordered(uuid4(), UpdateUser(extension=extension, enabled=True))
    deletion = Ordered(uuid4(), DeleteUser(extension=extension))
    made = users.create(creation)
    users.update(enabling)
    users.update(Ordered(uuid4(), UpdateUser(extension=extension, enabled=False)))
    users.update(Ordered(uuid4(), UpdateUser(extension=extension, password=PASSWORD)))
    users.update(enabling)
    assert password(engine, extension) is None
    assert users.create(creation) == made

    users.delete(deletion)
    users.create(Ordered(uuid4(), CreateUser(extension=extension, password=PASSWORD)))
    assert users.delete(deletion) == {"extension": extension, "domain": DOMAIN}
    assert password(engine, extension) == PASSWORD


def test_an_answer_whose_key_is_gone_is_not_made_up(engine, users, extension):
    """Nor is the command carried out once more; old commands are forgotten in the end."""
    creation = Ordered(uuid4(), CreateUser(extension=extension))
    users.create(creation)
    other = Users(engine, DOMAIN, Vault({"new": b"n" * 32}), told([]))
    with pytest.raises(Refused) as error:
        other.create(creation)
    assert error.value.code == "no_answer"

    users.forget_commands()
    assert users.create(creation)["password"]
    store.forget_commands(engine, before=datetime.now(UTC))
    with pytest.raises(Refused) as error:
        users.create(creation)
    assert error.value.code == "exists"


def test_who_is_disabled_or_deleted_is_thrown_out(users, engine, said, extension):
    """His phone is registered still."""
    users.create(Ordered(uuid4(), CreateUser(extension=extension)))
    users.update(Ordered(uuid4(), UpdateUser(extension=extension, enabled=False)))
    assert password(engine, extension) is None
    assert flushes(said) == [(extension, True)]

    deletion = Ordered(uuid4(), DeleteUser(extension=extension))
    assert users.delete(deletion) == users.delete(deletion)
    assert flushes(said) == [(extension, True)] * 3
    # Told once more under the same id: the first try may have ended before it told anybody.
    ids = [message.message_id for message in said if message.type == FlushUser.NAME]
    assert ids[1] == ids[2] != ids[0]
    assert [UUID(one) for one in ids]


@pytest.mark.parametrize("command", [DeleteUser, UpdateUser])
def test_who_does_not_exist_is_not_changed(directory, extension, command):
    """`not_found`."""
    with pytest.raises(Refused) as error:
        order(directory, command(extension=extension))

    assert error.value.code == "not_found"


def test_without_a_database_a_command_is_refused_at_once(rabbit, channel, extension):  # noqa: ARG001
    """`unavailable`, for whoever waits for the reply."""
    broker = Broker(rabbit.url, name="directory")
    handlers = Users(no_database(), DOMAIN, VAULT, broker.publish).handlers
    consumer = CommandConsumer(broker, Owner.DIRECTORY, handlers)
    broker.start()
    until(lambda: broker.connected)
    with pytest.raises(Refused) as error:
        order(broker, CreateUser(extension=extension))
    consumer.stop()
    broker.stop()

    assert error.value.code == "unavailable"


# -- keys ------------------------------------------------------------------------------------


def test_users_without_a_password_are_warned_of(users, engine, extension):
    """An early version kept hashes, which are none: such a user cannot be called."""
    users.create(Ordered(uuid4(), CreateUser(extension=extension)))
    with engine.begin() as connection:
        store.change(connection, DOMAIN, extension, {"password": None})
    with capture_logs() as said:
        users.warn_of_passwordless()
    assert [line["users"] >= 1 for line in said] == [True]
    with engine.begin() as connection:
        store.remove(connection, DOMAIN, extension)


def test_a_new_key_seals_all_that_is_there(users, engine, extension):
    """After which the old one may go."""
    users.create(Ordered(uuid4(), CreateUser(extension=extension, voicemail_password="4711")))
    new = Vault({"new": b"n" * 32, "test": b"k" * 32})
    Users(engine, DOMAIN, new, told([])).seal_anew()

    known = store.find(engine, DOMAIN, extension)
    assert known is not None
    alone = Vault({"new": b"n" * 32})
    assert known.voicemail_password is not None
    assert alone.open(known.voicemail_password, owner(DOMAIN, extension)) == "4711"
    assert alone.open(known.password, owner(DOMAIN, extension))
    # One that no key opens is left as it is, and stops nobody else.
    with engine.begin() as connection:
        store.change(connection, DOMAIN, extension, {"voicemail_password": "gone:AAAA"})
    back = Vault({"test": b"k" * 32, "new": b"n" * 32})
    Users(engine, DOMAIN, back, told([])).seal_anew()
    assert not password_opens(engine, extension)
    with engine.begin() as connection:
        store.change(connection, DOMAIN, extension, {"voicemail_password": None})
    Users(engine, DOMAIN, back, told([])).seal_anew()
    assert password(engine, extension)


# -- registrations ---------------------------------------------------------------------------


def registration(extension, kind, second, switch="fs1"):
    """Return an event as the events service tells it."""
    return orjson.dumps(
        {
            "type": f"user.{kind}",
            "time": datetime(2026, 11, 23, 12, 0, second, tzinfo=UTC).isoformat(),
            "data": {"extension": extension, "domain": DOMAIN, "switch": switch},
        }
    )


def delivery(body):
    """Return a message that was delivered."""
    return delivered("directory.events", body)


def registered(engine, extension):
    """Return on which switches the user is registered."""
    with engine.connect() as connection:
        rows = connection.execute(
            select(RegistrationRow.__table__).where(RegistrationRow.extension == extension)
        )
        return {row.switch for row in rows if row.registered}


def _is(ask, expected):
    return ask() == expected


def test_who_is_registered_is_known_by_events(directory, engine, extension):
    """As the queue brings them."""
    for kind, expected in (("registered", {"fs1"}), ("unregistered", set())):
        second = len(kind)
        message = Message(
            exchange=topology.EVENTS,
            routing_key=f"user.{kind}",
            body=registration(extension, kind, second),
        )
        directory.publish(message).result(10)
        until(partial(_is, partial(registered, engine, extension), expected))


def test_the_order_of_registrations_does_not_matter_nor_their_repetition(users, engine, extension):
    """The latest one counts, on each switch; what is no registration is left out."""
    first, last = (
        registration(extension, kind, s) for kind, s in (("registered", 1), ("unregistered", 2))
    )
    other = registration(extension, "registered", 1, "fs2")
    users.hear([delivery(body) for body in (last, first, b"nonsense", b"{}", other, last)])
    users.hear([delivery(first)])

    assert registered(engine, extension) == {"fs2"}
