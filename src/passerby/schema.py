"""The documents for client writers, made from the events and models: AsyncAPI 3.0 and plain JSON Schema.

`python -m passerby.schema` writes the JSON Schema that the web client's types are generated from;
with `--check` it only says whether that file is current.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path
from typing import Any

import msgspec

from passerby import __version__
from passerby.http.models import HTTP_MODELS
from passerby.realtime.closings import CLOSINGS
from passerby.realtime.contract import INBOUND, OUTBOUND, Auth

JSON_SCHEMA_PATH = Path(__file__).parents[2] / "web" / "src" / "wire" / "schema.json"


def _components(types: tuple[type, ...], ref_template: str) -> dict[str, Any]:
    _, components = msgspec.json.schema_components(types, ref_template=ref_template)
    return components


def json_schema() -> dict[str, Any]:
    """Return one JSON Schema (draft 2020-12) whose `$defs` hold every event, model and HTTP body.

    `ClientToServer` and `ServerToClient` map event names to payloads, in the shape that
    socket.io-client's typed events are made from.
    """
    definitions = _components((*INBOUND, *OUTBOUND, Auth, *HTTP_MODELS), "#/$defs/{name}")
    for name, events in (("ClientToServer", INBOUND), ("ServerToClient", OUTBOUND)):
        definitions[name] = {
            "title": name,
            "description": "Payload by event name",
            "type": "object",
            "additionalProperties": False,
            "required": [event.event for event in events],
            "properties": {event.event: {"$ref": f"#/$defs/{event.__name__}"} for event in events},
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Wire",
        "type": "object",
        "additionalProperties": False,
        "$defs": definitions,
    }


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of namespace `/` (served at `/schema/asyncapi.json`)."""
    every = (*INBOUND, *OUTBOUND)
    messages: dict[str, Any] = {}
    for event in every:
        messages[event.__name__] = {
            "name": event.event,
            "title": event.event,
            "summary": inspect.cleandoc(event.__doc__ or ""),
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
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
                "A message here is a Socket.IO event: `name` is the event, the payload its one argument. "
                "Unknown fields and unknown events do no harm. `x-closings` lists why connections end: the code is the "
                "reason in the WebSocket's close frame, and `comeBack` says whether to connect again."
            ),
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "main": {
                "address": "/",
                "title": "The Socket.IO namespace /",
                "description": "Connect with `auth: {token, resume?}`, see the Auth schema.",
                "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in every},
            }
        },
        "operations": {
            "receive": operation("receive", INBOUND, "What the server takes from a client"),
            "send": operation("send", OUTBOUND, "What the server sends to a client"),
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
            "schemas": _components((*every, Auth), "#/components/schemas/{name}"),
        },
    }


def main() -> int:
    """Write the JSON Schema, or with `--check` return 1 when the file differs from what would be written."""
    parser = argparse.ArgumentParser(prog="python -m passerby.schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file is not current")
    arguments = parser.parse_args()
    text = msgspec.json.format(msgspec.json.encode(json_schema(), order="sorted"), indent=2).decode() + "\n"
    if arguments.check:
        current = JSON_SCHEMA_PATH.read_text() if JSON_SCHEMA_PATH.exists() else ""
        if current != text:
            sys.stderr.write("web/src/wire/schema.json is not current: run `make types`\n")
            return 1
        return 0
    JSON_SCHEMA_PATH.parent.mkdir(parents=True, exist_ok=True)
    JSON_SCHEMA_PATH.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
