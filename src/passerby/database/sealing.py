"""Encrypts what is kept of guests' words and files: AES-256-GCM."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from passerby.settings import SettingsError, is_key

log = logging.getLogger(__name__)

_FORMAT: Final = b"\x01"
"""The first byte of everything that is sealed."""
_PLAIN: Final = b"\x00"
"""The first byte of what is kept as it is, because there is no key."""
_KEY_ID: Final = 4
"""Bytes that say which key it was."""
_NONCE: Final = 12


class Sealer:
    """Seals and opens bytes with one key. Without a key, nothing is sealed."""

    def __init__(self, key: bytes | None = None) -> None:
        """`key` has 32 bytes."""
        self._key = key
        self._id = b"" if key is None else hashlib.sha256(b"passerby key\0" + key).digest()[:_KEY_ID]
        self._has_warned = False

    @property
    def is_on(self) -> bool:
        """Return whether there is a key."""
        return self._key is not None

    def derive(self, purpose: str) -> bytes | None:
        """Return 32 bytes for another use of the key; None without a key."""
        return None if self._key is None else hmac.new(self._key, purpose.encode(), hashlib.sha256).digest()

    def seal(self, content: bytes, about: str) -> bytes:
        """Encrypt `content`; it opens only with the same `about`, which says where it belongs. Without a key: as is."""
        if self._key is None:
            return _PLAIN + content
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only if it is used

        nonce = secrets.token_bytes(_NONCE)
        return _FORMAT + self._id + nonce + AESGCM(self._key).encrypt(nonce, content, about.encode())

    def open(self, sealed: bytes, about: str, *, or_plain: bool = False) -> bytes | None:
        """Return what was sealed; None if it cannot be opened: another key, another place, or a change.

        With `or_plain`, also what was kept as it is while there was no key. Anybody who can write to the database can
        write that.
        """
        kind, rest = sealed[:1], sealed[1:]
        if kind == _PLAIN and or_plain:
            return rest
        if kind != _FORMAT:
            return None
        if self._key is None or rest[:_KEY_ID] != self._id:
            if not self._has_warned:
                self._has_warned = True
                log.warning("something in the database is encrypted with a key that is not the one given")
            return None
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - only if it is used
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only if it is used

        nonce, content = rest[_KEY_ID : _KEY_ID + _NONCE], rest[_KEY_ID + _NONCE :]
        try:
            return AESGCM(self._key).decrypt(nonce, content, about.encode())
        except InvalidTag:
            return None


def sealer(key: str | None, path: str | None) -> Sealer:
    """Return a sealer with the key of `EVIDENCE_KEY`, or of the file `EVIDENCE_KEY_FILE`, which is made if needed.

    Raises SettingsError.
    """
    if path is not None:
        key = _read(Path(path))
    return Sealer(None if key is None else base64.b64decode(key))


def _read(path: Path) -> str:
    try:
        _make(path)
        text = path.read_text(encoding="ascii").strip()
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise SettingsError(f"EVIDENCE_KEY_FILE={str(path)!r}: {reason}") from None
    if not is_key(text):
        raise SettingsError(f"EVIDENCE_KEY_FILE={str(path)!r}: does not hold 32 bytes as Base64")
    # For a credential, systemd lets the server's user in by an ACL, which looks like rights of a group.
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if mode & (0o007 if credentials and path.is_relative_to(credentials) else 0o077):
        log.warning("others can read the file with the key of evidence", extra={"mode": f"{mode:o}"})
    return text


def _make(path: Path) -> None:
    """Write a new key, complete or not at all, unless there is a file: several processes may do so at once."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
        try:
            os.link(draft, path)  # fails if another process was faster
        except FileExistsError:
            return
        log.info("a key for evidence was made")
    finally:
        draft.unlink()
