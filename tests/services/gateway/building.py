"""The gateway's app as these tests put it together, and a CRM's side of its cipher."""

from uuid import UUID

from Crypto.Cipher import AES
from Crypto.Util.Padding import pad

from services.gateway.app import Dependencies, create_app
from services.gateway.auth import Tokens
from services.gateway.cipher import NumberCipher
from services.gateway.commands import CommandBus
from services.gateway.reports.records import Records
from services.gateway.reports.statistics import Statistics
from services.gateway.store import Store
from services.gateway.subscriptions.keeper import Subscriptions
from services.gateway.subscriptions.store import SubscriptionStore
from services.gateway.tokens.store import TokenStore
from services.gateway.webhooks.address import Permitted
from services.gateway.webhooks.redelivery import Redelivery
from services.gateway.webhooks.sender import Sender
from services.gateway.webhooks.store import DeliveryStore
from services.gateway.webhooks.webhooks import Webhooks
from shared import health
from shared.broker.connection import Broker
from shared.broker.events import message_of
from shared.broker.journal import Journal
from shared.database.engine import open_engine
from shared.messages.commands import Command
from shared.messages.events import Event
from shared.vault import Vault

TOKEN = "0123456789abcdef0123456789abcdef"
KEY = "00112233445566778899aabbccddeeff"
IV = "ffeeddccbbaa99887766554433221100"
DOMAIN = "test.local"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
VAULT = Vault({"test": b"k" * 32})
NOWHERE = "127.0.0.1:1"


def encrypted(text: str) -> str:
    """Return a number as a CRM sends it."""
    cipher = AES.new(bytes.fromhex(KEY), AES.MODE_CBC, bytes.fromhex(IV))
    return cipher.encrypt(pad(text.encode(), AES.block_size)).hex()


def no_database():
    """Return an engine on a port where nobody listens."""
    return open_engine(f"postgresql://voice:none@{NOWHERE}/voice")


def no_broker():
    """Return a broker connection that never stands."""
    return Broker(f"amqp://voice:none@{NOWHERE}/%2F", name="nowhere")


def application(bus, *, engine=None, checks=None, broker=None, permitted=""):
    """Return the app; without an engine the database is away, without a broker that one."""
    engine = engine or no_database()
    broker = broker or no_broker()
    journal, log = Journal(broker), DeliveryStore(engine)
    token_store = TokenStore(engine)
    return create_app(
        Dependencies(
            tokens=Tokens(TOKEN, token_store.find),
            token_store=token_store,
            bus=bus,
            cipher=NumberCipher(KEY, IV),
            store=Store(engine),
            records=Records(engine),
            statistics=Statistics(engine),
            journal=journal,
            webhooks=Webhooks(
                Sender(Permitted.parse(permitted)), VAULT, log, Redelivery(broker, journal, log)
            ),
            subscriptions=Subscriptions(broker, SubscriptionStore(engine)),
            domain=DOMAIN,
            health=health.blueprint(checks or {}),
        )
    )


def event(kind="call.ended", subject="c", fact="", **data):
    """Return an event; a `fact` is a number, and stands for that second."""
    at = 1_790_000_000_000_000 + int(fact or 0) * 1_000_000
    return Event(type=kind, source="/switch/fs1", subject=subject, at=at, fact=fact, data=data)


def tell(broker, *events):
    """Publish events, and wait until RabbitMQ has them."""
    for confirmed in [broker.publish(message_of(each)) for each in events]:
        confirmed.result(10)


class FakeBus(CommandBus):
    """Keeps the commands, and answers as a dialer does, or with the error given."""

    def __init__(self) -> None:
        self.forget_all()

    def forget_all(self) -> None:
        """Be as new."""
        self.commands: list[tuple[Command, UUID]] = []
        self.error: Exception | None = None

    def ask(self, command, command_id, *, seconds=None):  # noqa: ARG002
        """Answer at once."""
        self.send(command, command_id)
        return {"call_id": str(command_id), "reply": f"+OK Job-UUID: {command_id}"}

    def send(self, command, command_id):
        """Take the command."""
        self.commands.append((command, command_id))
        if self.error is not None:
            raise self.error
