"""Checks imports between modules (docs/architecture.md). Rules follow from folders and suffixes, also for new modules.

A finding is a pair: the importing and the imported module. Imports for type checking count too.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import passerby

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PACKAGE = Path(passerby.__file__).parent

SHELLS = (
    *("passerby.__main__", "passerby.app", "passerby.cli", "passerby.commands", "passerby.health"),
    *("passerby.reloading", "passerby.schema"),
)
"""Entry points of processes and commands. Only other entry points import them."""
WORKERS = "passerby.workers"
"""Several processes instead of one: entry points too, with sockets and processes of their own."""
DOCTOR = "passerby.doctor"
"""The command that checks an installation: an entry point of many modules, with sockets of its own."""
SIMULATOR = "passerby.matching.simulate"
"""The command that lets guests who are not real meet by the queue in memory: an entry point too."""
WIRING = "passerby.assembly"
TRANSPORTS = ("passerby.socketio", "passerby.http", "passerby.realtime", "passerby.metrics", "passerby.listening")
SERVICES = (
    "passerby.guests",
    "passerby.matching",
    "passerby.chat",
    "passerby.files",
    "passerby.calls",
    "passerby.moderation",
    "passerby.safety",
    "passerby.stats",
)
"""The packages of services."""
COORDINATORS = ("passerby.farewell", "passerby.presence", "passerby.recovery")
"""Services that use all packages, and that none of them uses."""
REDIS = "passerby.redis"
"""The connection to Redis, which its adapters share."""
NODES = "passerby.nodes"
"""Several processes as one: above the services, which know nothing of it."""
REDIS_LIBRARIES = ("hiredis", "redis")
DATABASE = "passerby.database"
"""The database, which its adapters share."""
DATABASE_LIBRARIES = ("aiosqlite", "alembic", "asyncpg", "sqlalchemy")
LIBRARIES = (
    *("altcha", "argon2", "cryptography", "jwt", "linkify_it", "markdown_it", "msgspec", "nh3", "pyotp", "regex"),
    *("segno", "structlog"),
)
"""Packages from outside that services and base modules may use. All others may know sockets, HTTP, Redis or SQL."""
LOOP_METHODS = (
    *("add_reader", "add_writer", "connect_accepted_socket", "create_connection", "create_datagram_endpoint"),
    *("create_server", "create_unix_connection", "create_unix_server", "sock_accept", "sock_connect", "start_tls"),
    *("subprocess_exec", "subprocess_shell"),
)
"""Methods of event loops that use sockets or other programs. An attribute of this name counts, of whatever object."""
BUILTINS = ("__builtins__", "__import__", "eval", "exec")
"""Built-in functions that can import."""
NETWORK = (
    *("_socket", "_ssl", "ftplib", "http", "imaplib", "nntplib", "poplib", "select", "selectors", "smtplib", "socket"),
    *("socketserver", "sqlite3", "ssl", "telnetlib", "urllib", "wsgiref", "xmlrpc"),
    *("multiprocessing", "os.popen", "os.system", "pty", "subprocess", "webbrowser"),
    *("asyncio.*", "asyncio.open_connection", "asyncio.open_unix_connection", "asyncio.start_server"),
    *("asyncio.start_unix_server", "asyncio.streams", "asyncio.subprocess"),
    *("asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"),
    *(f"asyncio.{method}" for method in LOOP_METHODS),
)
"""What of the standard library uses sockets, HTTP, SQL or other programs."""
COMPUTED = (
    *("importlib", "pkgutil", "runpy", "sys.modules"),
    *(f"builtins.{name}" for name in BUILTINS),
)
"""What finds a module by a name that is computed."""
ENTRY_POINTS = ("importlib.metadata.", "importlib.")
"""Where the wiring finds hooks of other packages."""
BETWEEN = {
    "passerby.matching": ("passerby.chat",),
    "passerby.stats": ("passerby.guests", "passerby.chat"),
    "passerby.moderation": ("passerby.safety",),
    "passerby.safety": ("passerby.chat",),
    "passerby.calls": ("passerby.safety",),
}
"""Which packages of services use others."""
SUFFIXES = ("_memory", "_disk", "_redis", "_sql", "_http", "_pdq", "_words")
"""Suffixes of adapters; the port has the same name without the suffix."""
HELPERS = (
    *("passerby.files.allocator", "passerby.files.blobs_index"),
    *("passerby.chat.log_contents", "passerby.chat.log_batches"),
    *("passerby.matching.places", "passerby.matching.stages"),
    *("passerby.safety.cases", "passerby.safety.links"),
    *("passerby.nodes.bus", "passerby.nodes.pairs", "passerby.nodes.members", "passerby.nodes.processes"),
)
"""Modules that adapters share. They are no adapters, although the names of some begin with their port's."""
CODECS = ("passerby.socketio.engineio", "passerby.socketio.packets", "passerby.socketio.frames")
"""Pure modules: they convert bytes to values, do not wait, and keep no state."""

Graph = dict[str, set[str]]


def imports_of(source: str) -> set[str]:
    """Return all modules that a source imports; `from a import b` counts as `a` and `a.b`.

    So does what it reaches through an imported name: `a.b` after `import a`, if `b` is a module of passerby, or if `a`
    is not of passerby. A built-in function counts as of `builtins`, a method of an event loop as of `asyncio`.
    """
    found = set()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            module = node.module or ""
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    names = names_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in BUILTINS:
            found.add(f"builtins.{node.id}")
        elif isinstance(node, ast.Attribute):
            if node.attr in LOOP_METHODS:
                found.add(f"asyncio.{node.attr}")
            reached = full_name(node, names)
            if reached is not None and (reached in MODULES or not under(reached, "passerby")):
                found.add(reached)
    return found


def names_of(tree: ast.AST) -> dict[str, str]:
    """Return what each name that a source imports stands for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def full_name(node: ast.expr, names: Mapping[str, str]) -> str | None:
    """Return `a.b.c` of a name or attribute, from the imports on; None if it begins with something else."""
    if isinstance(node, ast.Attribute):
        owner = full_name(node.value, names)
        return None if owner is None else f"{owner}.{node.attr}"
    return names.get(node.id) if isinstance(node, ast.Name) else None


def defines_protocol(source: str) -> bool:
    """Return whether a class of a source is a Protocol itself, and does not only implement one."""
    tree = ast.parse(source)
    names = names_of(tree)
    bases = [base for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases]
    generic = [base.value if isinstance(base, ast.Subscript) else base for base in bases]
    return any(full_name(base, names) in ("typing.Protocol", "typing_extensions.Protocol") for base in generic)


def files_of(folder: Path) -> dict[str, Path]:
    """Return the file of each module and package in the folder of `passerby`."""
    files = {}
    for path in sorted(folder.rglob("*.py")):
        parts = ["passerby", *path.relative_to(folder).with_suffix("").parts]
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def packages_of(files: Mapping[str, Path]) -> list[str]:
    """Return the packages, also empty ones and those without `__init__`."""
    with_file = {module for module, path in files.items() if path.name == "__init__.py"}
    folders = {module.rpartition(".")[0] for module in files}
    return sorted((with_file | folders) - {"", "passerby"})


FILES = files_of(PACKAGE)
MODULES = frozenset(FILES)


def under(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


GRAPH: Graph = {module: imports_of(path.read_text(encoding="utf-8")) for module, path in FILES.items()}
PACKAGES = packages_of(FILES)


def ports() -> set[str]:
    """Return the modules of services that define a protocol, which are the ports."""
    return {
        module
        for module, path in FILES.items()
        if under(module, *SERVICES, NODES) and defines_protocol(path.read_text(encoding="utf-8"))
    }


def port_of(module: str) -> str | None:
    """Return the port that a module stands behind: its name begins with the port's and an underscore."""
    return next((port for port in PORTS if module.startswith(f"{port}_")), None)


def is_adapter(module: str) -> bool:
    return not under(module, *HELPERS) and (module.endswith(SUFFIXES) or port_of(module) is not None)


def package_of(module: str) -> str:
    """Return the package of a module, or the module itself when it is beside the packages."""
    return next((package for package in PACKAGES if under(module, package)), module)


def is_base(module: str) -> bool:
    """Return whether a module is beside the packages, but is no coordinator, wiring or entry point."""
    beside = module.count(".") == 1 and module not in PACKAGES
    return beside and module not in (*SHELLS, WIRING, *COORDINATORS, *TRANSPORTS)


def pairs(graph: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    for module, imports in graph.items():
        for imported in sorted(imports):
            yield module, imported


PORTS = ports()
BASE = tuple(module for module in GRAPH if is_base(module))


# ── the rules ─────────────────────────────────────────────────────────────────────────────────────


def services_know_no_transport(graph: Graph) -> set[tuple[str, str]]:
    """Services, and the modules they import, use no socket, HTTP, Redis or SQL; an adapter may use its own."""
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if under(module, *SERVICES, *COORDINATORS, "passerby.media") or is_base(module)
        if not is_adapter(module)
        if under(imported, *TRANSPORTS, REDIS, DATABASE, *NETWORK) or is_foreign(imported)
        # Modules that only handle text of URLs and addresses.
        if not under(imported, "urllib.parse", *LIBRARIES)
    }


def is_foreign(module: str) -> bool:
    root = module.partition(".")[0]
    return root not in ("passerby", *sys.stdlib_module_names)


def services_use_only_what_is_listed(graph: Graph) -> set[tuple[str, str]]:
    """A package of services uses itself, the base, media, and the packages that `BETWEEN` names."""
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if under(module, *SERVICES) and under(imported, *SERVICES, "passerby.settings", *COORDINATORS)
        if not under(imported, package_of(module), *BETWEEN.get(package_of(module), ()))
        if not (module == SIMULATOR and under(imported, "passerby.settings"))
    }


def nobody_imports_by_name(graph: Graph) -> set[tuple[str, str]]:
    """An import that is computed would pass all rules. Hooks of other packages are found by their entry points."""
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if under(imported, *COMPUTED) and not (module == WIRING and f"{imported}.".startswith(ENTRY_POINTS))
    }


def only_the_assembly_chooses_adapters(graph: Graph) -> set[tuple[str, str]]:
    """An adapter of Redis has the one in memory inside, for when Redis is away."""
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if is_adapter(imported) and module not in (WIRING, SIMULATOR)
        if not (module.endswith("_redis") and under(imported, fallback_of(module)))
    }


def fallback_of(module: str) -> str:
    """Return the adapter in memory of the same port."""
    return f"{port_of(module)}_memory"


def adapters_know_no_service(graph: Graph) -> set[tuple[str, str]]:
    """An adapter may import its port, the helpers that are listed, and the base.

    One of Redis may import the connection to it, and the adapter in memory.
    """
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if is_adapter(module) and under(imported, "passerby") and imported != "passerby"
        if not is_base(imported) and imported not in (port_of(module), *HELPERS)
        if not is_name_in(imported, (port_of(module), *HELPERS), graph) and not is_name_in(imported, BASE, graph)
        if imported != package_of(module)  # as part of `from passerby.package import port`
        if not (under(imported, REDIS, fallback_of(module)) and module.endswith("_redis"))
        if not (under(imported, DATABASE) and module.endswith("_sql"))
    }


def is_name_in(imported: str, modules: Iterable[str | None], graph: Graph) -> bool:
    """Return whether `imported` is a name in one of `modules`: `from a import b` counts as `a.b` too."""
    module, _, _ = imported.rpartition(".")
    return imported not in graph and module in modules


def the_base_rests_on_nothing(graph: Graph) -> set[tuple[str, str]]:
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if is_base(module) and imported in graph and imported != "passerby" and not is_base(imported)
    }


def nobody_imports_the_shells(graph: Graph) -> set[tuple[str, str]]:
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if (imported in (*SHELLS, SIMULATOR, WIRING) or under(imported, DOCTOR, WORKERS)) and module not in SHELLS
        if not (under(module, DOCTOR) and (under(imported, DOCTOR, f"{WORKERS}.valkey") or imported == WORKERS))
        if not (under(module, WORKERS) and (imported == "passerby.app" or under(imported, WORKERS)))
    }


def the_realtime_core_knows_nothing_of_the_rest(graph: Graph) -> set[tuple[str, str]]:
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if under(module, "passerby.socketio") and under(imported, "passerby")
        if not under(imported, "passerby.socketio") and imported != "passerby"
    }


def only_adapters_know_redis(graph: Graph) -> set[tuple[str, str]]:
    """The adapters of Redis use the connection and its libraries; the wiring and the entry points make it.

    `doctor` asks a server itself, of which the adapters know nothing yet.
    """
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if under(imported, REDIS, *REDIS_LIBRARIES) and not under(module, REDIS) and not module.endswith("_redis")
        if not (module in (*SHELLS, WIRING) and under(imported, REDIS)) and not under(module, DOCTOR)
    }


def only_adapters_know_the_database(graph: Graph) -> set[tuple[str, str]]:
    """The adapters of SQL use the database; the wiring and the entry points make it."""
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if under(imported, DATABASE, *DATABASE_LIBRARIES) and not under(module, DATABASE)
        if not module.endswith("_sql") and not (module in (*SHELLS, WIRING) and under(imported, DATABASE))
    }


def the_database_knows_nothing_of_the_rest(graph: Graph) -> set[tuple[str, str]]:
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if under(module, DATABASE) and imported in graph
        if not under(imported, DATABASE) and not is_base(imported) and imported != "passerby"
    }


def redis_knows_nothing_of_the_rest(graph: Graph) -> set[tuple[str, str]]:
    return {
        (module, imported)
        for module, imported in pairs(graph)
        if under(module, REDIS) and imported in graph
        if not under(imported, REDIS) and not is_base(imported) and imported != "passerby"
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
        if module in CODECS
        if under(imported, "asyncio", "logging", "threading", "time", *NETWORK)
        or (is_foreign(imported) and not under(imported, "msgspec"))
        or (under(imported, "passerby") and imported in graph and imported not in (*CODECS, "passerby.socketio"))
    }


def nodes_use_what_is_listed(graph: Graph) -> set[tuple[str, str]]:
    """Nodes use the base, and their adapters Redis; services and what is below know nothing of nodes.

    `asking`, `uploads`, `moving` and `edges` are between the services, the transport and the nodes: they are used by
    the shells alone.
    """
    between = tuple(f"{NODES}.{name}" for name in ("asking", "uploads", "moving", "edges", "reporting"))
    above = {
        (module, imported)
        for module, imported in pairs(graph)
        if under(imported, NODES) and not under(module, NODES, *TRANSPORTS, WIRING, *COORDINATORS, *SHELLS)
        if not (module in between or (module in SHELLS and imported in between))
    }
    below = {
        (module, imported)
        for module, imported in pairs(graph)
        if under(module, NODES) and module not in between and imported in graph and imported != "passerby"
        if not under(imported, NODES) and not is_base(imported)
        if not (under(imported, REDIS) and module.endswith("_redis"))
    }
    return above | below


def packages_are_no_modules(graph: Graph) -> set[tuple[str, str]]:
    """Every package must be covered by a rule."""
    known = (*TRANSPORTS, *SERVICES, NODES, REDIS, DATABASE, DOCTOR, WORKERS, "passerby.media")
    inside = [module for module in graph if module.count(".") > 1]
    return {(module, module) for module in (*inside, *PACKAGES) if not under(module, *known)}


RULES = [
    services_know_no_transport,
    services_use_only_what_is_listed,
    nobody_imports_by_name,
    only_the_assembly_chooses_adapters,
    adapters_know_no_service,
    the_base_rests_on_nothing,
    nobody_imports_the_shells,
    the_realtime_core_knows_nothing_of_the_rest,
    only_adapters_know_redis,
    only_adapters_know_the_database,
    the_database_knows_nothing_of_the_rest,
    redis_knows_nothing_of_the_rest,
    media_knows_nothing_but_errors,
    the_codecs_are_pure,
    nodes_use_what_is_listed,
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
        ("passerby.guests.new", "import httpx"),
        ("passerby.stats.new", "def late():\n    import asyncpg"),
        ("passerby.guests.new", "from passerby.settings import Settings"),
        ("passerby.chat.new", "from passerby.presence import Presence"),
        ("passerby.calls.new", "from passerby.chat.rooms import Rooms"),
        ("passerby.guests.new", "import passerby.guests.store_memory as keep"),
        ("passerby.guests.store_postgres", "from passerby.guests.sessions import Guests"),
        ("passerby.guests.store_redis", "from passerby.guests import sessions"),
        ("passerby.guests.store_redis", "from passerby.chat.log_memory import MemoryRoomLog"),
        ("passerby.files.blobs_disk", "from passerby.files.blobs_memory import MemoryBlobStore"),
        ("passerby.chat.log_redis", "from passerby.chat.logic import Logic"),
        ("passerby.chat.new", "from passerby.chat.log_sqlite import Log"),
        ("passerby.http.new", "import importlib"),
        ("passerby.http.new", "from passerby.schema import json_schema"),
        ("passerby.socketio.frames", "from passerby.socketio.session import Session"),
        ("passerby.socketio.new", "x = __import__('passerby.http.models')"),
        ("passerby.http.new", "x = eval('passerby.chat.log_memory')"),
        ("passerby.guests.new", "import pkgutil\nx = pkgutil.resolve_name('passerby.http.models:Failure')"),
        ("passerby.guests.new", "import sys\nx = sys.modules['passerby.http.models']"),
        ("passerby.guests.new", "from sys import modules"),
        ("passerby.guests.new", "import passerby\nx = passerby.http.models.Failure"),
        ("passerby.guests.new", "import passerby.errors as e, passerby as p\nx = p.chat.rooms.Rooms"),
        ("passerby.guests.store_redis", "from passerby import guests\nx = guests.sessions.Guests"),
        ("passerby.guests.new", "import asyncio\nasync def f():\n    await asyncio.open_connection('x', 1)"),
        ("passerby.guests.new", "from asyncio import open_connection"),
        ("passerby.guests.new", "from asyncio import *"),
        ("passerby.calls.new", "import asyncio as a\nasync def f():\n    await a.start_server(print, 'x', 1)"),
        ("passerby.stats.new", "async def f(loop):\n    await loop.create_connection(print, 'x', 1)"),
        ("passerby.files.new", "import asyncio\nx = asyncio.get_running_loop().sock_connect"),
        ("passerby.files.new", "import _socket"),
        ("passerby.files.new", "import selectors"),
        ("passerby.files.new", "import multiprocessing.connection"),
        ("passerby.media.new", "from subprocess import run"),
        ("passerby.new", "import webbrowser"),
        ("passerby.chat.new", "from passerby.redis.client import Redis"),
        ("passerby.files.blobs_disk", "from passerby.redis.client import Redis"),
        ("passerby.http.new", "from passerby.redis.client import Redis"),
        ("passerby.http.new", "import redis"),
        ("passerby.assembly", "from hiredis import Reader"),
        ("passerby.presence", "from passerby import redis"),
        ("passerby.redis.new", "from passerby.guests.store import SessionStore"),
        ("passerby.redis.new", "from passerby.socketio import Server"),
        ("passerby.http.new", "from passerby.doctor.stun import decode"),
        ("passerby.calls.new", "from passerby.doctor import turn_client"),
        ("passerby.doctor.new", "from passerby.app import serve"),
        ("passerby.http.new", "from passerby.workers.crew import Crew"),
        ("passerby.doctor.new", "from passerby.workers.crew import Crew"),
        ("passerby.workers.new", "from passerby.doctor.stun import decode"),
        ("passerby.workers.new", "from passerby.assembly import Assembly"),
        ("passerby.doctor.new", "from passerby.files.blobs_disk import DiskBlobStore"),
        ("passerby.chat.new", "from passerby.nodes.bus import Bus"),
        ("passerby.live", "from passerby.nodes import requests"),
        ("passerby.redis.new", "from passerby.nodes.pairs import Pairs"),
        ("passerby.nodes.new", "from passerby.chat.rooms import Rooms"),
        ("passerby.nodes.new", "from passerby.redis.client import Redis"),
        ("passerby.nodes.bus_redis", "from passerby.nodes.requests import Requests"),
        ("passerby.matching.new", "from passerby.matching.simulate import main"),
        ("passerby.matching.simulation.new", "from passerby.matching.queue_memory import MemoryMatchQueue"),
        ("passerby.matching.simulation.new", "from passerby.settings import Settings"),
    ],
)
def test_a_module_that_breaks_a_rule_is_found(module: str, source: str) -> None:
    with_it = {**GRAPH, module: imports_of(source)}
    found = [rule.__name__ for rule in RULES if rule(with_it) - rule(GRAPH)]

    assert found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("passerby.guests.store_redis", "import redis.asyncio\nfrom passerby.guests.store import SessionStore"),
        ("passerby.files.blobs_redis", "from passerby.files.blobs_index import Index"),
        ("passerby.chat.log_redis", "from passerby.chat.log import RoomLog\nfrom passerby.redis.client import Redis"),
        ("passerby.guests.store_redis", "from passerby.guests.store_memory import MemorySessionStore"),
        ("passerby.redis.new", "import hiredis, asyncio\nfrom passerby.background import Background"),
        ("passerby.assembly", "from passerby.redis.client import Redis"),
        ("passerby.doctor.new", "import socket, hiredis\nfrom passerby.calls.ice import Ice"),
        ("passerby.workers.new", "import socket, subprocess\nfrom passerby.app import serve"),
        ("passerby.chat.new", "from passerby.live import Room\nfrom passerby.background import Background"),
        ("passerby.realtime.new", "from passerby.chat.rooms import Rooms\nfrom passerby.socketio import Server"),
        ("passerby.new", "from passerby.errors import Code\nimport asyncio"),
        ("passerby.nodes.new", "from passerby.background import Background\nfrom passerby.nodes.bus import Bus"),
        ("passerby.nodes.bus_redis", "from passerby.redis.client import Redis"),
    ],
)
def test_a_module_that_keeps_the_rules_is_not(module: str, source: str) -> None:
    with_it = {**GRAPH, module: imports_of(source)}
    assert [rule.__name__ for rule in RULES if rule(with_it) - rule(GRAPH)] == []


@pytest.mark.parametrize(
    ("source", "is_one"),
    [
        ("from typing import Protocol\nclass S(Protocol):\n    x: int", True),
        ("from collections.abc import Sized\nfrom typing import Protocol as P\nclass S(Sized, P):\n    x: int", True),
        ("import typing\nclass S(typing.Protocol[int]):\n    x: int", True),
        ("import asyncio\nclass S(asyncio.Protocol):\n    x: int", False),
        ("from passerby.chat.log import RoomLog\nclass S(RoomLog):\n    '(Protocol):'", False),
    ],
)
def test_a_port_is_recognised(source: str, *, is_one: bool) -> None:
    assert defines_protocol(source) is is_one


@pytest.mark.parametrize("name", ["new/__init__.py", "new/module.py", "new/deep/__init__.py"])
def test_a_new_package_has_to_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    monkeypatch.setattr(f"{__name__}.PACKAGES", packages_of(files_of(tmp_path)))

    assert packages_are_no_modules({})


# ── import cycles ─────────────────────────────────────────────────────────────────────────────────


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


def without_ways(graph: Graph) -> Graph:
    """Return the graph without imports of packages that only lead to a module: `from package import module`."""
    return {
        module: {imported for imported in imports if not is_way(imported, imports, graph)}
        for module, imports in graph.items()
    }


def is_way(imported: str, imports: Iterable[str], graph: Graph) -> bool:
    names = [other for other in imports if other.rpartition(".")[0] == imported]
    return bool(names) and all(name in graph for name in names)


def test_all_circles_lie_within_the_realtime_core() -> None:
    found = circles(without_ways(GRAPH))

    assert found, "known cycles are found"
    assert [
        sorted(circle) for circle in found if not all(under(module, "passerby.socketio") for module in circle)
    ] == []


def test_packages_are_in_no_circle() -> None:
    graph: Graph = {}
    for module, imports in without_ways(GRAPH).items():
        known = {package_of(imported) for imported in imports if imported in GRAPH and imported != "passerby"}
        graph.setdefault(package_of(module), set()).update(known)

    assert circles(graph) == []


def test_a_circle_is_found() -> None:
    graph = {**without_ways(GRAPH), "passerby.clock": {"passerby.presence"}}

    assert any("passerby.presence" in circle for circle in circles(graph))


def test_a_circle_through_a_package_is_found() -> None:
    sources = {
        "passerby.guests.deep": "from passerby.guests.deep.a import X",
        "passerby.guests.deep.a": "from passerby.guests.b import Y\nX = 1",
        "passerby.guests.b": "from passerby.guests.deep import X\nY = 1",
    }
    graph = without_ways({**GRAPH, **{module: imports_of(source) for module, source in sources.items()}})

    assert set(sources) in circles(graph)


def test_the_architecture_names_each_module_of_the_circles() -> None:
    text = (PACKAGE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {module.rpartition(".")[2] for circle in circles(without_ways(GRAPH)) for module in circle}

    assert sorted(name for name in named if f"`{name}`" not in text) == []
