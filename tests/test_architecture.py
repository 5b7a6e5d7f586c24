"""Checks allowed imports between modules, and their maximum length (docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import passerby

PACKAGE = Path(passerby.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400

SERVICES = {"guests", "sessions", "matchmaking", "rooms", "presence", "stats", "text", "tokens", "limits"}
PURE = {"models", "events", "errors", "clock", "ids", "ports", "addresses"}
"""Modules that all others may import, and that import only each other."""
TRANSPORTS = ("passerby.socketio", "passerby.http", "passerby.hub", "passerby.gateway", "passerby.app", "passerby.cli")
FRAMEWORKS = ("litestar", "uvicorn", "picows", "uvloop", "redis", "valkey", "socketio", "httptools", "starlette")


def name_of(path: Path) -> str:
    parts = ["passerby", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Return all modules that a file imports, also for type checking; `from a import b` counts as `a` and `a.b`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def under(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


IMPORTS = {name_of(path): imports_of(path) for path in MODULES}


def test_the_modules_that_these_rules_are_about_exist() -> None:
    assert {f"passerby.{module}" for module in SERVICES | PURE} <= set(IMPORTS)
    assert any(under(module, ("passerby.adapters",)) for module in IMPORTS)
    assert any(under(module, ("passerby.socketio",)) for module in IMPORTS)


@pytest.mark.parametrize("module", sorted(SERVICES | PURE))
def test_services_know_no_adapter_transport_or_framework(module: str) -> None:
    forbidden = (*TRANSPORTS, "passerby.adapters", *FRAMEWORKS)

    assert [name for name in IMPORTS[f"passerby.{module}"] if under(name, forbidden)] == []


@pytest.mark.parametrize("module", sorted(PURE))
def test_what_everything_rests_on_rests_on_no_service(module: str) -> None:
    services = tuple(f"passerby.{service}" for service in SERVICES)

    assert [name for name in IMPORTS[f"passerby.{module}"] if under(name, services)] == []


def test_the_realtime_core_knows_nothing_of_the_rest() -> None:
    for module, imports in IMPORTS.items():
        if under(module, ("passerby.socketio",)):
            own = {name for name in imports if under(name, ("passerby",))}
            assert {name for name in own if not under(name, ("passerby.socketio",))} <= {"passerby"}, module
            assert "passerby" not in own or module == "passerby.socketio", module


@pytest.mark.parametrize("module", ["engineio", "packets", "frames"])
def test_the_codecs_are_pure(module: str) -> None:
    imports = IMPORTS[f"passerby.socketio.{module}"]

    assert not {name for name in imports if under(name, ("asyncio", "time", "logging", "socket", "picows", "uvicorn"))}


def test_adapters_know_no_service_and_no_transport() -> None:
    services = tuple(f"passerby.{service}" for service in SERVICES)
    for module, imports in IMPORTS.items():
        if under(module, ("passerby.adapters",)):
            assert not {name for name in imports if under(name, (*services, *TRANSPORTS))}, module


def test_only_the_application_chooses_adapters() -> None:
    choosers = {
        module
        for module, imports in IMPORTS.items()
        if not under(module, ("passerby.adapters",)) and any(under(name, ("passerby.adapters",)) for name in imports)
    }

    assert choosers == {"passerby.app"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_grows_beyond_reading(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES
