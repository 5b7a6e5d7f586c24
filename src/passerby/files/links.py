"""Signed links to files. A link gives access to the file while its room is open and it has not expired.

The signature (HMAC-SHA-256, truncated to 192 bits) covers room, epoch, file and expiry.
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from passerby.clock import SteadyClock, Timestamps
from passerby.models import FileInfo

if TYPE_CHECKING:
    from collections.abc import Iterable

    from passerby.clock import Clock
    from passerby.models import StoredFile

PATH: Final = "/api/temp-files"


class Links:
    """Signs and verifies links."""

    def __init__(self, keys: Iterable[bytes], clock: Clock, root_path: str = "") -> None:
        """Sign with the first of `keys`, and accept the others. Links begin with `root_path`."""
        self._path = root_path + PATH
        self._keys = list(keys)
        self._clock = SteadyClock(clock)
        self._timestamps = Timestamps(clock)

    def opens(self, file: StoredFile, expires: str | None, signature: str | None) -> bool:
        """Return whether `signature` is valid for this file and `expires`."""
        if not expires or not signature:
            return False
        given = signature.encode()
        return any(hmac.compare_digest(given, _signature(key, file, expires)) for key in self._keys)

    def adopt(self, keys: Iterable[bytes]) -> None:
        """Sign with the first from now on, and accept the others; older links stay valid."""
        self._keys = list(dict.fromkeys((*keys, *self._keys)))

    def change(self, keys: Iterable[bytes]) -> None:
        """Sign with the first from now on, and accept the others; no other link is valid any more."""
        self._keys = list(keys)

    def info(self, file: StoredFile) -> FileInfo:
        """Return the file's information for the room's members, with signed links."""
        expires = str(int(file.expires_at))
        query = f"{file.id}?expires={expires}&signature={self._sign(file, expires).decode()}"
        return FileInfo(
            file_id=file.id,
            filename=file.filename,
            file_type=file.category,
            mime_type=file.mime_type,
            file_size=file.size,
            file_url=f"{self._path}/temp/{query}",
            temp_url=f"{self._path}/temp/{query}",
            download_url=f"{self._path}/download/{query}",
            is_image=file.category == "image",
            file_type_category=file.category,
            expires_at=self._timestamps.at(self._clock.wall(file.expires_at)),
            duration=UNSET if file.seconds is None else file.seconds,
            width=UNSET if file.width is None else file.width,
            height=UNSET if file.height is None else file.height,
        )

    def _sign(self, file: StoredFile, expires: str) -> bytes:
        return _signature(self._keys[0], file, expires)


def _signature(key: bytes, file: StoredFile, expires: str) -> bytes:
    what = f"{file.room_id} {file.epoch} {file.id} {expires}"
    return base64.urlsafe_b64encode(hmac.digest(key, what.encode(), "sha256")[:24])
