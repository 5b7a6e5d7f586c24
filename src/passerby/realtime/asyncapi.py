"""The AsyncAPI 3.0 document of the Socket.IO events, generated from the events and models of the contract."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from passerby import __version__
from passerby.chat.events import ChatError
from passerby.realtime.closings import CLOSINGS
from passerby.realtime.contract import ANSWERS, INBOUND, OUTBOUND, Accepted, Auth
from passerby.realtime.examples import encoded


def components(types: tuple[type, ...], ref_template: str) -> dict[str, Any]:
    """Return the JSON Schemas of `types` by name; references follow `ref_template`."""
    _, components = msgspec.json.schema_components(types, ref_template=ref_template)
    return components


def servers(host: str, path: str, *, is_secure: bool) -> dict[str, Any]:
    """Return the `servers` of the document, for a client that has reached this server at `host`.

    `path` is that of Engine.IO.
    """
    return {
        "this": {
            "host": host,
            "protocol": "wss" if is_secure else "ws",
            "pathname": path,
            "description": "Engine.IO 4 over a WebSocket, or over long polling at the same path (http, https)",
            "security": [{"$ref": "#/components/securitySchemes/token"}],
        }
    }


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of namespace `/`, without `servers`; served at `/schema/asyncapi.json`."""
    every = (*INBOUND, *OUTBOUND)
    messages: dict[str, Any] = {}
    for event in every:
        messages[event.__name__] = {
            "name": event.event,
            "title": event.event,
            "summary": inspect.cleandoc(event.__doc__ or ""),
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
            "examples": [{"payload": msgspec.json.decode(encoded(event))}],
        }
    for event in INBOUND:
        answer = ANSWERS.get(event.event, Accepted)
        messages[event.__name__]["x-ack"] = {
            "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in (answer.__name__, ChatError.__name__)]
        }

    def operation(action: str, events: tuple[type, ...], summary: str) -> dict[str, Any]:
        return {
            "action": action,
            "channel": {"$ref": "#/channels/main"},
            "summary": summary,
            "messages": [{"$ref": f"#/channels/main/messages/{event.__name__}"} for event in events],
        }

    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Passerby",
            "version": __version__,
            "description": (
                "Anonymous one-to-one chat over Socket.IO 5 (Engine.IO 4), path /socket.io/, namespace /. "
                "A message is a Socket.IO event: `name` is the event name, the payload its only argument. "
                "Unknown fields and unknown events are ignored. `x-ack` is the argument of the acknowledgement, if "
                "the client asks for one: only that of a refusal has a `code`. `x-closings` lists why connections "
                "close: the code is the reason in the WebSocket's close frame, and `comeBack` says whether the client "
                "should reconnect."
            ),
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "main": {
                "address": "/",
                "title": "The Socket.IO namespace /",
                "description": (
                    "Connect with `auth: {token, resume?}`, see the Auth schema. A refusal is a CONNECT_ERROR "
                    "`{message, data: {code, retryAfter?}}`, `code` being of the Code schema. Only one for another "
                    "namespace, `Invalid namespace`, has no `data`: Socket.IO's protocol wants it so."
                ),
                "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in every},
            }
        },
        "operations": {
            "receive": operation("receive", INBOUND, "Events that the server accepts from a client"),
            "send": operation("send", OUTBOUND, "Events that the server sends to a client"),
        },
        "x-closings": [
            {
                "code": code,
                "websocket": closing.websocket,
                "meaning": closing.meaning,
                "comeBack": closing.come_back,
            }
            for code, closing in CLOSINGS.items()
        ],
        "components": {
            "messages": messages,
            "schemas": components((*every, Auth, Accepted), "#/components/schemas/{name}"),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The token of POST /api/guest, as `token` in `auth` of CONNECT, or in the query",
                }
            },
        },
    }
