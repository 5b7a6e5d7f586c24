"""A case as an archive that an authority can verify: files, their hashes, and a signature of the hashes."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from passerby.clock import Timestamps
    from passerby.safety.cases import Case, Piece

_KEY: Final = "export"
"""What the signing key is derived for, of the key of evidence."""
_READ_ME: Final = """This archive holds a case of a Passerby chat, as its server has kept it.

manifest.json has the SHA-256 of every other file. manifest.sig is its signature (Ed25519) with the key in key.pem.
Ask the operator, on another way, whether this is their key: `passerby moderator key` prints it. To verify the
signature:

    openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in manifest.json -sigfile manifest.sig

Then compare each file with what manifest.json says of it, for example

    openssl dgst -sha256 case.json

case.json names the files that the case has; one without a path could not be decrypted.
"""


def signing_key(derived: bytes | None) -> Any:  # noqa: ANN401 - imported on use
    """Return the private key of exports, from what is derived of the evidence key; a new one if there is none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - only if used

    return Ed25519PrivateKey.generate() if derived is None else Ed25519PrivateKey.from_private_bytes(derived)


def public_pem(key: Any) -> bytes:  # noqa: ANN401 - imported on use
    """Return the public key as PEM."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only if used

    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem


def archive(case: Case, files: Sequence[tuple[int, Piece]], key: Any, timestamps: Timestamps, by: str) -> bytes:  # noqa: ANN401 - see above
    """Return the archive (ZIP). It takes a moment for large files: run it in a thread."""
    paths = {number: f"files/{number}-{_safe(piece.name)}" for number, piece in files}
    contents = {"case.json": _case(case, paths, timestamps, by), "README.txt": _READ_ME.encode()}
    if case.log is not None:
        contents["log.json"] = case.log
    for number, piece in files:
        contents[paths[number]] = piece.content
    contents["key.pem"] = public_pem(key)
    manifest = msgspec.json.format(
        msgspec.json.encode({name: hashlib.sha256(content).hexdigest() for name, content in contents.items()})
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        for name, content in contents.items():
            target.writestr(zipfile.ZipInfo(name), content)
        target.writestr(zipfile.ZipInfo("manifest.json"), manifest)
        target.writestr(zipfile.ZipInfo("manifest.sig"), key.sign(manifest))
    return out.getvalue()


def _case(case: Case, paths: Mapping[int, str], timestamps: Timestamps, by: str) -> bytes:
    overview = case.overview
    described = {
        "id": overview.id,
        "source": overview.source,
        "rule": overview.rule,
        "openedAt": timestamps.at(overview.opened_at),
        "reported": {
            "guestId": case.subject.guest_id,
            "username": case.subject.username,
            "marks": [[mark.kind, base64.b64encode(mark.value).decode()] for mark in case.subject.marks],
        },
        "words": case.words,
        "holdReason": case.hold_reason,
        "decisions": [
            {
                "at": timestamps.at(one.at),
                "moderator": one.moderator,
                "action": one.action,
                "rule": one.rule,
                "words": one.words,
            }
            for one in case.decisions
        ],
        # The names as the guests' browsers gave them. What cannot be decrypted with the present key has no path.
        "files": [
            {"name": name, "mimeType": kind, "size": size, "path": paths.get(number)}
            for number, name, kind, size in case.files
        ],
        "hasLog": case.log is not None,
        "exportedAt": timestamps.now(),
        "exportedBy": by,
    }
    return msgspec.json.format(msgspec.json.encode(described))


def _safe(name: str) -> str:
    return (
        "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name).lstrip(".")[:100] or "file"
    )
