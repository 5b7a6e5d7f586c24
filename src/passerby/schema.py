"""The JSON Schema of all data on the wire, generated from the events and models.

`python -m passerby.schema` writes the JSON Schema from which the web client's types are generated.
With `--check` it only checks whether that file is current.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from passerby.http.models import HTTP_MODELS
from passerby.http.moderation_models import CONSOLE_MODELS
from passerby.realtime.asyncapi import components
from passerby.realtime.contract import INBOUND, OUTBOUND, Auth

JSON_SCHEMA_PATH = Path(__file__).parents[2] / "web" / "src" / "wire" / "schema.json"


def json_schema() -> dict[str, Any]:
    """Return one JSON Schema (draft 2020-12) whose `$defs` contain every event, model and HTTP body.

    `ClientToServer` and `ServerToClient` map event names to payloads, the shape that socket.io-client's typed
    events need.
    """
    definitions = components((*INBOUND, *OUTBOUND, Auth, *HTTP_MODELS, *CONSOLE_MODELS), "#/$defs/{name}")
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


def main() -> int:
    """Write the JSON Schema. With `--check`, return 1 if the file is not current."""
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
