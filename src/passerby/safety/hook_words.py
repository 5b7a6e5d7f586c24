"""The list of words and links that are held, from a file.

# A comment.
[*]                     what follows is for all languages, and for the rule `other`
buy followers
link spam.example       the host and all below it, whatever the path
[en, hate]              what follows is for English, and for the rule `hate`
some word
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Final

import regex

from passerby.models import RULES, Rule
from passerby.safety.hook import ALLOW, Item, ItemKind, Verdict
from passerby.safety.links import MOST_LABELS, hosts

MOST_BYTES: Final = 4_194_304
"""Maximum bytes of a file: a hundred thousand words."""
MOST_ENTRIES: Final = 100_000
"""Maximum lines of a list."""
_UNSEEN: Final = regex.compile(r"[\p{Mn}\p{Me}\p{Cf}\p{Default_Ignorable_Code_Point}]")
"""Accents, and what is not seen."""
_WORD: Final = regex.compile(r"[^\W_]+")
_UNSPACED: Final = regex.compile(
    r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}"
    r"\p{Script=Myanmar}]"
)
"""Letters of scripts that put no space between words."""
_SECTION: Final = regex.compile(r"\[\s*(\*|[A-Za-z]{2,8})\s*(?:,\s*([a-z_]+)\s*)?\]")


class WordListError(ValueError):
    """The list cannot be read; the message is one line that says where."""


def fold(text: str) -> str:
    """Return `text` without case, width, accents, and characters that are not seen."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFKC", _UNSEEN.sub("", decomposed)).replace("\u0131", "i")


class _Section:
    """The entries of one language and one rule."""

    def __init__(self, language: str, rule: Rule) -> None:
        self.language = language
        self.rule = rule
        self.phrases: dict[str, list[tuple[str, ...]]] = {}
        """By their first word."""
        self.pieces: set[str] = set()
        """Of scripts without spaces: they are found within a text."""
        self.hosts: set[str] = set()
        self._pieces: regex.Pattern[str] | None = None

    def add(self, entry: str) -> bool:
        """Take a word or phrase; return False if there is none in it."""
        folded = fold(entry)
        words = tuple(_WORD.findall(folded))
        if not words:
            return False
        if _UNSPACED.search(folded):
            self.pieces.add(folded)
        else:
            self.phrases.setdefault(words[0], []).append(words)
        return True

    def finish(self) -> None:
        """Prepare for looking."""
        if self.pieces:
            self._pieces = regex.compile(r"\L<pieces>", pieces=sorted(self.pieces))

    def finds(self, folded: str, words: list[str], found_hosts: set[str]) -> bool:
        """Return whether a text has one of the entries."""
        for place, word in enumerate(words):
            for phrase in self.phrases.get(word, ()):
                if tuple(words[place : place + len(phrase)]) == phrase:
                    return True
        if self._pieces is not None and self._pieces.search(folded):
            return True
        return bool(self.hosts) and any(parent in self.hosts for host in found_hosts for parent in _parents(host))


class WordList:
    """A hook for texts, and for the names of files."""

    name = "WORD_LIST"
    kinds: tuple[ItemKind, ...] = ("text", "picture", "file")

    def __init__(self, text: str) -> None:
        """Read a list. Raises WordListError."""
        self._sections: dict[tuple[str, Rule], _Section] = {}
        section = self._section("*", "other")
        lines = text.splitlines()
        if len(lines) > MOST_ENTRIES:
            raise WordListError(f"has more than {MOST_ENTRIES} lines")
        for number, raw in enumerate(lines, 1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                section = self._opened(line, number)
            elif line.startswith("link "):
                section.hosts.add(self._host(line, number))
            elif not section.add(line):
                raise WordListError(f"line {number}: has no word")
        for one in self._sections.values():
            one.finish()

    @classmethod
    def read(cls, path: str) -> WordList:
        """Read a file. Raises WordListError."""
        try:
            with Path(path).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
            if len(content) > MOST_BYTES:
                raise WordListError(f"has more than {MOST_BYTES:,} bytes")
            return cls(content.decode("utf-8-sig"))
        except OSError as error:
            raise WordListError(error.strerror or "cannot be read") from error
        except UnicodeDecodeError as error:
            raise WordListError("is not UTF-8") from error

    def _section(self, language: str, rule: Rule) -> _Section:
        return self._sections.setdefault((language, rule), _Section(language, rule))

    def _opened(self, line: str, number: int) -> _Section:
        found = _SECTION.fullmatch(line)
        rule = next((one for one in RULES if found and one == (found[2] or "other")), None)
        if found is None or rule is None:
            raise WordListError(f"line {number}: is not a section such as [*] or [en, hate]")
        return self._section(found[1].lower(), rule)

    @staticmethod
    def _host(line: str, number: int) -> str:
        found = hosts(line.removeprefix("link ").strip())
        if len(found) != 1 or next(iter(found)).count(".") >= MOST_LABELS:
            raise WordListError(f"line {number}: is not a link such as spam.example")
        return found.pop()

    async def check(self, item: Item) -> Verdict:
        """See Hook."""
        return self.look(item.content.decode() if item.kind == "text" else item.name, item.languages)

    def look(self, text: str, languages: tuple[str, ...] = ()) -> Verdict:
        """Do as `check`, at once. Words of a language count if it is one of `languages`, or if none is known."""
        folded = fold(text)
        words = _WORD.findall(folded)
        found_hosts = hosts(text)
        for section in self._sections.values():
            is_spoken = section.language == "*" or not languages or section.language in languages
            if is_spoken and section.finds(folded, words, found_hosts):
                return Verdict(holds=True, rule=section.rule)
        return ALLOW

    async def close(self) -> None:
        """See Hook."""


def _parents(host: str) -> list[str]:
    """Return a host and all that it is below: `a.b.example`, `b.example`, `example`."""
    labels = host.split(".")
    return [".".join(labels[place:]) for place in range(len(labels))]
