"""What the server and the page say, as it stands in their sources: a document may quote it, and nothing else."""

from __future__ import annotations

import ast
import html
import re
from functools import cache
from typing import TYPE_CHECKING, Final

from tests.documents.examples import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEVELS: Final = {"debug", "info", "warning", "error", "exception", "critical"}
_GAP: Final = "\N{HORIZONTAL ELLIPSIS}"
"""In a document: what is left out."""
_LEAST: Final = 6
"""Letters of a sentence with gaps: one that has little else would be anything."""
_WORD: Final = re.compile(r"'((?:[^'\\\n]|\\.)+)'|`((?:[^`\\]|\\.)+)`")


class Sayings:
    """Sentences with gaps."""

    def __init__(self, sentences: Iterator[str]) -> None:
        """A gap is a NUL."""
        self._sentences = sorted(
            {one for one in sentences if len(re.findall(r"\w", one)) >= (_LEAST if "\0" in one else 1)}
        )

    def have(self, quoted: str) -> bool:
        """Return whether a sentence is `quoted`. An ellipsis in it stands for what is left out."""
        begin, is_cut = quoted.removesuffix(_GAP).rstrip(), quoted.endswith(_GAP)
        wanted = re.compile(re.escape(quoted).replace(re.escape(_GAP), ".*"), re.DOTALL)
        for sentence in self._sentences:
            if wanted.fullmatch(sentence.replace("\0", "1")):
                return True
            if "\0" in sentence and max(sentence.split("\0"), key=len)[:_LEAST] in quoted:
                words = sentence.split(" ")
                beginnings = (" ".join(words[:count]) for count in range(1 if is_cut else len(words), len(words) + 1))
                if any(re.fullmatch(re.escape(one).replace("\0", ".+"), begin) for one in beginnings):
                    return True
        return False


def _texts(tree: ast.AST) -> Iterator[str]:
    """Yield the texts in a piece of code, with NULs for what is put into them."""
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner |= {id(part) for part in node.values}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield re.sub(r"%[sd]", "\0", node.value)


def _is_log(call: ast.Call) -> bool:
    is_method = isinstance(call.func, ast.Attribute) and call.func.attr in _LEVELS
    return is_method or (isinstance(call.func, ast.Name) and call.func.id == "Sampled")


def _trees() -> Iterator[ast.AST]:
    for path in sorted((ROOT / "src" / "passerby").rglob("*.py")):
        yield ast.parse(path.read_text(encoding="utf-8"))


@cache
def printed() -> Sayings:
    """Return all that the server prints, and all its other texts."""
    return Sayings(text for tree in _trees() for text in _texts(tree) if " " in text)


@cache
def logged() -> Sayings:
    """Return what the server writes to its log."""
    calls = (node for tree in _trees() for node in ast.walk(tree) if isinstance(node, ast.Call))
    return Sayings(text for call in calls if _is_log(call) for argument in call.args for text in _texts(argument))


@cache
def shown() -> Sayings:
    """Return what the page and the console show in English."""
    source = ROOT / "web" / "src"
    texts = [
        (plain or re.sub(r"\$\{(?:[^{}]|\{[^}]*\})+\}", "\0", template)).replace("\\'", "'").replace("#", "\0")
        for name in ("words/en.ts", "words/later_en.ts", "moderate/words/en.ts")
        for plain, template in _WORD.findall((source / name).read_text(encoding="utf-8"))
    ]
    page = (ROOT / "web" / "index.html").read_text(encoding="utf-8")
    for paragraph in re.findall(r'<p lang="en"[^>]*>(.*?)</p>', page, re.DOTALL):
        text = html.unescape(re.sub(r"<[^>]+>", "", paragraph))
        texts += [" ".join(text.split()), *(" ".join(part.split()) for part in re.split(r"(?<=\.)\s", text))]
    return Sayings(iter(texts))
