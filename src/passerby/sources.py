"""Where the settings come from: flags, the environment, files of secrets, a TOML file. The strongest one wins.

This module knows names and texts. What a text means, and whether it may be so, is in `settings`.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

PREFIX: Final = "PASSERBY_"
CONFIG: Final = "PASSERBY_CONFIG"
"""The variable that names the TOML file."""
UNIX: Final = "unix:"
"""Begins the path of a Unix socket."""
_FILE: Final = "_file"
"""Ends the name of a setting that names the file with a secret."""
_LARGEST: Final = 64 << 10
"""Bytes of a file with a secret, at most."""
_LARGEST_CONFIG: Final = 1 << 20
"""Bytes of a TOML file, at most: all settings at length take a tenth of it."""
_SHOWN: Final = 60
"""Characters of a key or path that are shown."""
_LOOKS_LIKE_A_PATH: Final = re.compile(r"(/|\.{1,2}/|~|[A-Za-z]:\\).*", re.DOTALL)
"""Anything else may be the secret itself, where its file should be named."""
_NO_TEXT: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and bytes that are not UTF-8."""
_LIKE: Final = 0.8
"""How much a variable must be like a setting to be taken for a slip: others may use the prefix too."""
_OF_KUBERNETES: Final = re.compile(r"(tcp|udp|sctp)://.*")
"""It sets PASSERBY_PORT to this in the containers beside a service with the name `passerby`."""


class Given(Struct, frozen=True):
    """The text of a setting, and where it was found."""

    text: str
    label: str
    """How to name it in an error: `--port`, `PASSERBY_PORT`, or `/etc/passerby.toml: port`."""
    origin: str
    """Where it comes from, for `passerby config show`."""
    is_list: bool = False
    """Whether it was written as a list."""


class Found(Struct):
    """What all sources say together."""

    given: dict[str, Given]
    """The settings that are not left as they are, by name in lower case."""
    problems: list[str]
    """One line each."""
    wrong: set[str]
    """The settings that could not be read."""
    warnings: list[str]
    """What was left aside, and may be a slip; one line each."""


_Layer = dict[str, Given]


def collect(
    names: Collection[str],
    secrets: Collection[str],
    environment: Mapping[str, str],
    flags: Mapping[str, str | None],
    *,
    again: bool = False,
) -> Found:
    """Return what is given for the settings `names`. For a secret, `<name>_file` may name the file that has it.

    From the strongest to the weakest: flags, `PASSERBY_<NAME>`, `<NAME>`, the file of `--config` or PASSERBY_CONFIG.
    Empty variables count as unset. A second time (`again`) the file must be one that can be read twice.
    """
    found = Found({}, [], set(), [])
    # In the order of the settings, for errors.
    known = dict.fromkeys(each for name in names for each in (name, *([name + _FILE] if name in secrets else [])))
    layers = [
        {
            name: Given(text, flag_of(name), f"flag {flag_of(name)}")
            for name in known
            if (text := flags.get(name)) is not None
        },
        _variables(known, environment, PREFIX),
        _plain(known, environment, found),
        _toml(known, environment, flags, found, again=again),
    ]
    for name in names:
        if not (name.endswith(_FILE) and name.removesuffix(_FILE) in secrets):
            _choose(name, layers, found, names, is_secret=name in secrets)
    found.warnings += _slips(known, environment)
    return found


def flag_of(name: str) -> str:
    """Return the flag of a setting."""
    return f"--{name.replace('_', '-')}"


def _choose(name: str, layers: list[_Layer], found: Found, names: Collection[str], *, is_secret: bool) -> None:
    """Take a setting from the strongest source that has it, also if that has it in a file."""
    for layer in layers:
        value, file = layer.get(name), layer.get(name + _FILE) if is_secret else None
        if value is not None and file is not None:
            found.problems.append(f"{file.label}: cannot be set together with {value.label.rpartition(' ')[2]}")
            found.wrong.add(name)
        elif file is not None and name + _FILE in names:
            found.given[name + _FILE] = file  # who uses it reads it
        elif file is not None:
            _read_secret(name, file, found)
        elif value is not None:
            found.given[name] = value
        else:
            continue
        return


def _read_secret(name: str, file: Given, found: Found) -> None:
    try:
        text = _secret(file.text)
    except _UnreadableError as error:
        shown = f"={shorten(file.text)}" if _LOOKS_LIKE_A_PATH.fullmatch(file.text) else ""
        found.problems.append(f"{file.label}{shown}: {error}")
        found.wrong.add(name)
    else:
        found.given[name] = Given(text, file.label, f"{file.origin}, {file.text}")


def _secret(path: str) -> str:
    """Return the only line of a file. Raises _UnreadableError."""
    text = _read(path, _LARGEST).rstrip("\r\n")
    if not text:
        raise _UnreadableError("the file is empty")
    if is_no_text(text):
        raise _UnreadableError("the file must have one line of text, and nothing else")
    return text


class _UnreadableError(Exception):
    """A file cannot be used; the message says why."""


def _read(path: str, largest: int) -> str:
    """Return the text of a file, also if some editor has written a byte order mark. Raises _UnreadableError."""
    try:
        with Path(path).open("rb") as source:
            content = source.read(largest + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "there is no such name"
        raise _UnreadableError(f"the file cannot be read: {reason}") from None
    if len(content) > largest:
        raise _UnreadableError("the file is too long")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _UnreadableError("the file is not text (UTF-8)") from None


def is_no_text(text: str) -> bool:
    """Return whether a value has control characters, or bytes that are not UTF-8."""
    return _NO_TEXT.search(text) is not None


def shorten(text: str) -> str:
    """Return what was written, in quotes, for an error: one line, and not too long."""
    return f"{text[:_SHOWN]!r}{'…' if len(text) > _SHOWN else ''}"


_USER: Final = re.compile(r"((?:[\w+.-]+:)?//)?(?:([^:/@]*):)?.*@", re.DOTALL)
"""The beginning of a URL with a password, which may have any characters: up to the last `@`. It may lack its scheme."""
_PASSWORD: Final = re.compile(r"([?&][^=&]*(?:pass|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)


def without_password(url: str) -> str:
    """Return a URL for people to read: `redis://chat:(secret)@db.example`."""
    if begins := _USER.match(url):
        user = f"{begins[2]}:" if begins[2] else ""
        url = f"{begins[1] or ''}{user}(secret)@{url[begins.end() :]}"
    return _PASSWORD.sub(r"\1(secret)", url)


def addresses_of(host: str) -> list[str]:
    """Return the addresses of `HOST`, each once, without brackets."""
    places = (place.strip() for place in host.split(","))
    return list(dict.fromkeys(place[1:-1] if place[:1] + place[-1:] == "[]" else place for place in places if place))


# ── the environment ───────────────────────────────────────────────────────────────────────────────


def _variables(names: Collection[str], environment: Mapping[str, str], prefix: str) -> _Layer:
    return {
        name: Given(text, variable, f"environment {variable}")
        for name in names
        if (text := environment.get(variable := prefix + name.upper()))
        and not (prefix and _OF_KUBERNETES.fullmatch(text))
    }


def _plain(names: Collection[str], environment: Mapping[str, str], found: Found) -> _Layer:
    """Return what the environment says without the prefix.

    Some shells set HOST to the machine's name, and listening there would open the server to the network. So HOST is
    taken only if it cannot be that.
    """
    layer = _variables(names, environment, "")
    host = layer.get("host")
    if host is not None and not all(_is_no_name(place.strip()) for place in host.text.split(",")):
        del layer["host"]
        if not environment.get(f"{PREFIX}HOST"):
            found.warnings.append(
                f"HOST={shorten(without_password(host.text))} is not used: some shells set it to the machine's "
                f"name. If it is meant for Passerby, call it {PREFIX}HOST"
            )
    return layer


def _is_no_name(place: str) -> bool:
    """Return whether it is an address, right or wrong: no name of a machine has a colon, or only digits and dots."""
    return place == "localhost" or ":" in place or not place.strip("0123456789.")


def _slips(names: Collection[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with variables that have the prefix and are no settings."""
    known = {PREFIX + name.upper() for name in names} | {CONFIG}
    for variable in environment:
        if variable.startswith(PREFIX) and variable not in known:
            for near in difflib.get_close_matches(variable, known, 1, _LIKE):
                yield f"{variable} is not a setting; did you mean {near}?"


# ── the file ──────────────────────────────────────────────────────────────────────────────────────


def _toml(
    names: Collection[str],
    environment: Mapping[str, str],
    flags: Mapping[str, str | None],
    found: Found,
    *,
    again: bool,
) -> _Layer:
    label, place = "--config", flags.get("config")
    if place is None:
        label, place = CONFIG, environment.get(CONFIG)
        if not place:
            return {}
    if again and Path(place).exists() and not Path(place).is_file():
        found.problems.append(f"{label}={shorten(place)}: is no file that can be read again")
        return {}
    try:
        content = tomllib.loads(_read(place, _LARGEST_CONFIG))
    except _UnreadableError as error:
        found.problems.append(f"{label}={shorten(place)}: {error}")
    except tomllib.TOMLDecodeError as error:
        found.problems.append(f"{place}: {_in_words(str(error))}")
    except RecursionError:
        found.problems.append(f"{place}: has lists or tables in each other, too many to be settings")
    except ValueError:  # of Python's own: a number of more than 4,300 digits
        found.problems.append(f"{place}: has a number that is too long")
    else:
        return dict(_entries(content, place, names, found))
    return {}


def _in_words(error: str) -> str:
    """Return what the parser of TOML says, with what most often is meant by it."""
    what, at, where = error.partition(" (at ")
    if what == "Cannot overwrite a value":
        return f"A setting is there twice{at}{where}"
    if what in ("Invalid value", "Expected newline or end of document after a statement"):
        return f"{error}. A text needs quotes, such as host = '127.0.0.1'"
    return error


def _entries(
    content: dict[str, object], place: str, names: Collection[str], found: Found
) -> Iterator[tuple[str, Given]]:
    for key, value in content.items():
        label = f"{place}: {key if key.isprintable() and len(key) <= _SHOWN else shorten(key)}"
        text = _text(value)
        if isinstance(value, dict) and key not in names:
            found.problems.append(f"{label}: is a table. All settings are at the top of the file, without tables")
        elif key not in names:
            near = difflib.get_close_matches(key.lower().replace("-", "_"), names, 1)
            found.problems.append(f"{label}: is not a setting{f'; did you mean {near[0]}?' if near else ''}")
        elif text is None:
            found.problems.append(f"{label}: must be a text, a number, true or false, or a list of texts or numbers")
            found.wrong.add(key)
        elif value != "":
            yield key, Given(text, label, place, isinstance(value, list))


def _text(value: object) -> str | None:
    """Return a value of TOML as one would write it into a variable; None for a table, a time, or lists in a list."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list):
        texts = [_text(item) for item in value if not isinstance(item, list)]
        known = [text for text in texts if text is not None]
        return ",".join(known) if len(known) == len(value) else None
    return None
