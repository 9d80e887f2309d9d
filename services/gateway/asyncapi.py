"""What the broker carries, as AsyncAPI 3.0, made from the catalogues of events and commands.

It is the document of a client: a client receives events and sends commands.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from services.gateway.schemas import (
    CreatedUser,
    CreatedUsers,
    DialledCall,
    Flushed,
    Forgotten,
    NamedUser,
)
from shared.broker import topology
from shared.broker.message import JSON
from shared.messages.commands import CATALOGUE, CreateUsers
from shared.messages.event_schema import schema_of
from shared.messages.events import CONTENT_TYPE, EVENTS
from shared.messages.shapes import Schema, shape_of

# What the reply to each command holds; one of several, where it depends on the body.
REPLIES: Mapping[str, Sequence[type[BaseModel]]] = {
    "call.originate": (DialledCall,),
    "user.create": (CreatedUser, CreatedUsers),
    "user.update": (CreatedUser,),
    "user.delete": (NamedUser,),
    "user.flush": (Flushed,),
    "cdr.forget": (Forgotten,),
}

_Object = dict[str, Any]

_AMQP = {"bindingVersion": "0.3.0"}
_REPLY = ".reply"
_SELECTORS = ("product_code", "direction", "queue", "switch")
_ABOUT = """What voice-api's clients receive and send over RabbitMQ (AMQP 0.9.1).

Events are CloudEvents 1.0 in structured mode, delivered at least once: the same `id` is the same
fact, and `sequence` counts the events of a call without a gap. A published shape never changes."""
_HOW_TO_COMMAND = """Publish with `mandatory` and confirms: `type` = routing key = the command's
name, `message_id` = a UUID, under which it is carried out once however often it is sent,
`delivery_mode` 2, `content_type` application/json. Who wants a reply gives `reply_to` and
`correlation_id`."""


def document() -> _Object:
    """Return the AsyncAPI document."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "voice-api", "version": "1", "description": _ABOUT},
        "defaultContentType": JSON,
        "servers": {"broker": _server()},
        "channels": {
            "events": _events(),
            "subscription": _subscription(),
            "journal": _journal(),
            "commands": _commands(),
            "replies": _replies(),
        },
        "operations": _receiving() | {name: _sending(name) for name in CATALOGUE},
        "components": {
            "messages": {kind: _event(kind) for kind in EVENTS}
            | {name: _command(name) for name in CATALOGUE}
            | {name + _REPLY: _reply(name) for name in CATALOGUE},
            "schemas": {kind: _payload(kind) for kind in EVENTS}
            | {name: _body(name) for name in CATALOGUE}
            | {name + _REPLY: _answer(name) for name in CATALOGUE},
            "messageTraits": {"event": _event_trait()},
            "securitySchemes": {
                "account": {"type": "userPassword", "description": "An account on the broker."}
            },
        },
    }


# -- where it is carried ------------------------------------------------------------------------


def _server() -> _Object:
    return {
        "host": "{host}:{port}",
        "pathname": "/{vhost}",
        "protocol": "amqp",
        "protocolVersion": "0.9.1",
        "description": "The RabbitMQ of your installation.",
        "variables": {
            "host": {"default": "localhost"},
            "port": {"default": "5672"},
            "vhost": {"default": "", "description": "None is the default one, `/`."},
        },
        "security": [_ref("components", "securitySchemes", "account")],
    }


def _events() -> _Object:
    return {
        "address": "{type}",
        "title": "Business events",
        "description": "Bind a durable queue of your own with the types that you want as keys; "
        "`#` is all of them.",
        "parameters": {
            "type": {
                "description": "The routing key is the event's type.",
                "enum": list(EVENTS),
                "location": "$message.payload#/type",
            }
        },
        "messages": _messages(EVENTS),
        "bindings": _exchange(topology.EVENTS),
    }


def _subscription() -> _Object:
    return {
        "address": "{queue}",
        "title": "A subscription's queue",
        "description": "A durable quorum queue that is bound to the types asked for.",
        "parameters": {"queue": {"description": "The queue's name."}},
        "messages": _messages(EVENTS),
        "bindings": _queue(),
    }


def _journal() -> _Object:
    return {
        "address": topology.JOURNAL,
        "title": "The journal",
        "description": "A stream of all events of the last days. It is read with a prefetch, "
        "acks, and the consumer argument `x-stream-offset`.",
        "messages": _messages(EVENTS),
        "bindings": _queue(name=topology.JOURNAL),
    }


def _commands() -> _Object:
    return {
        "address": "{name}",
        "title": "Commands",
        "description": _HOW_TO_COMMAND,
        "parameters": {
            "name": {"description": "The routing key is the name.", "enum": list(CATALOGUE)}
        },
        "messages": _messages(CATALOGUE),
        "bindings": _exchange(topology.COMMANDS),
    }


def _replies() -> _Object:
    return {
        "address": None,
        "title": "Replies",
        "description": "The queue that the command's `reply_to` names, "
        "`amq.rabbitmq.reply-to` for example.",
        "messages": _messages([name + _REPLY for name in CATALOGUE]),
    }


def _exchange(name: str) -> _Object:
    exchange = {"name": name, "type": "topic", "durable": True, "autoDelete": False}
    return {"amqp": {"is": "routingKey", "exchange": exchange, **_AMQP}}


def _queue(**more: str) -> _Object:
    queue = {"durable": True, "exclusive": False, "autoDelete": False, **more}
    return {"amqp": {"is": "queue", "queue": queue, **_AMQP}}


# -- what a client does -------------------------------------------------------------------------


def _receiving() -> _Object:
    told = {
        "receiveEvents": ("events", "Receive events as they are told."),
        "receiveSubscription": ("subscription", "Receive the events of a subscription."),
        "replayEvents": ("journal", "Receive events again, from an offset or a time."),
    }
    return {
        name: {
            "action": "receive",
            "channel": _ref("channels", channel),
            "summary": summary,
            "bindings": {"amqp": {"ack": True, **_AMQP}},
        }
        for name, (channel, summary) in told.items()
    }


def _sending(name: str) -> _Object:
    return {
        "action": "send",
        "channel": _ref("channels", "commands"),
        "summary": CATALOGUE[name].__doc__,
        "messages": [_ref("channels", "commands", "messages", name)],
        "bindings": {"amqp": {"deliveryMode": 2, "mandatory": True, **_AMQP}},
        "reply": {
            "address": {"location": "$message.header#/reply_to"},
            "channel": _ref("channels", "replies"),
            "messages": [_ref("channels", "replies", "messages", name + _REPLY)],
        },
    }


# -- what is said -------------------------------------------------------------------------------


def _event_trait() -> _Object:
    return {
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "description": "What subscriptions select by; only on events of a call.",
            "properties": {name: {"type": "string"} for name in _SELECTORS},
        },
    }


def _event(kind: str) -> _Object:
    return {
        "name": kind,
        "title": kind,
        "summary": EVENTS[kind].__doc__,
        "traits": [_ref("components", "messageTraits", "event")],
        "payload": _ref("components", "schemas", kind),
        "bindings": {"amqp": {"messageType": kind, **_AMQP}},
    }


def _command(name: str) -> _Object:
    return {
        "name": name,
        "title": name,
        "summary": CATALOGUE[name].__doc__,
        "contentType": JSON,
        "correlationId": {"location": "$message.header#/correlation_id"},
        "payload": _ref("components", "schemas", name),
        "bindings": {"amqp": {"messageType": name, **_AMQP}},
    }


def _reply(name: str) -> _Object:
    return {
        "name": name + _REPLY,
        "title": f"Reply to {name}",
        "contentType": JSON,
        "correlationId": {"location": "$message.header#/correlation_id"},
        "payload": _ref("components", "schemas", name + _REPLY),
    }


def _payload(kind: str) -> Schema:
    # The payload's dialect is AsyncAPI's, and its place in this document is its id.
    return {name: said for name, said in schema_of(kind).items() if not name.startswith("$")}


def _body(name: str) -> Schema:
    models = (CATALOGUE[name], CreateUsers) if name == CreateUsers.NAME else (CATALOGUE[name],)
    return _one_of(models)


def _answer(name: str) -> Schema:
    error = {
        "type": "object",
        "description": "It was not carried out, and will not be.",
        "properties": {
            "code": {"type": "string", "description": "For programs; never changes its meaning."},
            "message": {"type": "string", "description": "For people."},
        },
        "required": ["code", "message"],
    }
    return {"oneOf": [_said(True, "data", _one_of(REPLIES[name])), _said(False, "error", error)]}


def _said(ok: bool, name: str, what: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {"ok": {"type": "boolean", "const": ok}, name: what},
        "required": ["ok", name],
    }


def _one_of(models: Sequence[type[BaseModel]]) -> Schema:
    shapes = [shape_of(model) for model in models]
    return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def _messages(names: Any) -> _Object:
    return {name: _ref("components", "messages", name) for name in names}


def _ref(*place: str) -> _Object:
    return {"$ref": "#/" + "/".join(place)}
