"""An operator's service that looks at what guests send, as `HOOK_URL` names it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SECRET = "a secret that the service and the server share"


class HookService:
    """What it was asked, and what it answers: `answer` returns the bytes of an HTTP response for an item."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[dict[str, Any], bytes]] = []
        self.answer: Callable[[bytes], Awaitable[bytes]] = allow
        self.tasks: set[asyncio.Task[None]] = set()

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = dict(re.findall(r"^([\w-]+): (.*?)\r$", head, re.MULTILINE))
                body = await reader.readexactly(int(headers["Content-Length"]))
                check_signature(headers["Passerby-Signature"], headers["Passerby-Item"], body)
                self.asked.append((json.loads(headers["Passerby-Item"]), body))
                writer.write(await self.answer(body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def check_signature(signature: str, item: str, body: bytes) -> None:
    """Do as docs/operations.md says."""
    at, given = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", signature).groups()  # type: ignore[union-attr]
    expected = hmac.new(SECRET.encode(), f"{at}.{item}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(given, expected)


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def allow(_body: bytes) -> bytes:
    return response(b'{"verdict": "allow"}')


async def hold_what_is_bad(body: bytes) -> bytes:
    """Hold what has `bad` in it, and take longer for what has `slow` in it."""
    if b"slow" in body:
        await asyncio.sleep(0.05)
    if b"bad" in body:
        return response(b'{"verdict": "hold", "rule": "hate", "words": "Be kind"}')
    return response(b"", "204 No Content")


@contextlib.asynccontextmanager
async def hook_service() -> AsyncIterator[HookService]:
    service = HookService()
    server = await asyncio.start_server(service.connected, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/check"
    try:
        yield service
    finally:
        server.close()
        for task in service.tasks:
            task.cancel()
        await asyncio.gather(*service.tasks, return_exceptions=True)
