"""The operator's own service, which is asked over HTTP. Its contract is in docs/operations.md."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

import httpx
import msgspec
from msgspec import Struct

from passerby.models import Rule
from passerby.safety.hook import ALLOW, Item, ItemKind, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection

    from passerby.clock import Clock

_MOST_BYTES: Final = 4096
"""Maximum bytes of an answer."""
_MOST_WORDS: Final = 500
"""Maximum characters of what the author is told."""
_AT_ONCE: Final = 32
"""Maximum connections to the service."""


class _About(Struct, rename="camel", omit_defaults=True):
    """The header `Passerby-Item`."""

    kind: ItemKind
    author: str
    languages: tuple[str, ...] = ()
    name: str = ""


class _Answer(Struct):
    verdict: str
    rule: Rule = "other"
    words: str = ""


_read: Final = msgspec.json.Decoder(_Answer).decode


class HttpHook:
    """A hook that posts each item to a URL. Redirects are not followed."""

    name = "HOOK_URL"

    def __init__(self, url: str, secret: str, kinds: Collection[ItemKind], clock: Clock) -> None:
        """`secret` signs the requests, see `sign`."""
        self.kinds = kinds
        self._url = url
        self._secret = secret.encode()
        self._clock = clock
        self._client = httpx.AsyncClient(
            limits=httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=_AT_ONCE),
            timeout=None,  # noqa: S113 - the caller has a deadline for all of it
            follow_redirects=False,
            trust_env=False,
        )

    async def check(self, item: Item) -> Verdict:
        """See Hook. Raises OSError or ValueError for every answer that is none."""
        about = msgspec.json.encode(
            _About(kind=item.kind, author=item.author, languages=item.languages, name=item.name)
        )
        header = _ascii(about)
        headers = {
            "Content-Type": item.mime_type,
            "Passerby-Item": header,
            "Passerby-Signature": sign(self._secret, int(self._clock.time()), header, item.content),
        }
        try:
            async with self._client.stream("POST", self._url, content=item.content, headers=headers) as answer:
                return _verdict(answer.status_code, await _limited(answer))
        except httpx.HTTPError as error:
            raise OSError(f"the hook cannot be asked: {type(error).__name__}") from error

    async def close(self) -> None:
        """See Hook."""
        await self._client.aclose()


def sign(secret: bytes, at: int, item: str, content: bytes) -> str:
    """Return the header `Passerby-Signature`: `t=<seconds>,v1=<hex>`.

    `v1` is HMAC-SHA256 of `<seconds>.<Passerby-Item>.<body>`.
    """
    digest = hmac.new(secret, b"%d.%b." % (at, item.encode()), hashlib.sha256)
    digest.update(content)
    return f"t={at},v1={digest.hexdigest()}"


async def _limited(answer: httpx.Response) -> bytes:
    body = b""
    async for part in answer.aiter_raw():
        body += part
        if len(body) > _MOST_BYTES:
            raise ValueError("the hook's answer is too long")
    return body


def _verdict(status: int, body: bytes) -> Verdict:
    if status == 204:  # noqa: PLR2004 - no content
        return ALLOW
    if status != 200:  # noqa: PLR2004 - anything else is no verdict
        raise OSError(f"the hook has answered {status}")
    try:
        answer = _read(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError("the hook's answer is no verdict") from error
    if answer.verdict == "allow":
        return ALLOW
    if answer.verdict != "hold":
        raise ValueError("the hook's answer is no verdict")
    return Verdict(holds=True, rule=answer.rule, words=answer.words[:_MOST_WORDS])


def _ascii(json: bytes) -> str:
    """Return JSON with escapes for everything that is not ASCII: headers carry nothing else."""
    units = json.decode().encode("utf-16-be")
    codes = (int.from_bytes(units[place : place + 2]) for place in range(0, len(units), 2))
    return "".join(chr(code) if code < 0x7F else f"\\u{code:04x}" for code in codes)  # noqa: PLR2004 - ASCII
