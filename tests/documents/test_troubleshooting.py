"""docs/troubleshooting.md quotes nothing that is not there: words of the page, lines of the log, metrics, settings."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from passerby.errors import Code
from passerby.http.models import Health, MatchingStatus
from passerby.models import MODES
from passerby.redis.watch import State
from passerby.settings import examine
from tests.documents.examples import FENCE, ROOT
from tests.documents.sentences import printed, shown
from tests.documents.test_examples import SETTINGS, check_command
from tests.proxies import proxy
from tests.support.client import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import StartServer

TEXT: Final = FENCE.sub("", (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"))
QUOTED: Final = sorted(set(re.findall(r"“([^”]+)”", TEXT)))
SPANS: Final = sorted(set(re.findall(r"(?<!`)`([^`]+)`(?!`)", TEXT)))
WATCHING: Final = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")
OPERATIONS: Final = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
UNIT: Final = (ROOT / "deploy" / "passerby.service").read_text(encoding="utf-8")
METRICS: Final = (ROOT / "src" / "passerby" / "metrics" / "collector.py").read_text(encoding="utf-8")
TOOLS: Final = ("chmod", "curl", "df", "pip", "sqlite3", "ss", "systemctl", "timedatectl", "ulimit")
"""Programs of others."""
WORDS: Final = {
    *Code,
    *(state.name.lower() for state in State),
    *MODES,
    *Health.__struct_encode_fields__,
    *MatchingStatus.__struct_encode_fields__,
    *("problem", "setting", "maxmemory"),  # a line of the doctor, a key of the log, an option of Redis
}
PLACES: Final = {"/moderate", "assets/", "0.0.0.0"}  # noqa: S104 - said, not bound


def is_metric(span: str) -> bool:
    return f'"{span.removesuffix("_total")}"' in METRICS


def is_label(span: str) -> bool:
    """In the table of metrics, a label and its values are code."""
    name, _, value = span.partition("=")
    return f"`{name}`" in WATCHING and f"`{value.strip(chr(34))}`" in WATCHING


def is_command(span: str) -> bool:
    done = subprocess.run(("sh", "-n", "-c", span), timeout=PATIENCE, check=False)
    return done.returncode == 0


def is_problem(span: str) -> bool:
    flag, value = re.findall(r"--([a-z-]+)='(.+?)'", span)[0]
    return examine({}, {flag.replace("-", "_"): value}).problems == [span]


def is_ours(span: str) -> bool:
    check_command(f"{span} --help" if span.count(" ") == 1 else span)
    return True


KINDS: Final[tuple[tuple[str, Callable[[str], bool]], ...]] = (
    (r"(?:passerby|process)_\w+", is_metric),
    (r'\w+="\w+"', is_label),
    (r"[A-Z][A-Z_]+(?:=\S*)?", lambda span: span.partition("=")[0] in SETTINGS),
    (r"[A-Z][a-zA-Z]+=\S*", lambda span: any(span.partition("=")[0] + "=" in text for text in (OPERATIONS, UNIT))),
    (r"GET /\S*", lambda span: True),  # the test below asks them
    (r"(?:passerby|make) [a-z]+.*", is_ours),
    (rf"(?:{'|'.join(TOOLS)})(?: .+)?", is_command),
    (r"[a-z_]+", WORDS.__contains__),
    (r"--[a-z-]+", lambda span: is_ours(f"passerby doctor {span} 1")),
    (r"--[a-z-]+='.*", is_problem),
    (r"\S+", lambda span: span in PLACES or span in proxy.example("nginx")),
    (r"(?:client|proxy)_\w+ .+;", proxy.example("nginx").__contains__),
    (r".* .*", lambda span: printed().have(span)),
)
"""What code in the document is, by its form, and what must be true of it then. The first form that fits counts."""


@pytest.mark.parametrize("quoted", QUOTED)
def test_what_a_guest_reads_is_shown_by_the_page(quoted: str) -> None:
    assert shown().have(quoted)


@pytest.mark.parametrize("span", SPANS)
def test_what_an_operator_reads_is_there(span: str) -> None:
    true_of_it = next(check for form, check in KINDS if re.fullmatch(form, span))
    assert true_of_it(span)


async def test_the_addresses_answer(start_server: StartServer) -> None:
    server = await start_server()
    asked = [span.removeprefix("GET ") for span in SPANS if span.startswith("GET /")]
    assert asked
    for path in asked:
        assert (await server.http.get(path)).status_code == 200


def test_what_is_not_there_would_be_found() -> None:
    assert not shown().have("The page has fallen asleep.")
    assert not printed().have("the server has fallen asleep")
    assert not is_metric("passerby_naps_total")
    assert not is_label('state="asleep"')


def test_every_warning_about_the_machine_is_explained() -> None:
    """Of these modules, whose lines are for operators alone."""
    for name in ("addresses", "machine", "watch"):
        source = (ROOT / "src" / "passerby" / f"{name}.py").read_text(encoding="utf-8")
        lines = re.findall(r"log\.(?:warning|error|info)[(,]\s*((?:\s*\"[^\"]+\")+)", source)
        assert lines
        for line in lines:
            assert "".join(re.findall(r'"([^"]+)"', line)) in TEXT
