"""The OpenAPI 3.1 document, served at `/schema/openapi.json`.

The framework knows the routes and their parameters. The models are described by msgspec, which also checks them: so
both documents and the client's types say the same.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar.exceptions import NotFoundException
from litestar.response import Response

from passerby.http.examples import EXAMPLES
from passerby.http.models import HTTP_MODELS, Readiness, Version
from passerby.http.moderation_models import CONSOLE_MODELS
from passerby.realtime.asyncapi import components

if TYPE_CHECKING:
    from litestar import Request

MEDIA_TYPE: Final = "application/vnd.oai.openapi+json"
_PREFIX: Final = "#/components/schemas/"
_IDENTIFIERS: Final[dict[str, dict[str, Any]]] = {
    "session_id": {"pattern": r"^[\w-]{32}$", "examples": ["JPPyr6HpSmX359fQ2HnuYmA4KmUXsgSn"]},
    "room_id": {"pattern": r"^guest_[0-9a-f]{20}_guest_[0-9a-f]{20}$"},
    "file_id": {"pattern": r"^file_[\w-]{24}$", "examples": ["file_Zt3Vn0hGqk5wXo2RrJdE9sLb"]},
    "case_id": {"pattern": r"^[0-9a-f]{32}$"},
    "token": {"pattern": r"^[\w-]{43}$"},
    "name": {"enum": ["rules", "privacy", "contact"]},
}
"""What the parameters in a path look like, if they lead anywhere. Others are not refused as malformed: 404."""
_TO_RETRY: Final = ("429", "503", "507")
_TAGS: Final = {
    "guests": "Sessions",
    "files": "Files of a conversation",
    "calls": "Calls",
    "safety": "What is asked of newcomers; reports, bans and appeals",
    "status": "Counts, limits and health",
    "moderation": "The console of the moderators. Without moderators, its routes are 404",
}


class Documents:
    """Answers with the document. It is made once, beside the event loop, when somebody first asks."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self._encoded: bytes | None = None
        self._making = asyncio.Lock()

    async def __call__(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Answer a request. Raises NotFoundException where the framework would answer with a page of its own."""
        if request.path_params:
            raise NotFoundException
        async with self._making:
            if self._encoded is None:
                application = request.app
                self._encoded = await asyncio.to_thread(
                    lambda: msgspec.json.encode(document(application.openapi_schema.to_schema()))
                )
        return Response(self._encoded, media_type=MEDIA_TYPE)


def document(framework: dict[str, Any]) -> dict[str, Any]:
    """Return the document, made from the framework's, which is not changed."""
    models = components((*HTTP_MODELS, Readiness, Version, *CONSOLE_MODELS), f"{_PREFIX}{{name}}")
    for model in models.values():
        for field in model.get("properties", {}).values():
            if field.get("default", ...) is None:
                del field["default"]  # generators take a field with a default for one that is always there
    models["IceServers"]["title"] = "IceConfiguration"  # a class of generators must not be called like its field
    made: dict[str, Any] = _renamed(framework)
    for path in made["paths"].values():
        for operation in path.values():
            _complete(operation)
    schemas = {name: models.get(name, schema) for name, schema in made["components"]["schemas"].items()} | models
    for kind, example in EXAMPLES.items():
        schemas[kind.__name__]["examples"] = [msgspec.to_builtins(example)]
    for name in schemas.keys() - models.keys():
        _complete_envelope(schemas[name])
    used = _used(made["paths"], schemas)
    made["components"]["schemas"] = {name: schemas[name] for name in sorted(used)}
    made["tags"] = [{"name": name, "description": meaning} for name, meaning in _TAGS.items()]
    made["info"]["license"] = {"name": "MIT", "identifier": "MIT"}
    return made


def _renamed(value: Any) -> Any:  # noqa: ANN401 - any part of a document
    """Return a copy whose schemas have names without modules: LimitsAnswer for Success_passerby.models.Limits_."""
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, dict):
        return _name(value) if isinstance(value, str) and value.startswith(_PREFIX) else value
    return {_name(key): _renamed(item) for key, item in value.items()}


def _name(text: str) -> str:
    match = re.fullmatch(rf"({_PREFIX})?Success_(list_)?(?:[\w.]+\.)?(\w+?)_", text)
    if match is None:
        return text
    prefix, many, name = match.groups()
    name = {"NoneType": "Empty", "str": "Name"}.get(name, name)
    return f"{prefix or ''}{name}{'List' if many else ''}Answer"


def _complete(operation: dict[str, Any]) -> None:
    """Add to an operation what holds for all, or for all with something."""
    operation.setdefault("security", [])
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _without_null(parameter["schema"])
        if parameter["in"] == "path":
            parameter["schema"] |= _IDENTIFIERS.get(parameter["name"], {})
    responses = operation["responses"]
    responses["default"] = {
        "description": "Any other refusal",
        "content": {"application/json": {"schema": {"$ref": f"{_PREFIX}Failure"}}},
    }
    for status in _TO_RETRY:
        if status in responses:
            responses[status].setdefault("headers", {})["Retry-After"] = {
                "schema": {"type": "integer", "minimum": 0},
                "description": "Seconds, `retryAfter` rounded up, if it is known",
            }
    for response in responses.values():
        if response.get("headers") == {}:
            del response["headers"]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: left out is not null, which nobody can write in a query."""
    kinds = [kind for kind in schema.get("oneOf", []) if kind.get("type") != "null"]
    if len(kinds) != 1:
        return schema
    return {**{key: value for key, value in schema.items() if key != "oneOf"}, **kinds[0]}


def _complete_envelope(schema: dict[str, Any]) -> None:
    """Say what the framework leaves out of a schema of Success."""
    del schema["title"]  # the name says it
    schema["description"] = "The envelope of successful responses."
    schema["properties"]["success"] = {"type": "boolean", "const": True}
    schema["properties"]["message"] = {"type": "string"}
    schema["properties"].setdefault("data", {"type": "null"})
    schema["required"] = ["success", "data"]


def _used(paths: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """Return the names of all schemas that a path leads to."""
    used: set[str] = set()
    waiting = [*_references(paths)]
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting += _references(schemas[name])
    return used


def _references(value: Any) -> list[str]:  # noqa: ANN401 - any part of a document
    if isinstance(value, list):
        return [name for item in value for name in _references(item)]
    if not isinstance(value, dict):
        return [value.removeprefix(_PREFIX)] if isinstance(value, str) and value.startswith(_PREFIX) else []
    return [name for item in value.values() for name in _references(item)]
