"""The root of a container: an environment with Passerby, its Python, the libraries that both load, and nothing else.

    python -m tools.rootfs /opt/passerby /rootfs

copies them to /rootfs, where everything has the path that it has here, and prints the size of the files. For Linux with
glibc and `strip` (binutils); to be run by a Python of the same installation as that of the environment.
"""

from __future__ import annotations

import importlib.util
import py_compile
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_USER: Final = 10001
"""Of the server; above those that systems give."""
_SOURCES: Final = ("*.a", "*.c", "*.h", "*.pxd", "*.pyi", "*.pyx", "__pycache__", "test", "tests")
_LIBRARY: Final = (
    *("config-*", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "tkinter", "turtle*"),
    *("dist-packages", "site-packages"),
    *("_ctypes_test*", "_dbm*", "_test*", "_tkinter*", "_xxtest*", "xxlimited*"),
)
"""Of the standard library, what no server needs."""
_PACKAGES: Final = ("pip", "pip-*", "faker", "testing", "mssql", "mysql", "oracle")
"""Of what is installed: pip, what Litestar requires only to invent examples, which we write ourselves, what is for the
tests of others, and databases that are not ours.
"""
_MOSTLY_UNUSED: Final = "pygments"
"""A package that comes with colours for 500 languages: only what is loaded of it is kept."""
_TRUSTED: Final = Path("/etc/ssl/certs/ca-certificates.crt")
"""Whom TLS trusts."""
_ZONES: Final = Path("/usr/share/zoneinfo")
"""For MEETING_TIMEZONE."""
_FILES: Final = {
    "etc/passwd": f"root:x:0:0::/:\npasserby:x:{_USER}:{_USER}::/var/lib/passerby:\n",
    "etc/group": f"root:x:0:\npasserby:x:{_USER}:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
_ELF: Final = b"\x7fELF"
_LOAD: Final = """
import pathlib, sys
import aiosqlite, alembic.command, alembic.context, asyncpg, passerby.app, passerby.cli, passerby.workers.worker
import sqlalchemy.dialects.postgresql.asyncpg, sqlalchemy.dialects.sqlite.aiosqlite, sqlalchemy.ext.asyncio
import urllib.request
for module in list(sys.modules.values()):
    if (getattr(module, "__file__", None) or "").endswith(".py"):
        print(pathlib.Path(module.__file__).resolve())
"""
"""Prints the sources of all that a server loads, sooner or later."""


def make(environment: Path, root: Path) -> None:
    """Fill `root`, which must not exist."""
    root.mkdir(parents=True)
    for link in (Path("/bin"), Path("/lib"), Path("/lib64")):
        if link.is_symlink():  # everything is in /usr; the loader's path is in /lib or /lib64
            _place(link, root).symlink_to(link.readlink())
    library = Path(sysconfig.get_path("stdlib"))
    interpreter = Path(sys.base_prefix, "bin", "python3")
    _copy(library, root, *_SOURCES, *_LIBRARY)
    _copy(environment, root, *_SOURCES, *_PACKAGES)
    _copy_program(interpreter, root)
    _copy(_ZONES, root)
    _copy(_TRUSTED, root)
    if (default := Path(ssl.get_default_verify_paths().openssl_cafile)) != _TRUSTED:
        _place(default, root).symlink_to(_TRUSTED)
    for name, text in _FILES.items():
        _place(Path("/", name), root).write_text(text, encoding="ascii")
    for library in set(_libraries(root)):
        _copy_program(library, root)
    temporary = root / "tmp"
    temporary.mkdir(exist_ok=True)
    temporary.chmod(0o1777)
    _compile(environment, root)
    subprocess.run(("/usr/bin/strip", "--strip-unneeded", *_programs(root)), check=True)


def size(root: Path) -> int:
    """Return the bytes of all files, those with several names once."""
    stats = (path.lstat() for path in root.rglob("*") if path.is_symlink() or path.is_file())
    return sum({(stat.st_dev, stat.st_ino): stat.st_size for stat in stats}.values())


def _place(path: Path, root: Path) -> Path:
    """Return where `path` is in `root`; its folder, without links, is made."""
    place = root / path.parent.resolve().relative_to("/") / path.name
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _copy(path: Path, root: Path, *ignored: str) -> None:
    place = _place(path, root)
    if path.is_dir():
        shutil.copytree(path, place, symlinks=True, ignore=shutil.ignore_patterns(*ignored), dirs_exist_ok=True)
    else:
        shutil.copy2(path, place)


def _copy_program(path: Path, root: Path) -> None:
    """Copy a program or a library, and the links that lead to it."""
    while path.is_symlink():
        link = _place(path, root)
        if not link.is_symlink():
            link.symlink_to(path.readlink())
        path = path.parent.resolve() / path.readlink()
    if not (place := _place(path, root)).exists():
        shutil.copy2(path, place)


def _compile(environment: Path, root: Path) -> None:
    """Compile what a server loads. The rest, which is half, is compiled if it is ever needed, as there is no cache."""
    python = environment / "bin" / "python"
    loaded = subprocess.run((python, "-c", _LOAD), check=True, capture_output=True, text=True).stdout.splitlines()
    for original in (Path(line) for line in loaded):
        if (source := root / original.relative_to("/")).exists():
            # Nobody compares sources with what is compiled: they do not change, and may have any date.
            unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(source), dfile=str(original), doraise=True, invalidation_mode=unchecked)
    (unused,) = root.rglob(f"site-packages/{_MOSTLY_UNUSED}")
    for source in unused.rglob("*.py"):
        if not Path(importlib.util.cache_from_source(str(source))).exists():
            source.unlink()


def _programs(root: Path) -> Iterator[Path]:
    """Yield programs and libraries."""
    for path in root.rglob("*"):
        if not path.is_symlink() and path.is_file():
            with path.open("rb") as file:
                if file.read(len(_ELF)) == _ELF:
                    yield path


def _libraries(root: Path) -> Iterator[Path]:
    """Yield the libraries of this system that programs in `root` load, and the loader."""
    for path in _programs(root):
        original = Path("/") / path.relative_to(root)
        said = subprocess.run(("/usr/bin/ldd", original), check=False, capture_output=True, text=True).stdout
        yield from (Path(found) for found in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", said, re.MULTILINE))


def main(arguments: Sequence[str]) -> int:
    """Make it, and print its size."""
    environment, root = (Path(argument) for argument in arguments)
    make(environment, root)
    print(f"{root}: {size(root) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
