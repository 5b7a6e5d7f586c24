"""Checks what CONTRIBUTING.md says: paths, commands, the map of the code, decision records, the hook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z0-9]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
PATH = re.compile(r"(?<![\w/.<])(?:\.ci|\.github|benchmarks|deploy|docs|requirements|src|tests|tools|web)/[\w./-]*")


def commands(text: str) -> set[str]:
    """Return the make targets that `text` mentions as code."""
    code = re.findall(r"```sh\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    return {target for part in code for target in re.findall(r"\bmake ([a-z0-9]+)", part)}


def section(title: str) -> str:
    return re.split(r"\n#{2,3} ", GUIDE.split(f"\n### {title}\n")[1])[0]


def mapped(title: str) -> list[str]:
    """Return the paths in the first column of one of the map's tables."""
    rows = re.findall(r"^\| (`[^|]+) \|", section(title), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize("text", [README, GUIDE, (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")])
def test_every_command_of_make_that_is_named_exists(text: str) -> None:
    assert commands(text)
    assert commands(text) - TARGETS == set()


def test_the_readme_has_every_command_of_make() -> None:
    assert TARGETS - commands(README) == {"help"}


def test_every_path_that_the_guide_names_exists() -> None:
    # Commands after `cd web` use `src/…` for `web/src/…`.
    text = re.sub(r"(cd web && npx vitest run )(src/)", r"\1web/\2", GUIDE)
    named = {path.rstrip(".") for path in PATH.findall(text)}
    assert len(named) > 20  # the pattern still matches
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize(
    ("title", "folder"),
    [("The server: `src/passerby`", "src/passerby"), ("The client: `web/src`", "web/src"), ("Everything else", ".")],
)
def test_what_is_on_the_map_exists(title: str, folder: str) -> None:
    assert sorted(name for name in mapped(title) if not (ROOT / folder / name).exists()) == []


@pytest.mark.parametrize(
    ("title", "folder", "kinds"),
    [("The server: `src/passerby`", "src/passerby", {".py"}), ("The client: `web/src`", "web/src", {".ts", ".svelte"})],
)
def test_the_map_is_whole(title: str, folder: str, kinds: set[str]) -> None:
    sources = [path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.suffix in kinds]
    there = {f"{path.parts[0]}/" if len(path.parts) > 1 else path.name for path in sources}
    assert sorted(there - {"__init__.py"} - set(mapped(title))) == []


def test_the_map_has_every_folder_of_tests() -> None:
    folders = {f"tests/{folder.parent.name}/" for folder in (ROOT / "tests").glob("*/__init__.py")}
    assert folders - set(mapped("Everything else")) == set()


def test_every_decision_is_in_the_index_in_order_under_its_title() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| \[(.+)\]\((\d{4})(-[a-z0-9-]+\.md)\) \|$", index, re.MULTILINE)
    assert [f"{number}{rest}" for _, _, number, rest in rows] == [record.name for record in RECORDS]
    assert [int(number) for number, *_ in rows] == list(range(1, len(RECORDS) + 1))
    titles = [record.read_text(encoding="utf-8").splitlines()[0] for record in RECORDS]
    assert titles == [f"# {number}. {title}" for number, title, *_ in rows]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_is_short_and_has_its_three_parts(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert len(text.splitlines()) <= 25  # the limit in the index


def test_the_hook_is_make_check_and_fetches_nothing() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"^ *- repo: *(.+)$", hooks, re.MULTILINE) == ["local"]
    assert re.findall(r"^ *entry: *(.+)$", hooks, re.MULTILINE) == ["make check"]
